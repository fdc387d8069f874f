// The parts say of a process what the package's entry says, with less of it loaded.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { Registry as WholeRegistry, collectDefaultMetrics } from "@prometheus-io/client";
import { Registry, collectProcessMetrics } from "./prometheus-parts.ts";

test("the metrics of a process are those of the package but for two, by name, kind and help", async () => {
  const [whole, parts] = [new WholeRegistry(), new Registry()];
  collectDefaultMetrics({ register: whole });
  collectProcessMetrics(parts);
  const factsOf = async (registry: WholeRegistry): Promise<readonly unknown[]> =>
    (await registry.getMetricsAsJSON())
      .filter(({ name }) => !name.startsWith("nodejs_eventloop_utilization_"))
      .map(({ name, type, help }) => [name, type, help].join(" "))
      .sort();
  assert.deepEqual(await factsOf(parts), await factsOf(whole));
  assert.doesNotMatch(await parts.metrics(), /eventloop_utilization/);
});

test("the time of the processors counts from the process's start, once", async () => {
  const registry = new Registry();
  collectProcessMetrics(registry);
  for (let look = 0; look < 2; look++) {
    const text = await registry.metrics();
    const seconds = Number(/^process_cpu_seconds_total (\S+)$/m.exec(text)?.[1]);
    const { user, system } = process.cpuUsage();
    assert.ok(seconds > 0 && seconds <= (user + system) / 1e6);
  }
});

test("OpenTelemetry is not loaded", () => {
  const program = `
    const { collectProcessMetrics, Registry } = await import(${JSON.stringify(join(import.meta.dirname, "prometheus-parts.ts"))});
    collectProcessMetrics(new Registry());
    const { createRequire } = await import("node:module");
    const names = Object.keys(createRequire("/").cache);
    console.log(names.filter((name) => name.includes("/node_modules/@prometheus-io/")).length > 10);
    console.log(names.filter((name) => name.includes("opentelemetry")).length);
    process.exit();`;
  const done = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  assert.equal(done.stdout, "true\n0\n", done.stderr);
});
