// Tests the judgement of a run of Tempest: what it complains of, and how results and lists are read.

import assert from "node:assert/strict";
import { test } from "node:test";
import { countResults, excerpt, findComplaints, parseList, parseResults, rowsFor } from "./verdict.ts";

const csv = [
  "test,status,start_time,stop_time",
  "a.B.test_good[id-1],success,2026-01-01 00:00:00+00:00,2026-01-01 00:00:01.500000+00:00",
  '"a.B.test_bad[id-2,negative]",failure,2026-01-01 00:00:00+00:00,2026-01-01 00:00:01+00:00',
  "setUpClass (a.C),skip,2026-01-01 00:00:00+00:00,2026-01-01 00:00:00+00:00",
  "",
].join("\r\n");

const results = parseResults(csv);
const row = (name: string): { name: string; heading: string; reason: string } => ({ name, heading: "H", reason: "r" });

test("results have names without tags, outcomes and times", () => {
  assert.deepEqual(results, [
    { name: "a.B.test_good", outcome: "success", seconds: 1.5 },
    { name: "a.B.test_bad", outcome: "fail", seconds: 1 },
    { name: "setUpClass a.C", outcome: "skip", seconds: 0 },
  ]);
  assert.equal(countResults(results), "1 passed, 1 failed, 1 skipped, 3 in all");
  assert.throws(() => parseResults("test\na.B.c,exists,,"), /that we do not: a\.B\.c/);
});

test("what failed or was skipped without being listed is complained of", () => {
  const complaints = findComplaints(results, { failures: [], skips: [] }, true);
  assert.deepEqual(complaints, ["failed: a.B.test_bad", "skipped, and nobody said that it may be: setUpClass a.C"]);
  const mixedUp = findComplaints(results, { failures: [row("setUpClass a.C")], skips: [row("a.B.test_bad")] }, true);
  assert.equal(mixedUp.length, 4);
});

test("a run as listed is in order", () => {
  const lists = { failures: [row("a.B.test_bad")], skips: [row("setUpClass a.C")] };
  assert.deepEqual(findComplaints(results, lists, true), []);
});

test("a row that is not needed any more is complained of, one without a result in a whole run only", () => {
  const lists = { failures: [row("a.B.test_bad"), row("a.B.test_good")], skips: [row("setUpClass a.C"), row("a.D.gone")] };
  const stale = "listed as fail, but its outcome is success: take it off: a.B.test_good";
  assert.deepEqual(findComplaints(results, lists, false), [stale]);
  const gone = "listed as skip, but there is no such test: a.D.gone";
  assert.deepEqual(findComplaints(results, lists, true), [stale, gone]);
});

test("a list gives each row its heading and reason", () => {
  const text = "# said of all\n\n## Images\nsetUpClass a.C  not there\na.b.c  no image\n";
  assert.deepEqual(parseList(text), [
    { name: "setUpClass a.C", heading: "Images", reason: "not there" },
    { name: "a.b.c", heading: "Images", reason: "no image" },
  ]);
});

for (const [what, text] of [
  ["a reason", "## H\na.b.c\n"],
  ["a heading", "a.b.c  reason\n"],
  ["its own name", "## H\na.b.c  reason\na.b.c  reason\n"],
] as const) {
  test(`a row without ${what} is refused`, () => assert.throws(() => parseList(text), /^Error: line \d/));
}

test("the excerpt of a failure is what was printed of it last, without the log", () => {
  const output = "a.B.test_bad ... FAILED\n\na.B.test_bad\n----\nTraceback\nCaptured pythonlogging:\nlog";
  assert.equal(excerpt(output, "a.B.test_bad"), "a.B.test_bad\n----\nTraceback\n");
});

test("rows below a heading with or without Nova are for such a cloud only", () => {
  const rows = parseList("## Both\na  r\n## Without Nova: why\nb  r\n## With Nova: why\nc  r\n");
  const names = (withNova: boolean): string =>
    rowsFor(rows, withNova)
      .map(({ name }) => name)
      .join("");
  assert.deepEqual([names(false), names(true)], ["ab", "ac"]);
});
