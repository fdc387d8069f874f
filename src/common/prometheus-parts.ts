// What we use of @prometheus-io/client, part by part. Its entry brings push gateways, clusters and summaries along, and its
// metrics of a process all of OpenTelemetry, for examples that nobody asked for: 13 MiB and 35 ms of each start. Its summary of
// the event loop's utilization, ten values a second into five digests, is left out: it took a third of what an idle service took.
//
// The package has no list of what may be taken from it, and its version is pinned; a test compares with what its entry says.

import { createRequire } from "node:module";
import type * as Client from "@prometheus-io/client";

const take = createRequire(import.meta.url);

/** Adds metrics of one kind to a registry. */
type Collector = (registry: Client.Registry, options: { readonly eventLoopMonitoringPrecision: number }) => void;

const part = (name: string): unknown => take(`@prometheus-io/client/lib/${name}`);

export const Counter = part("counter") as typeof Client.Counter;
export const Gauge = part("gauge") as typeof Client.Gauge;
export const Histogram = part("histogram") as typeof Client.Histogram;
export const Registry = part("registry") as typeof Client.Registry;

/** All that the package has but processCpuTotal, which is below, and eventLoopUtilization. */
const kinds = [
  ...["processStartTime", "osMemoryHeap", "processOpenFileDescriptors", "processMaxFileDescriptors", "eventLoopLag"],
  ...["processResources", "processHandles", "processRequests", "heapSizeAndUsed"],
  ...["heapSpacesSizeAndUsed", "version", "gc"],
];

/** What Prometheus clients say of any process (process_*) and of Node (nodejs_*). */
export function collectProcessMetrics(registry: Client.Registry): void {
  for (const kind of kinds) (part(`metrics/${kind}`) as Collector)(registry, { eventLoopMonitoringPrecision: 10 });
  const registers = [registry];
  const counter = (name: string, help: string, microseconds: (usage: NodeJS.CpuUsage) => number): void => {
    let seen = 0;
    new Counter({
      ...{ name, help, registers },
      collect() {
        const now = microseconds(process.cpuUsage());
        this.inc((now - seen) / 1e6);
        seen = now;
      },
    });
  };
  counter("process_cpu_user_seconds_total", "Total user CPU time spent in seconds.", ({ user }) => user);
  counter("process_cpu_system_seconds_total", "Total system CPU time spent in seconds.", ({ system }) => system);
  const all = "Total user and system CPU time spent in seconds.";
  counter("process_cpu_seconds_total", all, ({ user, system }) => user + system);
}
