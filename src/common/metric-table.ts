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
  andiron_nbd_requests_total: {
    help: "NBD requests answered, by command and outcome (ok, or the errno's name).",
    labels: ["command", "result"],
  },
  andiron_nbd_bytes_total: { help: "Bytes that answered NBD requests named, by command.", labels: ["command"] },
  andiron_nbd_connections_total: { help: "NBD connections that were let in.", labels: [] },
  andiron_nbd_refused_total: { help: "NBD connections refused before or in their handshake, by reason.", labels: ["reason"] },
  andiron_backend_operations_total: {
    help: "Backend operations, by verb and outcome (ok, or an error code).",
    labels: ["verb", "result"],
  },
  andiron_job_progress_total: {
    help: "What long jobs got done in this process, by kind, in the units of the kind.",
    labels: ["kind", "unit"],
  },
  andiron_job_retries_total: { help: "Steps of long jobs that failed, by kind.", labels: ["kind"] },
  andiron_jobs_ended_total: {
    help: "Long jobs that this process brought to their end, by kind and outcome (done, failed, cancelled).",
    labels: ["kind", "outcome"],
  },
  andiron_notifications_sent_total: {
    help: "Notifications that RabbitMQ has confirmed, by priority (info, error).",
    labels: ["priority"],
  },
  andiron_notifications_dropped_total: {
    help: "Notifications that were not written, because the outbox was full or they were too large. Watch it.",
    labels: [],
  },
  andiron_notifications_failures_total: { help: "Failed tries to send notifications; they are repeated.", labels: [] },
  andiron_backend_bytes_total: { help: "Bytes read from the backend and stored on it, by verb.", labels: ["verb"] },
} as const satisfies Record<string, CounterRow>;

export const gaugeTable = {
  andiron_build_info: { help: "Always 1; the labels say which version runs on which Node.", labels: ["version", "node"] },
  andiron_nbd_sessions: { help: "NBD connections that have an export open.", labels: [] },
  andiron_open_disks: { help: "Disks that this router owns and has open.", labels: [] },
  andiron_journal_bytes: {
    help: "Local disk taken by sealed journal files that no checkpoint covers. Writers wait at journal_bytes_max.",
    labels: [],
  },
  andiron_journal_flushes: { help: "Flushes and FUA writes that journals were asked for, since the start.", labels: [] },
  andiron_journal_syncs: {
    help: "Syncs of journal files for them, since the start; several flushes may share one.",
    labels: [],
  },
  andiron_journal_filled_bytes: {
    help: "Zeroes laid ahead of the records in journal files that are flushed often, since the start.",
    labels: [],
  },
  andiron_jobs: {
    help: "Long jobs by state, of all processes. Watch stuck, and unknown (of a newer version).",
    labels: ["state"],
  },
  andiron_jobs_oldest_seconds: { help: "Age of the oldest long job that has not ended; 0: there is none.", labels: [] },
  andiron_notifications_waiting: {
    help: "Changes whose notifications wait to be sent, of all processes. At outbox_max no more are written.",
    labels: [],
  },
  andiron_notifications_oldest_seconds: {
    help: "How long the oldest of them has waited, as far as this process knows.",
    labels: [],
  },
  andiron_notifications_unreadable: {
    help: "Records of the outbox that the publisher can't read (of another version). They stay where they are.",
    labels: [],
  },
  andiron_event_loop_delay_seconds: {
    help: "How late the main thread's event loop was, since it serves: quantiles up to 1, the longest. All requests waited so.",
    labels: ["quantile"],
  },
  andiron_event_loop_busy_seconds: {
    help: "How long the main thread's event loop was at work, since it serves: its rate is the thread's utilization.",
    labels: [],
  },
  andiron_read_cache_blocks: { help: "Blocks of 64 KiB in the read cache on the local SSD.", labels: [] },
  andiron_read_cache_hits: { help: "Blocks that were found in the read cache on the local SSD, since the start.", labels: [] },
  andiron_read_cache_misses: { help: "Blocks that were not found there, since the start.", labels: [] },
  andiron_cache_clusters: { help: "Clusters of 4 KiB in the read cache.", labels: [] },
  andiron_cache_hits: { help: "Look-ups in the read cache that found their cluster, since the start.", labels: [] },
  andiron_cache_misses: { help: "Look-ups in the read cache that did not find their cluster, since the start.", labels: [] },
} as const satisfies Record<string, GaugeRow>;

export const histogramTable = {
  andiron_api_request_seconds: {
    help: "Time from the head of an API request to its answer.",
    labels: ["operation"],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
  },
  andiron_backend_operation_seconds: {
    help: "Time of backend operations, failed ones included.",
    labels: ["verb"],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
  },
} as const satisfies Record<string, HistogramRow>;
