// Always-on assertions. A failed assertion is a bug in Andiron, never an operating error: it ends the process
// (the journal makes that safe), it is never turned into an HTTP or NBD answer.

export class AssertionError extends Error {
  override name = "AssertionError";
}

/** Throws AssertionError unless `condition` holds. `message` may be lazy when it is costly to build. */
export function assert(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new AssertionError(typeof message === "string" ? message : message());
}

/** For the impossible branch of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable value: ${String(value)}`);
}
