// Where links begin and what is left of a path, by what the request says and by whether proxies are believed.

import assert from "node:assert/strict";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { test } from "node:test";
import { type RequestUrl, RequestUrls } from "./request-url.ts";

interface Asked {
  readonly url?: string;
  readonly headers?: IncomingHttpHeaders;
  readonly encrypted?: boolean;
}

function read(publicEndpoint: string, parsesProxyHeaders: boolean, { url = "/", headers = {}, encrypted }: Asked): RequestUrl {
  const socket = { remoteAddress: "127.0.0.1", ...(encrypted === true ? { encrypted } : {}) };
  const request = { url, headers, socket } as unknown as IncomingMessage;
  return new RequestUrls({ publicEndpoint, parsesProxyHeaders }).read(request);
}

const proxied = { "x-forwarded-proto": "https", "x-forwarded-prefix": "/volume", "x-forwarded-for": "192.0.2.1", host: "cloud" };

test("links begin with public_endpoint, else with the request's host, else with a harmless name", () => {
  const origin = (endpoint: string, host?: string, encrypted = false): string =>
    read(endpoint, false, { headers: host === undefined ? {} : { host }, encrypted }).origin;
  assert.equal(origin("https://cloud/volume/", "evil"), "https://cloud/volume");
  assert.equal(origin("", "api:8776"), "http://api:8776");
  assert.equal(origin("", "[::1]:8776"), "http://[::1]:8776");
  assert.equal(origin("", "api", true), "https://api");
  assert.equal(origin("", 'x"><script>'), "http://localhost");
  assert.equal(origin(""), "http://localhost");
});

test("a proxy's headers count when they are believed, and only then", () => {
  const ignored = read("", false, { url: "/v3/volumes?limit=1", headers: proxied });
  const plain = { origin: "http://cloud", prefix: "", path: "/v3/volumes", query: "limit=1", client: "127.0.0.1" };
  assert.deepEqual(ignored, plain);
  const believed = read("", true, { url: "/v3/volumes?limit=1", headers: proxied });
  assert.deepEqual(believed, { ...plain, origin: "https://cloud/volume", prefix: "/volume", client: "192.0.2.1" });
  assert.equal(read("https://public/storage", true, { headers: proxied }).origin, "https://public/storage");
});

test("the port that the client reached stands behind a host without one, unless the scheme says it", () => {
  const origin = (headers: IncomingHttpHeaders): string => read("", true, { headers: { host: "cloud", ...headers } }).origin;
  assert.equal(origin({ "x-forwarded-port": "8443", "x-forwarded-proto": "https" }), "https://cloud:8443");
  assert.equal(origin({ "x-forwarded-port": "443", "x-forwarded-proto": "https" }), "https://cloud");
  assert.equal(origin({ "x-forwarded-port": "80" }), "http://cloud");
  assert.equal(origin({ "x-forwarded-port": "443" }), "http://cloud:443");
  assert.equal(origin({ "x-forwarded-port": "1", "x-forwarded-host": "other:2" }), "http://other:2");
  assert.equal(origin({ "x-forwarded-port": "1", "x-forwarded-host": "[::1]" }), "http://[::1]:1");
});

test("the path of public_endpoint may stand in front of ours", () => {
  const path = (url: string): string => read("https://cloud/block/volume/", false, { url }).path;
  assert.equal(path("/block/volume/v3/volumes"), "/v3/volumes");
  assert.equal(path("/block/volume?x=1"), "/");
  assert.equal(path("/block/volume/"), "/");
  assert.equal(path("/v3/volumes"), "/v3/volumes");
  assert.equal(path("/block/volumes/v3"), "/block/volumes/v3");
  const mounted = read("https://cloud/volume", true, { url: "/volume/v3/?x", headers: proxied });
  assert.deepEqual([mounted.prefix, mounted.path, mounted.query], ["/volume", "/v3/", "x"]);
  assert.equal(read("https://cloud", false, { url: "/v3/" }).path, "/v3/");
});
