// Reads many pieces of one object that lie not far from each other, by few reads of the backend: a read takes as long for a MiB
// as for a cluster where the backend is on a network, and a segment that was written at random has thousands of pieces.

import { severalAtOnce } from "../../common/several.ts";
import type { ObjectBackend } from "../backend/backend.ts";
import { KiB, MiB } from "../limits.ts";

export interface ObjectPiece {
  /** In the object. */
  readonly offset: number;
  readonly target: Buffer;
}

interface Span<P> {
  readonly start: number;
  end: number;
  readonly pieces: P[];
}

const spanBytesMax = MiB;
/** What nobody wants is read too, where it is no more than this between two pieces. */
const gapBytesMax = 64 * KiB;
const readsAtOnceMax = 4;

/** Fills the targets of `pieces`, which are in the order of their offsets; calls `filled` for each. Rejects as the backend. */
export async function readPieces<P extends ObjectPiece>(
  backend: Pick<ObjectBackend, "read">,
  name: string,
  pieces: readonly P[],
  filled: (piece: P) => void,
): Promise<void> {
  await severalAtOnce(readsAtOnceMax, spansOf(pieces), async ({ start, end, pieces: inside }) => {
    const only = inside.length === 1 ? inside[0] : undefined;
    const span = only?.target ?? Buffer.allocUnsafe(end - start);
    await backend.read(name, start, span);
    for (const piece of inside) {
      if (only === undefined) span.copy(piece.target, 0, piece.offset - start);
      filled(piece);
    }
  });
}

function* spansOf<P extends ObjectPiece>(pieces: readonly P[]): Generator<Span<P>> {
  let span: Span<P> | undefined;
  for (const piece of pieces) {
    const end = piece.offset + piece.target.length;
    if (span !== undefined && piece.offset - span.end <= gapBytesMax && end - span.start <= spanBytesMax) {
      span.pieces.push(piece);
      span.end = end;
      continue;
    }
    if (span !== undefined) yield span;
    span = { start: piece.offset, end, pieces: [piece] };
  }
  if (span !== undefined) yield span;
}
