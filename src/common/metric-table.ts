// The one table of metrics. Typed handles (metrics.ts) and docs/metrics.md come from it: to add a metric, add a row here,
// run `npm run gen`, and take its handle from the Metrics that you are given.
//
// - Names begin with andiron_, are in base units and say them last: _seconds, _bytes, _total for counters.
// - Labels have few values, known beforehand. A volume, a client or a request is never a label.

export interface CounterRow {
  readonly help: string;
  readonly labels: readonly string[];
}

export type GaugeRow = CounterRow;

export interface HistogramRow extends CounterRow {
  /** Upper bounds, rising. */
  readonly buckets: readonly number[];
}

export const counterTable = {
  andiron_log_lines_total: { help: "Lines logged, by level. Watch ERROR and WARNING.", labels: ["level"] },
  andiron_api_requests_total: {
    help: "API requests answered, by operation of openapi.yaml (none: no such route) and status.",
    labels: ["operation", "status"],
  },
} as const satisfies Record<string, CounterRow>;

export const gaugeTable = {
  andiron_build_info: { help: "Always 1; the labels say which version runs on which Node.", labels: ["version", "node"] },
} as const satisfies Record<string, GaugeRow>;

export const histogramTable = {
  andiron_api_request_seconds: {
    help: "Time from the head of an API request to its answer.",
    labels: ["operation"],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
  },
} as const satisfies Record<string, HistogramRow>;
