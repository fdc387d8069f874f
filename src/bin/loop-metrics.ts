// How late the event loop is: everything of this process waits for as long, requests of disks as well as heartbeats. Node
// measures it outside of JavaScript, by a timer of its own. And how long it was at work, which Node counts anyway.

import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { Metrics } from "../common/metrics.ts";

/** How often it is looked at. What is recorded is the time between two looks. */
const resolutionMs = 5;
/** 1 is the longest of all. */
const quantiles = [0.5, 0.99, 0.999, 0.9999, 1] as const;

/** From now on, until the process ends. */
export function watchEventLoop(metrics: Metrics): void {
  const intervals = monitorEventLoopDelay({ resolution: resolutionMs });
  intervals.enable();
  const begin = performance.eventLoopUtilization();
  metrics.gaugeFrom("andiron_event_loop_busy_seconds", {}, () => performance.eventLoopUtilization(begin).active / 1000);
  for (const quantile of quantiles) {
    metrics.gaugeFrom("andiron_event_loop_delay_seconds", { quantile: String(quantile) }, () => {
      if (intervals.count === 0) return 0;
      const intervalNs = quantile === 1 ? intervals.max : intervals.percentile(quantile * 100);
      return Math.max(0, intervalNs / 1e9 - resolutionMs / 1000);
    });
  }
}
