// Ties what the server counts to the rows of the metric table.

import type { Metrics } from "../common/metrics.ts";
import type { ApiMetrics } from "./server.ts";

/** The counters of the API, and everything counted as the answer of /metrics. */
export function countApi(metrics: Metrics): ApiMetrics {
  const requests = metrics.counter("andiron_api_requests_total");
  const durations = metrics.histogram("andiron_api_request_seconds");
  return {
    requestDone(operationId, status, durationSeconds) {
      requests.add({ operation: operationId, status: String(status) });
      durations.observe({ operation: operationId }, durationSeconds);
    },
    render: async () => ({ contentType: metrics.contentType, text: await metrics.render() }),
  };
}
