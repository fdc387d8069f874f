// Ties what the NBD server counts to the rows of the metric table.

import type { Metrics, Tally } from "../common/metrics.ts";
import { command, errno } from "../nbd/constants.ts";
import type { NbdMetrics } from "../nbd/observer.ts";

const errnoNames = namesOf(errno);

export function nbdMetrics(metrics: Metrics): NbdMetrics {
  const requests = metrics.counter("andiron_nbd_requests_total");
  const bytes = metrics.counter("andiron_nbd_bytes_total");
  const connections = metrics.counter("andiron_nbd_connections_total");
  const refused = metrics.counter("andiron_nbd_refused_total");
  const talliesOf = (name: string): { readonly name: string; readonly requests: Tally; readonly bytes: Tally } => ({
    ...{ name, requests: requests.tally({ command: name, result: "ok" }), bytes: bytes.tally({ command: name }) },
  });
  /** By the command's number. */
  const done = Object.fromEntries(Object.entries(command).map(([name, number]) => [number, talliesOf(name)]));
  const unknown = talliesOf("unknown");
  return {
    connected: () => connections.add({}),
    disconnected: () => undefined,
    refused: (reason) => refused.add({ reason }),
    replied(number, lengthBytes, error) {
      const tallies = done[number] ?? unknown;
      if (error === 0) tallies.requests.add();
      else requests.add({ command: tallies.name, result: errnoNames.get(error) ?? "other" });
      tallies.bytes.add(lengthBytes);
    },
  };
}

function namesOf(table: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(table).map(([name, number]) => [number, name]));
}
