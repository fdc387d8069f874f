// noauth: whom it takes a request to be from.

import assert from "node:assert/strict";
import { test } from "node:test";
import { noAuth } from "./auth.ts";

const cases: readonly (readonly [string | undefined, string | undefined, string, string])[] = [
  [undefined, "demo", "admin", "demo"],
  [undefined, undefined, "admin", "admin"],
  ["notused", "demo", "admin", "demo"],
  ["ann", "demo", "ann", "demo"],
  ["ann:demo", undefined, "ann", "demo"],
  ["ann:other", "demo", "ann", "other"],
  [":", "demo", "admin", "demo"],
  ["ann:a:b", undefined, "ann", "a:b"],
];

for (const [token, urlProjectId, userId, projectId] of cases) {
  test(`the token ${token ?? "(none)"} at the project ${urlProjectId ?? "(none)"} is ${userId} of ${projectId}`, async () => {
    const headers = token === undefined ? {} : { "x-auth-token": token };
    const identity = await noAuth.authenticate({ method: "GET", path: "/v3/volumes", headers, urlProjectId });
    assert.equal(identity.userId, userId);
    assert.equal(identity.projectId, projectId);
    assert.equal(identity.isAdmin, true);
  });
}
