// When holds want to be looked at, on a clock of our own.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Holds } from "./holds.ts";

test("holds are looked at when the first is due, and when one that is being renewed ends", () => {
  const holds = new Holds(() => undefined);
  assert.equal(holds.nextMs(), Infinity);
  holds.add(1, "late", new Float64Array(1), { expiresMs: 18_000, ttlMs: 9000 });
  holds.add(2, "early", new Float64Array(1), { expiresMs: 9000, ttlMs: 9000 });
  assert.equal(holds.nextMs(), 3000);
  assert.deepEqual(holds.takeDue(3000), [{ holdId: 2, leaseId: "early" }]);
  assert.equal(holds.nextMs(), 9000);
  holds.release(2);
  assert.equal(holds.nextMs(), 12_000);
});
