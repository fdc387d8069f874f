// What wrk prints is read, and errors in it are not taken for speed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readRate } from "./wrk.ts";

const report = "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 4 connections\n";

test("the rate is read", () => {
  assert.equal(
    readRate(`${report}  100 requests in 1.00s, 1.00KB read\nRequests/sec:   1234.50\nTransfer/sec:      1.00KB\n`),
    1234.5,
  );
});

test("answers that are no success, broken connections and no rate are errors", () => {
  assert.throws(() => readRate(`${report}  Non-2xx or 3xx responses: 7\nRequests/sec:   1234.50\n`), /Non-2xx/);
  assert.throws(() => readRate(`${report}  Socket errors: connect 1, read 0\nRequests/sec:   1.50\n`), /Socket errors/);
  assert.throws(() => readRate(report), /no rate/);
});
