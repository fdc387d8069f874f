// What is read of proxies' headers, and what is left out.

import assert from "node:assert/strict";
import { test } from "node:test";
import { nothingForwarded, readForwarded } from "./forwarded.ts";

test("the headers that were there before the standard", () => {
  const headers = {
    "x-forwarded-proto": "https",
    "x-forwarded-host": "cloud.example",
    "x-forwarded-port": "8443",
    "x-forwarded-prefix": "/volume/",
    "x-forwarded-for": "192.0.2.60, 198.51.100.7",
  };
  const read = { scheme: "https", host: "cloud.example", port: "8443", prefix: "/volume", client: "192.0.2.60" };
  assert.deepEqual(readForwarded(headers), read);
  assert.deepEqual(readForwarded({}), nothingForwarded);
  assert.equal(readForwarded({ "x-forwarded-host": "first:8443, second" }).host, "first:8443");
});

test("RFC 7239: the first proxy's element, names in any case, values quoted or not", () => {
  const read = (forwarded: string): ReturnType<typeof readForwarded> => readForwarded({ forwarded });
  assert.deepEqual(read('For="[2001:db8::1]:4711";PROTO=https ; host="cloud.example:8443", for=10.0.0.1;proto=http'), {
    ...nothingForwarded,
    scheme: "https",
    host: "cloud.example:8443",
    client: "[2001:db8::1]:4711",
  });
  assert.equal(read("for=192.0.2.60, host=second").host, undefined, "another proxy's word");
  assert.equal(read('by="a, b\\"c";host=h').host, "h", "a comma within quotes ends nothing");
  assert.equal(read('host="h').host, undefined, "a quote that is not closed");
  assert.equal(read("host=a b;proto=https").scheme, undefined, "nothing behind what cannot be read");
  assert.equal(read("host=h:1").host, "h:1", "as proxies write it, though the standard wants quotes");
});

test("where there is a Forwarded the older headers do not count, the prefix apart", () => {
  const read = readForwarded({
    forwarded: "proto=https",
    "x-forwarded-host": "older",
    "x-forwarded-port": "1",
    "x-forwarded-prefix": "/volume",
  });
  assert.deepEqual(read, { ...nothingForwarded, scheme: "https", prefix: "/volume" });
});

test("what cannot stand in a URL is as if it were not there", () => {
  for (const [name, texts] of Object.entries({
    "x-forwarded-proto": ["ftp", "javascript", "https:"],
    "x-forwarded-host": ["evil/path", 'x"><script>', "user@host", "h:port", "[::1", "a b", ""],
    "x-forwarded-port": ["x", "123456", "-1"],
    "x-forwarded-prefix": ["volume", "//evil.example", "/a/../b", "/a?b", "/a#b", "/", "/a//b", "https://evil"],
    "x-forwarded-for": ["a b", "x\ny", '"'],
  })) {
    for (const text of texts) assert.deepEqual(readForwarded({ [name]: text }), nothingForwarded, `${name}: ${text}`);
  }
});
