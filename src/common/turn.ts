// Work that takes long is done in pieces, each in a turn of the event loop of its own: what arrives meanwhile is served between
// two of them. An await alone is no such thing, as long as what is awaited is there already.

/** Resolves in the next turn of the event loop, when what has arrived by now was looked at. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
