// Runs the services of a process until it is told to end: starts them in order, and on SIGTERM or SIGINT drains them in the
// same order (user-facing first) and stops them in reverse.
//
//   starting ──all started──► serving ──signal──► draining ──drained, or time is up──► stopping ──► ended
//      │                                             │
//      └──── one cannot start ──► stopping           └── second signal ──► stopping
//
// A signal within sameSignalMs of the first is the same one: npm passes on what the terminal gave its whole process group.
// A service that cannot start, drain or stop is logged here, once; the others are still stopped.

import { AndironError } from "../common/errors.ts";
import type { Clock } from "../common/clock.ts";
import type { Logger } from "../common/log.ts";
import type { Service } from "../common/service.ts";

export const exitCodes = {
  /** Ended because it was asked to. */
  stopped: 0,
  /** A service could not start, drain or stop; see the log. */
  failed: 1,
} as const;

const sameSignalMs = 1000;

export interface RunOptions {
  readonly services: readonly Service[];
  readonly log: Logger;
  readonly clock: Clock;
  /** How long all services together may drain; 0: no limit. A second signal ends it in any case, and hurries their stop. */
  readonly drainTimeoutMs: number;
  /** Where SIGTERM and SIGINT come from: the process; an emitter of their own in tests. */
  readonly signals: { on(name: "SIGTERM" | "SIGINT", listener: () => void): unknown };
  /** Called once all services serve. */
  readonly onServing?: () => void;
}

/** Resolves with the exit code when everything has stopped. Never rejects. */
export async function runServices({ services, log, clock, drainTimeoutMs, signals, onServing }: RunOptions): Promise<number> {
  const first = new Gate();
  const second = new Gate();
  let firstAtMs = 0;
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    signals.on(name, () => {
      if (!first.isOpen) firstAtMs = clock.monotonicMs();
      else if (clock.monotonicMs() - firstAtMs < sameSignalMs) return;
      log.info(first.isOpen ? "asked to end again: not waiting any longer" : "asked to end: draining", { signal: name });
      (first.isOpen ? second : first).open();
    });
  }

  const started: Service[] = [];
  let clean = true;
  for (const service of services) {
    if (first.isOpen) break;
    started.push(service); // also when it fails half-way: stop() releases what it has
    clean = await attempt(log, service, "start", () => service.start());
    if (!clean) break;
  }
  if (clean && !first.isOpen) {
    onServing?.();
    await first.opened;
    const late = new Gate();
    const timer = drainTimeoutMs === 0 ? undefined : clock.after(drainTimeoutMs, () => late.open());
    for (const service of started) {
      const drained = attempt(log, service, "drain", async () => service.drain?.());
      clean = ((await Promise.race([drained, second.opened, late.opened])) ?? true) && clean;
    }
    timer?.cancel();
  }
  for (const service of started.reverse())
    clean = (await attempt(log, service, "stop", () => service.stop(second.opened))) && clean;
  return clean ? exitCodes.stopped : exitCodes.failed;
}

async function attempt(log: Logger, service: Service, what: string, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    log.error(`${service.id} cannot ${what}`, { error });
    return false;
  }
}

/** What a program prints when it cannot even begin: the operator's errors without a trace, bugs with one. */
export function describeFailure(program: string, error: unknown): string {
  if (!(error instanceof AndironError))
    return `${program}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  return `${program}: ${error.message}${error.hint === undefined ? "" : `\n${program}: ${error.hint}`}`;
}

/** A promise that is opened from outside, and can be asked whether it was. */
class Gate {
  readonly opened: Promise<undefined>;
  #resolve: (value: undefined) => void = () => undefined;
  #open = false;

  constructor() {
    this.opened = new Promise((resolve) => (this.#resolve = resolve));
  }

  get isOpen(): boolean {
    return this.#open;
  }

  open(): void {
    this.#open = true;
    this.#resolve(undefined);
  }
}
