// wrk (Debian's): how many requests of one URL a server answers in a second, by so many clients that keep their connections
// and ask again as soon as they are answered. It costs less than any server measured here.

import { runOk } from "../test/harness/command.ts";

export interface WrkOptions {
  readonly clients: number;
  /** Whole seconds. */
  readonly seconds: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Resolves with the requests per second. Rejects when an answer was no success. */
export async function runWrk(url: string, { clients, seconds, headers }: WrkOptions): Promise<number> {
  const lines = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const sizes = ["-t", "1", "-c", String(clients), "-d", `${seconds}s`, "--timeout", "30s"];
  return readRate(await runOk("wrk", [...sizes, ...lines, url]));
}

/** Of what wrk prints. Throws when there were errors, or is no rate. */
export function readRate(output: string): number {
  const trouble = /^ *(Non-2xx or 3xx responses|Socket errors): .*$/m.exec(output);
  if (trouble !== null) throw new Error(`wrk saw ${trouble[0].trim()}`);
  const rate = Number(/^Requests\/sec: +([\d.]+)$/m.exec(output)?.[1] ?? 0);
  if (!(rate > 0)) throw new Error(`wrk gives no rate:\n${output}`);
  return rate;
}
