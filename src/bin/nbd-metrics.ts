// Ties what the NBD server counts to the rows of the metric table.

import type { Metrics } from "../common/metrics.ts";
import { command, errno } from "../nbd/constants.ts";
import type { NbdMetrics } from "../nbd/observer.ts";

const commandNames = namesOf(command);
const errnoNames = namesOf(errno);

export function nbdMetrics(metrics: Metrics): NbdMetrics {
  const requests = metrics.counter("andiron_nbd_requests_total");
  const bytes = metrics.counter("andiron_nbd_bytes_total");
  const connections = metrics.counter("andiron_nbd_connections_total");
  const refused = metrics.counter("andiron_nbd_refused_total");
  return {
    connected: () => connections.add({}),
    disconnected: () => undefined,
    refused: (reason) => refused.add({ reason }),
    replied(number, lengthBytes, error) {
      const name = commandNames.get(number) ?? "unknown";
      requests.add({ command: name, result: error === 0 ? "ok" : (errnoNames.get(error) ?? "other") });
      bytes.add({ command: name }, lengthBytes);
    },
  };
}

function namesOf(table: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(table).map(([name, number]) => [number, name]));
}
