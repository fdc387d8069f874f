// Pieces of an object, read a MiB at a time: what is in them, and how many reads it takes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../common/random.ts";
import { clusterBytes, KiB, MiB } from "../limits.ts";
import { readPieces, type ObjectPiece } from "./object-pieces.ts";

function objectOf(bytes: number): {
  readonly object: Buffer;
  readonly reads: [offset: number, bytes: number][];
  readonly backend: Reader;
} {
  const object = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 4) object.writeUInt32LE(at, at);
  const reads: [number, number][] = [];
  const backend: Reader = {
    async read(name, offset, target) {
      assert.equal(name, "object");
      assert.ok(offset + target.length <= object.length, "no byte behind the last piece is asked for");
      reads.push([offset, target.length]);
      object.copy(target, 0, offset);
    },
  };
  return { object, reads, backend };
}

interface Reader {
  read(name: string, offset: number, target: Buffer): Promise<void>;
}

const pieceOf = (offset: number, bytes: number): ObjectPiece => ({ offset, bytes });

test("thousands of pieces take a read for each MiB, and each has its bytes when it is told of", async () => {
  const { object, reads, backend } = objectOf(8 * MiB);
  const random = seededRandom(1);
  const pieces: ObjectPiece[] = [];
  for (let at = 100; at + 16 * clusterBytes < object.length;) {
    const bytes = clusterBytes * (1 + random.below(4));
    pieces.push(pieceOf(at, bytes));
    at += bytes + random.below(3) * (clusterBytes + 48);
  }
  const told = new Set<ObjectPiece>();
  const bytesOf = ({ offset, bytes }: ObjectPiece): Buffer => object.subarray(offset, offset + bytes);
  const parts = await readPieces(backend, "object", pieces, (piece, data) => {
    assert.ok(data.equals(bytesOf(piece)));
    told.add(piece);
  });
  assert.ok(Buffer.concat(parts).equals(Buffer.concat(pieces.map(bytesOf))));
  assert.equal(told.size, pieces.length);
  assert.ok(reads.length <= 9, `${reads.length} reads for ${pieces.length} pieces`);
  assert.ok(reads.every(([, bytes]) => bytes <= MiB));
});

test("what lies far between two pieces is not read", async () => {
  const { reads, backend } = objectOf(4 * MiB);
  const pieces = [pieceOf(0, 4 * KiB), pieceOf(68 * KiB, 4 * KiB), pieceOf(200 * KiB, 4 * KiB), pieceOf(3 * MiB, MiB)];
  await readPieces(backend, "object", pieces, () => undefined);
  assert.deepEqual(
    reads.toSorted(([a], [b]) => a - b),
    [
      [0, 72 * KiB],
      [200 * KiB, 4 * KiB],
      [3 * MiB, MiB],
    ],
  );
});

test("no pieces take no read, and a failed read is the failure of all", async () => {
  const { reads, backend } = objectOf(MiB);
  assert.deepEqual(await readPieces(backend, "object", [], () => assert.fail("there is none")), []);
  assert.equal(reads.length, 0);
  const broken: Reader = { read: () => Promise.reject(new Error("away")) };
  await assert.rejects(
    readPieces(broken, "object", [pieceOf(0, 10), pieceOf(500 * KiB, 10)], () => assert.fail("nothing was read")),
    /away/,
  );
});
