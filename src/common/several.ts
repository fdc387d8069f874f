// Work on many things, a few at a time, in the order of their beginning.

/** The first failure ends the rest. Resolves or rejects when nothing is under way any more. */
export async function severalAtOnce<T>(countMax: number, items: Iterable<T>, work: (item: T) => Promise<unknown>): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (failure === undefined) {
      const next = iterator.next();
      if (next.done === true) return;
      try {
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: countMax }, worker));
  if (failure !== undefined) throw failure.error;
}
