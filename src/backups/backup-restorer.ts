// Restores a chain of backups into a device, some chunks in each step: the newest whole one, then each that builds on it. Of a
// whole one all is written, zeroes too; of an incremental one only what it has. Beyond the backup's size the device is left
// alone.
//
//   head of each ─► chunk ─► opened and checked ─► written ─► ... ─► flushed ─► cursor
//                     └─ the next one is fetched meanwhile
//
// - Nothing of a chunk is written that does not match its checksum or tag, and is not the very chunk that is expected.
// - Any part may be written again: the last one to write a byte is the newest backup that has it, whatever was repeated.

import { AndironError } from "../common/errors.ts";
import type { BlockDevice, ExportDirectory, ExportSession } from "../engine/device.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import { type Chunk, chunkBodyBytesMax, parseChunk } from "./chunk.ts";
import type { EncryptionKeys } from "./encryption-keys.ts";
import { openObject } from "./envelope.ts";
import { type BackupHead, parseHead } from "./head.ts";
import { backupLimits } from "./limits.ts";
import { eachOf, piecesOf } from "./parallel.ts";
import { chunkName, generationOf, headName, parsePlace } from "./place.ts";
import type { BackupRun } from "./backup-writer.ts";

export interface RestoreTask {
  /** The oldest first; each builds on the one before. */
  readonly chain: readonly { readonly id: string; readonly location: unknown }[];
  readonly exportName: string;
  readonly cursor: Readonly<Record<string, unknown>>;
}

export interface Restored {
  readonly cursor: Cursor;
  readonly done: number;
  readonly isDone: boolean;
  readonly facts?: BackupHead["facts"];
}

type Cursor = {
  /** What is worked on; undefined: the beginning. */
  readonly backupId: string | undefined;
  /** Its chunks that are restored. */
  readonly chunks: number;
  readonly done: number;
};

export interface BackupRestorerOptions {
  readonly store: () => Promise<ObjectStore>;
  readonly exports: ExportDirectory;
  readonly keys: EncryptionKeys | undefined;
}

type Target = Pick<BlockDevice, "write" | "writeZeroes" | "flush" | "sizeBytes">;
type OpenChunk = ReturnType<typeof parseChunk>;

export class BackupRestorer {
  readonly #options: BackupRestorerOptions;

  constructor(options: BackupRestorerOptions) {
    this.#options = options;
  }

  async step({ chain, exportName, cursor }: RestoreTask, run: BackupRun): Promise<Restored> {
    const store = await this.#options.store();
    const heads = await this.#neededHeads(store, chain);
    const session = await this.#options.exports.open(exportName);
    const revoked = new AbortController();
    session.onRevoked(() => revoked.abort(new AndironError("export_revoked", "the export was revoked")));
    try {
      const ending = { signal: AbortSignal.any([run.signal, revoked.signal]), shouldYield: () => run.shouldYield() };
      return await this.#restore(store, heads, session, cursorOf(cursor), ending);
    } finally {
      await session.close();
    }
  }

  async #restore(
    store: ObjectStore,
    heads: readonly BackupHead[],
    { device }: ExportSession,
    begun: Cursor,
    run: Pick<BackupRun, "signal" | "shouldYield">,
  ): Promise<Restored> {
    const last = heads.at(-1)!;
    const sizeBytes = Math.max(...heads.map((head) => head.sizeBytes));
    if (device.sizeBytes < sizeBytes) {
      throw new AndironError("invalid_request", `a backup of ${sizeBytes} bytes is not restored to ${device.sizeBytes}`);
    }
    const first = begun.backupId === undefined ? 0 : heads.findIndex(({ backupId }) => backupId === begun.backupId);
    if (first < 0) throw damaged(last.backupId, "what it builds on has changed since the restore began");
    let { done } = begun;
    for (const [at, head] of heads.entries()) {
      if (at < first) continue;
      const next = at === first ? begun.chunks : 0;
      if (next === 0 && !head.isWhole) await zeroGrowth(device, heads[at - 1]!.sizeBytes, head.sizeBytes);
      const reached = await this.#restoreOne(store, head, device, next, run);
      done += reached.bytes;
      const isOver = reached.chunks === head.place.chunkCount;
      if (isOver && head === last) break;
      // One without a chunk is no step of its own.
      if (isOver && (reached.bytes === 0 || !run.shouldYield())) continue;
      await device.flush();
      return { cursor: { backupId: head.backupId, chunks: reached.chunks, done }, done, isDone: false };
    }
    await device.flush();
    return { cursor: { backupId: last.backupId, chunks: last.place.chunkCount, done }, done, isDone: true, facts: last.facts };
  }

  /** From chunk `next` on, until it is done or told to yield. */
  async #restoreOne(
    store: ObjectStore,
    head: BackupHead,
    device: Target,
    next: number,
    run: Pick<BackupRun, "signal" | "shouldYield">,
  ): Promise<{ readonly chunks: number; readonly bytes: number }> {
    const { chunkCount } = head.place;
    let bytes = 0;
    let ahead = next < chunkCount ? this.#fetch(store, head, next) : undefined;
    for (let number = next; number < chunkCount; number++) {
      const chunk = await ahead!;
      run.signal.throwIfAborted();
      const isLast = number + 1 === chunkCount || run.shouldYield();
      ahead = isLast ? undefined : this.#fetch(store, head, number + 1);
      ahead?.catch(() => undefined); // told when it is waited for
      if (chunk.to > head.sizeBytes) throw damaged(head.backupId, "a chunk of it goes beyond its end");
      await writeChunk(device, chunk, head.isWhole, run.signal).catch(async (error: unknown) => {
        await ahead?.catch(() => undefined);
        throw error;
      });
      bytes += chunk.to - chunk.from;
      if (isLast) return { chunks: number + 1, bytes };
    }
    return { chunks: chunkCount, bytes };
  }

  /** Heads from the newest whole one on. Rejects with backup_damaged for a chain that is none. */
  async #neededHeads(store: ObjectStore, chain: RestoreTask["chain"]): Promise<BackupHead[]> {
    const heads: BackupHead[] = [];
    for (const { id, location } of chain.toReversed()) {
      const head = await this.#head(store, id, location);
      const child = heads[0];
      if (child !== undefined && child.parentId !== id) throw damaged(child.backupId, `it was not made on top of backup ${id}`);
      heads.unshift(head);
      if (head.isWhole) return heads;
    }
    throw damaged(chain.at(-1)?.id ?? "", "what it builds on is missing");
  }

  async #head(store: ObjectStore, backupId: string, location: unknown): Promise<BackupHead> {
    const place = parsePlace(location);
    const object = await getObject(store, headName(place), backupId);
    const identity = { backupId, kind: "head", generation: place.generation, number: 0 } as const;
    const { body } = await openObject(identity, object, {
      keys: this.#options.keys,
      bodyBytesMax: backupLimits.headBytesMax,
    });
    const head = parseHead(body);
    if (head.backupId !== backupId) throw damaged(backupId, `its head is that of backup ${head.backupId}`);
    // A copy in another place is as good: where the chunks are is said by who asks.
    return { ...head, place };
  }

  async #fetch(store: ObjectStore, { backupId, place }: BackupHead, number: number): Promise<OpenChunk> {
    const generation = generationOf(place, number);
    const object = await getObject(store, chunkName(place, number, generation), backupId);
    const identity = { backupId, kind: "chunk", generation, number } as const;
    const { body } = await openObject(identity, object, { keys: this.#options.keys, bodyBytesMax: chunkBodyBytesMax });
    return parseChunk(body);
  }
}

async function writeChunk(device: Target, chunk: OpenChunk, isWhole: boolean, signal: AbortSignal): Promise<void> {
  const zeroes = isWhole ? [...gapsOf(chunk)] : chunk.extents.filter(({ kind }) => kind === "zero");
  for (const { offset, lengthBytes } of zeroes) {
    signal.throwIfAborted();
    await device.writeZeroes(offset, lengthBytes, { fua: false, noHole: false });
  }
  const extents = chunk.extents.filter(({ kind }) => kind === "data");
  const pieces = extents.flatMap(({ offset }, at) => [...piecesOf(offset, chunk.data[at]!)]);
  await eachOf(pieces, signal, ({ offset, bytes }) => device.write(offset, bytes, { fua: false }));
}

/** Where a volume had grown since the backup before it was zeroes, and only what was written there is in the next one. */
async function zeroGrowth(device: Target, from: number, to: number): Promise<void> {
  if (to > from) await device.writeZeroes(from, to - from, { fua: false, noHole: false });
}

/** What is between the data. */
function* gapsOf({ from, to, extents }: Chunk): Generator<{ readonly offset: number; readonly lengthBytes: number }> {
  let offset = from;
  for (const extent of extents) {
    if (extent.kind === "zero") continue;
    if (extent.offset > offset) yield { offset, lengthBytes: extent.offset - offset };
    offset = extent.offset + extent.lengthBytes;
  }
  if (to > offset) yield { offset, lengthBytes: to - offset };
}

/** An object that is missing is damage of the backup, not a thing that nobody has heard of. */
async function getObject(store: ObjectStore, name: string, backupId: string): Promise<Buffer> {
  try {
    return await store.get(name);
  } catch (error) {
    if (!(error instanceof AndironError) || error.code !== "object_not_found") throw error;
    throw damaged(backupId, `the object ${name} is missing`, error);
  }
}

function cursorOf({ backupId, chunks, done }: Readonly<Record<string, unknown>>): Cursor {
  if (typeof backupId !== "string") return { backupId: undefined, chunks: 0, done: 0 };
  return { backupId, chunks: Number(chunks), done: Number(done) };
}

function damaged(backupId: string, why: string, cause?: unknown): AndironError {
  return new AndironError("backup_damaged", `backup ${backupId} cannot be restored: ${why}`, { cause });
}
