// Shows for each rule about what is written of the code that it fires.

import assert from "node:assert/strict";
import { test } from "node:test";
import { renderConfigDocs, renderMetricDocs, renderSample } from "./generated-files.ts";
import {
  findStale,
  findUndocumentedErrors,
  findUndocumentedMetrics,
  findUndocumentedOptions,
  findUnusedMetrics,
} from "./tidy-docs.ts";

test("a generated file that is missing or changed by hand is stale", () => {
  const generated = [{ path: "a.md", render: () => "right\n" }];
  assert.equal(findStale([{ path: "a.md", text: "right\n" }], generated).length, 0);
  assert.equal(findStale([{ path: "a.md", text: "wrong\n" }], generated).length, 1);
  assert.equal(findStale([], generated).length, 1);
  const render = (): string => assert.fail("why");
  assert.match(findStale([], [{ path: "a.md", render }])[0]!.problem, /cannot be written: .*why/);
});

test("options and metrics that the docs leave out are found, and what we generate leaves none out", () => {
  assert.deepEqual(findUndocumentedOptions([{ path: "docs/config.md", text: renderConfigDocs() }]), []);
  assert.deepEqual(findUndocumentedMetrics([{ path: "docs/metrics.md", text: renderMetricDocs() }]), []);
  const text = renderConfigDocs().replaceAll("`journal_path`", "");
  assert.match(findUndocumentedOptions([{ path: "docs/config.md", text }])[0]!.problem, /journal_path/);
  assert.notEqual(findUndocumentedMetrics([]).length, 0);
});

test("an error code without a row, with the wrong kind, or no longer there is found", () => {
  const text = "| `known` | conflict | Fine. |\n| `changed` | invalid | Was invalid. |\n| `gone` | data | Was there. |\n";
  const codes = { known: "conflict", changed: "conflict", lacking: "data" } as const;
  const problems = findUndocumentedErrors([{ path: "docs/errors.md", text }], codes).map(({ problem }) => problem);
  assert.equal(problems.length, 3);
  assert.match(problems.join("\n"), /changed is invalid; it is conflict[\s\S]*lacking[\s\S]*gone/);
});

test("a metric that nothing counts is found; a test does not count", () => {
  const users = [{ path: "src/a.ts", text: 'metrics.counter("andiron_used_total")' }];
  const tests = [{ path: "src/a.test.ts", text: 'metrics.counter("andiron_unused_total")' }];
  const found = findUnusedMetrics([...users, ...tests], ["andiron_used_total", "andiron_unused_total"]);
  assert.equal(found.length, 1);
  assert.match(found[0]!.problem, /andiron_unused_total/);
});

test("the sample sets nothing: every line is a group, a comment or empty", () => {
  const lines = renderSample().split("\n");
  assert.deepEqual(
    lines.filter((line) => !/^(\[\w+\]|#.*|)$/.test(line)),
    [],
  );
  assert.ok(lines.includes("#osapi_volume_listen_port = 8776"));
});
