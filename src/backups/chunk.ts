// The body of a chunk: a range of the volume, what of it is in the backup, and those bytes. Pure functions; whole clusters
// only.
//
//   from u64, to u64, count u32, 0 u32 │ count × (offset u64, clusters u32, kind u32: 0 zeroes, 1 data) │ the data in that order
//
// Chunks of a backup are in the order of their ranges. In a whole backup a range that is in no extent is zeroes, in an
// incremental one it is as it was.

import { AndironError } from "../common/errors.ts";
import type { ChangedExtent } from "../engine/device.ts";
import { backupLimits, clusterBytes } from "./limits.ts";

export interface Chunk {
  readonly from: number;
  readonly to: number;
  /** Ascending, inside of the range. */
  readonly extents: readonly ChangedExtent[];
}

const headBytes = 24;
const entryBytes = 16;

export const chunkBodyBytesMax = headBytes + backupLimits.extentsMax * entryBytes + backupLimits.chunkBytesMax;

/** A body without its data, and where that of each extent goes. */
export interface EmptyBody {
  readonly body: Buffer;
  /** Of data extents only. */
  readonly places: readonly { readonly extent: ChangedExtent; readonly target: Buffer }[];
}

export function layOutChunk({ from, to, extents }: Chunk): EmptyBody {
  const tableBytes = headBytes + extents.length * entryBytes;
  const dataBytes = extents.reduce((sum, { kind, lengthBytes }) => sum + (kind === "data" ? lengthBytes : 0), 0);
  const body = Buffer.allocUnsafe(tableBytes + dataBytes);
  body.writeBigUInt64LE(BigInt(from), 0);
  body.writeBigUInt64LE(BigInt(to), 8);
  body.writeUInt32LE(extents.length, 16);
  body.writeUInt32LE(0, 20);
  const places: { extent: ChangedExtent; target: Buffer }[] = [];
  let dataAt = tableBytes;
  for (const [index, extent] of extents.entries()) {
    const entry = headBytes + index * entryBytes;
    body.writeBigUInt64LE(BigInt(extent.offset), entry);
    body.writeUInt32LE(extent.lengthBytes / clusterBytes, entry + 8);
    body.writeUInt32LE(extent.kind === "data" ? 1 : 0, entry + 12);
    if (extent.kind === "zero") continue;
    places.push({ extent, target: body.subarray(dataAt, dataAt + extent.lengthBytes) });
    dataAt += extent.lengthBytes;
  }
  return { body, places };
}

/** The chunk, and the bytes of its data extents, in their order. Throws backup_damaged. */
export function parseChunk(body: Buffer): Chunk & { readonly data: readonly Buffer[] } {
  if (body.length < headBytes) throw damaged("it is too short");
  const [from, to] = [Number(body.readBigUInt64LE(0)), Number(body.readBigUInt64LE(8))];
  const count = body.readUInt32LE(16);
  let dataAt = headBytes + count * entryBytes;
  if (!isWhole(from) || !isWhole(to) || from >= to || body.length < dataAt) throw damaged("its range or its table is none");
  const extents: ChangedExtent[] = [];
  const data: Buffer[] = [];
  let end = from;
  for (let index = 0; index < count; index++) {
    const entry = headBytes + index * entryBytes;
    const offset = Number(body.readBigUInt64LE(entry));
    const lengthBytes = body.readUInt32LE(entry + 8) * clusterBytes;
    const kind = body.readUInt32LE(entry + 12);
    if (!isWhole(offset) || lengthBytes === 0 || offset < end || offset + lengthBytes > to || kind > 1) {
      throw damaged(`its extent ${index} is out of order`);
    }
    end = offset + lengthBytes;
    extents.push({ offset, lengthBytes, kind: kind === 1 ? "data" : "zero" });
    if (kind === 0) continue;
    data.push(body.subarray(dataAt, dataAt + lengthBytes));
    dataAt += lengthBytes;
  }
  if (dataAt !== body.length) throw damaged("its data is not as long as its table says");
  return { from, to, extents, data };
}

function isWhole(bytes: number): boolean {
  return Number.isSafeInteger(bytes) && bytes % clusterBytes === 0;
}

function damaged(why: string): AndironError {
  return new AndironError("backup_damaged", `a chunk of a backup cannot be read: ${why}`);
}
