// Every kind of error, and the answer it gets.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AssertionError } from "../common/assert.ts";
import { AndironError, type ErrorCode } from "../common/errors.ts";
import { CinderFault, type FaultKind } from "../cinder/faults.ts";
import { answerFault } from "./faults.ts";
import { HttpFault, RouteNotFound, Unauthorized } from "./http-fault.ts";

const refusals: readonly (readonly [FaultKind, number, string])[] = [
  ["invalid", 400, "badRequest"],
  ["forbidden", 403, "forbidden"],
  ["not-found", 404, "itemNotFound"],
  ["conflict", 409, "conflictingRequest"],
];

for (const [kind, status, name] of refusals) {
  test(`a refusal "${kind}" is ${status} ${name} with its sentence`, () => {
    const { ours, ...answer } = answerFault(new CinderFault(kind, "Because."));
    assert.deepEqual(answer, { status, headers: {}, body: { [name]: { code: status, message: "Because." } } });
    assert.equal(ours, false);
  });
}

test("a quota's refusal says when to retry, in the body as text and in the header", () => {
  const { status, headers, body } = answerFault(new CinderFault("over-limit", "Too much."));
  assert.equal(status, 413);
  assert.deepEqual(headers, { "retry-after": "0" });
  assert.deepEqual(body, { overLimit: { code: 413, message: "Too much.", retryAfter: "0" } });
});

test("a failed precondition has no body", () => {
  const answer = answerFault(new CinderFault("precondition-failed", "changed"));
  assert.equal(answer.status, 412);
  assert.equal(answer.body, undefined);
});

const named: readonly (readonly [number, string])[] = [
  [401, "unauthorized"],
  [405, "badMethod"],
  [406, "computeFault"],
  [415, "badMediaType"],
  [501, "notImplemented"],
  [502, "computeFault"],
  [504, "computeFault"],
];

for (const [status, name] of named) {
  test(`the fault of status ${status} is called ${name}`, () => {
    assert.deepEqual(answerFault(new HttpFault(status, "m")).body, { [name]: { code: status, message: "m" } });
  });
}

const troubles: readonly (readonly [ErrorCode, number, boolean])[] = [
  ["invalid_request", 400, false],
  ["vdisk_not_found", 404, false],
  ["vdisk_busy", 409, false],
  ["transaction_conflict", 409, false],
  ["limit_exceeded", 413, false],
  ["read_only", 403, false],
  ["registry_unavailable", 503, true],
  ["journal_full", 503, true],
  ["owner_changed", 503, true],
  ["record_damaged", 500, true],
  ["internal", 500, true],
];

for (const [code, status, ours] of troubles) {
  test(`the error ${code} is answered with ${status}`, () => {
    const answer = answerFault(new AndironError(code, "detail of the inside"));
    assert.equal(answer.status, status);
    assert.equal(answer.ours, ours);
    if (ours) assert.doesNotMatch(JSON.stringify(answer.body), /inside/);
  });
}

test("an unexpected exception shows nothing of itself", () => {
  const answer = answerFault(new TypeError("secret /var/lib/path"));
  assert.equal(answer.status, 500);
  assert.equal(answer.ours, true);
  assert.deepEqual(answer.body, {
    computeFault: { code: 500, message: "The server has either erred or is incapable of performing the requested operation." },
  });
});

test("an unknown route has the router's own body", () => {
  assert.deepEqual(answerFault(new RouteNotFound("/v3/x")).body, {
    message: "The resource could not be found.<br /><br />\n\n\n",
    code: "404 Not Found",
    title: "Not Found",
  });
});

test("a missing token is answered in the middleware's shape", () => {
  const answer = answerFault(new Unauthorized({ "www-authenticate": 'Keystone uri="http://k"' }));
  assert.equal(answer.status, 401);
  assert.deepEqual(answer.headers, { "www-authenticate": 'Keystone uri="http://k"' });
  assert.deepEqual(answer.body, {
    error: { code: 401, title: "Unauthorized", message: "The request you have made requires authentication." },
  });
});

test("a failed assertion is never an answer", () => {
  assert.throws(() => answerFault(new AssertionError("bug")), AssertionError);
});
