// Tests the reading of transport_url.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AndironError } from "../common/errors.ts";
import { parseTransportUrl } from "./transport-url.ts";

const parse = (text: string): ReturnType<typeof parseTransportUrl> => parseTransportUrl(text, "transport_url");

test("one host with everything", () => {
  assert.deepEqual(parse("rabbit://openstack:s%3Acr%40t@mq.example:5673/cloud%2Fone?ssl=1"), {
    hosts: [{ host: "mq.example", port: 5673, username: "openstack", password: "s:cr@t" }],
    vhost: "cloud/one",
    ssl: true,
  });
});

test("several hosts, each with its own user or guest", () => {
  const { hosts, vhost, ssl } = parse("rabbit://a:b@one:5672,two,c:d:e@[::1]:5674/");
  assert.deepEqual(hosts, [
    { host: "one", port: 5672, username: "a", password: "b" },
    { host: "two", port: undefined, username: "guest", password: "guest" },
    { host: "::1", port: 5674, username: "c", password: "d:e" },
  ]);
  assert.deepEqual([vhost, ssl], ["/", undefined]);
});

for (const [text, problem] of [
  ["", /is no URL/],
  ["rabbit:", /is no URL/],
  ["kafka://host/", /is for kafka/],
  ["rabbit:///", /names no host/],
  ["rabbit://u:hidden@:5672/", /host that is none/],
  ["rabbit://u:hidden@host:70000/", /port 70000/],
  ["rabbit://u:hidden%@host/", /begins no escape/],
  ["rabbit://u:hidden@host/?heartbeat=5", /heartbeat: that belongs/],
  [`rabbit://${Array.from({ length: 17 }, (_, at) => `h${at}`).join(",")}/`, /more than 16/],
] as const) {
  test(`refused, without the password: ${text}`, () => {
    const isRefusal = (error: unknown): boolean =>
      error instanceof AndironError &&
      error.code === "config_invalid" &&
      problem.test(error.message) &&
      !error.message.includes("hidden");
    assert.throws(() => parse(text), isRefusal);
  });
}

test("any user and password come back as they were", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string(), (username, password) => {
      const [user, secret] = [username, password].map((text) => encodeURIComponent(text.toWellFormed()));
      const [host] = parse(`rabbit://${user}:${secret}@host/`).hosts;
      assert.deepEqual([host?.username, host?.password], [username.toWellFormed(), password.toWellFormed()]);
    }),
  );
});
