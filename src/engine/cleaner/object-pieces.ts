// Reads many pieces of one object that lie not far from each other, by few reads of the backend: a read takes as long for a MiB
// as for a cluster where the backend is on a network, and a segment that was written at random has thousands of pieces.
//
// - A piece stays where it was read: memory that is new is touched first by the thread that reads, not in a turn of the event
//   loop, and never changes (a backend that was too slow may still be reading it).
// - The pieces of one read are shown in a turn of its own.

import { severalAtOnce } from "../../common/several.ts";
import { backgroundTurn } from "../../common/turn.ts";
import { intoOwnTarget, type ObjectBackend } from "../backend/backend.ts";
import { KiB, MiB } from "../limits.ts";

export interface ObjectPiece {
  /** In the object. */
  readonly offset: number;
  readonly bytes: number;
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

/**
 * The bytes of `pieces`, which are in the order of their offsets, in as many parts as do not lie one behind the other. Calls
 * `found` with those of each piece. Rejects as the backend, and with what `found` throws.
 */
export async function readPieces<P extends ObjectPiece>(
  backend: Pick<ObjectBackend, "read">,
  name: string,
  pieces: readonly P[],
  found: (piece: P, data: Buffer) => void,
): Promise<Buffer[]> {
  const spans = [...spansOf(pieces)];
  const parts: Buffer[][] = [];
  await severalAtOnce(readsAtOnceMax, spans.entries(), async ([number, { start, end, pieces: inside }]) => {
    const memory = Buffer.allocUnsafe(end - start);
    await backend.read(name, start, memory, intoOwnTarget);
    await backgroundTurn();
    const ends: [from: number, to: number][] = [];
    for (const piece of inside) {
      const [from, to] = [piece.offset - start, piece.offset - start + piece.bytes];
      found(piece, memory.subarray(from, to));
      const last = ends.at(-1);
      if (last?.[1] === from) last[1] = to;
      else ends.push([from, to]);
    }
    parts[number] = ends.map(([from, to]) => memory.subarray(from, to));
  });
  return parts.flat();
}

function* spansOf<P extends ObjectPiece>(pieces: readonly P[]): Generator<Span<P>> {
  let span: Span<P> | undefined;
  for (const piece of pieces) {
    const end = piece.offset + piece.bytes;
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
