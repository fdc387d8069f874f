// The delay of the event loop as a metric.

import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../common/clock.ts";
import { Metrics } from "../common/metrics.ts";
import { watchEventLoop } from "./loop-metrics.ts";

test("work that holds up the event loop shows as its longest delay", async () => {
  const metrics = new Metrics();
  watchEventLoop(metrics);
  await systemClock.sleep(20); // it is looked at for the first time
  const busyMs = 80;
  for (const startMs = performance.now(); performance.now() - startMs < busyMs;);
  await systemClock.sleep(20);
  const text = await metrics.render();
  const longest = /^andiron_event_loop_delay_seconds\{quantile="1"\} (\S+)$/m.exec(text);
  assert.ok(Number(longest?.[1]) > 0.05, text);
  assert.match(text, /quantile="0.9999"/);
  const busy = /^andiron_event_loop_busy_seconds (\S+)$/m.exec(text);
  assert.ok(Number(busy?.[1]) > 0.05, text);
});
