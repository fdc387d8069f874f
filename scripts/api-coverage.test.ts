// What does not fit together in docs/api-coverage.md is found: each finding fires, and what is checked in has none.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Coverage, findCoverageProblems, loadCoverage, renderCoverage } from "./api-coverage.ts";

const coverage = await loadCoverage();

/** The problems of the real thing with some of it changed. */
function problems(change: Partial<Coverage>): string {
  return findCoverageProblems({ ...coverage, ...change }).join("\n");
}

test("every operation of Cinder's is a row, served or with the reason why not", () => {
  assert.equal(problems({}), "");
  assert.equal(coverage.cinders.length, 210);
  const page = renderCoverage(coverage);
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  const missing = rows.filter((line) => line.includes("| not yet |")).length;
  assert.equal(rows.length, coverage.served.length + missing);
  assert.equal(new Set(rows).size, rows.length);
  assert.match(
    page,
    /^\| `POST \/v3\/volumes\/\{volume_id\}\/action` `revert` \| 3\.40 \| 202 \| `volume:revert_to_snapshot` \|/m,
  );
});

test("an operation that no test saw succeed is found, and one that succeeds though it says that it never does", () => {
  const record = coverage.record.filter(({ operationId }) => operationId !== "showVolume");
  assert.match(problems({ record }), /^no stop of .* saw showVolume succeed/);
  assert.throws(() => renderCoverage({ ...coverage, record }), /showVolume/);
  const served = coverage.served.map((one) => (one.id === "showVolume" ? { ...one, refusal: "never" } : one));
  assert.match(problems({ served }), /^showVolume succeeds/);
});

test("an operation that Cinder has not, or since another microversion, is found", () => {
  const changed = (change: object): Partial<Coverage> => ({
    served: coverage.served.map((one) => (one.id === "listMessages" ? { ...one, ...change } : one)),
  });
  assert.match(problems(changed({ sinceMinor: 4 })), /^GET \/messages is there since 3\.3 in Cinder, not 3\.4$/);
  assert.match(problems(changed({ path: "/v3/mail" })), /listMessages is no operation of Cinder's/);
});

test("what is not served needs a reason, and what is served none", () => {
  const served = coverage.served.filter((one) => one.id !== "listMessages");
  assert.match(problems({ served }), /GET \/messages is not served, and .* does not say why/);
  assert.match(problems({ lacks: { ...coverage.lacks, Limits: "limits" } }), /^Limits is served/);
});

test("a record of an operation that is gone is found", () => {
  const record = [...coverage.record, { file: "a.test.ts", operationId: "listGhosts", test: "ghosts" }];
  assert.match(problems({ record }), /^the record of a\.test\.ts names listGhosts/);
});
