// Work that takes long is done in pieces, each in a turn of the event loop of its own: what arrives meanwhile is served between
// two of them. An await alone is no such thing, as long as what is awaited is there already.
//
// Pieces of several works would all have their place in one turn, and together keep others waiting as long as if they were one.
// So those that nobody waits for come one in a turn.

/** Resolves in the next turn of the event loop, when what has arrived by now was looked at. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const waiting: (() => void)[] = [];

/** The same for work in the background: in each turn one of those who wait here goes on, in the order of their coming. */
export const backgroundTurn = (): Promise<void> =>
  new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(goOn);
  });

function goOn(): void {
  const resolve = waiting.shift();
  if (waiting.length > 0) setImmediate(goOn);
  resolve?.();
}
