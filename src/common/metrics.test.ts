// Counting and rendering: what a scrape sees.

import assert from "node:assert/strict";
import { test } from "node:test";
import { counterTable, gaugeTable, histogramTable } from "./metric-table.ts";
import { Metrics } from "./metrics.ts";

test("a counter counts by label, through every handle on it", async () => {
  const metrics = new Metrics();
  metrics.counter("andiron_log_lines_total").add({ level: "ERROR" });
  metrics.counter("andiron_log_lines_total").add({ level: "ERROR" }, 2);
  metrics.counter("andiron_log_lines_total").add({ level: "INFO" });
  const text = await metrics.render();
  assert.match(text, /^andiron_log_lines_total\{level="ERROR"\} 3$/m);
  assert.match(text, /^andiron_log_lines_total\{level="INFO"\} 1$/m);
  assert.match(text, /^# TYPE andiron_log_lines_total counter$/m);
});

test("what a tally counts is in the next scrape, once, with what the counter counts itself", async () => {
  const metrics = new Metrics();
  const counter = metrics.counter("andiron_log_lines_total");
  const tallies = [counter.tally({ level: "ERROR" }), counter.tally({ level: "ERROR" }), counter.tally({ level: "INFO" })];
  tallies[0]!.add();
  tallies[1]!.add(5);
  counter.add({ level: "ERROR" });
  for (let scrape = 0; scrape < 2; scrape++) {
    const text = await metrics.render();
    assert.match(text, /^andiron_log_lines_total\{level="ERROR"\} 7$/m);
    assert.doesNotMatch(text, /INFO/);
  }
  tallies[0]!.add();
  assert.match(await metrics.render(), /^andiron_log_lines_total\{level="ERROR"\} 8$/m);
});

test("a gauge that is read on demand shows its value at the time of the scrape", async () => {
  const metrics = new Metrics();
  let value = 1;
  metrics.gaugeFrom("andiron_build_info", { version: "0", node: "v24" }, () => value);
  assert.match(await metrics.render(), /andiron_build_info\{version="0",node="v24"\} 1$/m);
  value = 2;
  assert.match(await metrics.render(), /andiron_build_info\{version="0",node="v24"\} 2$/m);
});

test("two Metrics do not see each other's counts", async () => {
  const one = new Metrics();
  one.counter("andiron_log_lines_total").add({ level: "INFO" });
  assert.doesNotMatch(await new Metrics().render(), /andiron_/);
});

test("process metrics are there when asked for, and the content type is Prometheus'", async () => {
  const metrics = new Metrics();
  metrics.collectProcess();
  assert.match(await metrics.render(), /^process_resident_memory_bytes \d+$/m);
  assert.match(metrics.contentType, /^text\/plain; version=0\.0\.4/);
});

test("names are ours, unique over all kinds, in base units, and counters end in _total", () => {
  const tables: Readonly<Record<string, object>> = { counterTable, gaugeTable, histogramTable };
  const names = Object.values(tables).flatMap((table) => Object.keys(table));
  assert.equal(new Set(names).size, names.length);
  for (const name of names) {
    assert.match(name, /^andiron_[a-z0-9_]+$/);
    assert.doesNotMatch(name, /_(ms|millis|milliseconds|minutes|kib|mib|gib|percent)(_|$)/);
  }
  for (const name of Object.keys(counterTable)) assert.match(name, /_total$/);
});
