// Every long-lived part of a process is a Service. bin/ starts them in order and, on SIGTERM, drains them in the
// same order (user-facing first) and stops them in reverse.

export interface Service {
  /** Stable name for logs: "nbd-server", "cleaner". */
  readonly id: string;
  /** Resolves when the service serves; rejects when it cannot start. */
  start(): Promise<void>;
  /** Stops taking new work and finishes what was taken. Optional: most services need only stop(). */
  drain?(): Promise<void>;
  /** Releases everything, without waiting for what may be left to the next start once `hurry` resolves. Safe to call twice, and
   * after a failed start. */
  stop(hurry?: Promise<unknown>): Promise<void>;
}
