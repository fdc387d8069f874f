// Writes a backup, some chunks in each step. What is read is a snapshot: it stands still, so that any part may be written
// again.
//
//   changes ─► extents of one chunk ─► their bytes ─► sealed ─► put ─► ... ─► all of the volume: the head is put ─► done
//                      next chunk meanwhile ◄───────────────────┘
//
// - A step answers when all that it put is durable; then its cursor has the chunks. One put is under way while the next chunk
//   is read.
// - Nothing is put when the claim may be lost. A put that was begun before and lands later has a name of its own generation,
//   which place.ts knows: it goes when the backup is done, or with it.

import { AndironError } from "../common/errors.ts";
import type { ChangedExtent, SnapshotDirectory, SnapshotReader } from "../engine/device.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import { layOutChunk } from "./chunk.ts";
import { type ObjectIdentity, type SealOptions, sealObject } from "./envelope.ts";
import { encodeHead } from "./head.ts";
import { backupLimits, clusterBytes } from "./limits.ts";
import { eachOf, piecesOf } from "./parallel.ts";
import { type BackupPlace, chunkName, claimedPlace, extendedPlace, headName, leftNames, newPlace, parsePlace } from "./place.ts";

export interface BackupRun {
  readonly signal: AbortSignal;
  /** False when another process may have the job by now. */
  mayAct(): boolean;
  shouldYield(): boolean;
}

export interface WriteTask {
  readonly backupId: string;
  readonly volumeId: string;
  readonly container: string;
  readonly parentId: string | null;
  readonly generation: number;
  readonly cutId: string;
  /** What the parent has; null: all is written. */
  readonly baseId: string | null;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly cursor: Readonly<Record<string, unknown>>;
}

export interface Written {
  readonly cursor: { readonly place: BackupPlace; readonly from: number; readonly dataBytes: number };
  readonly done: number;
  readonly result?: { readonly location: BackupPlace; readonly objectCount: number; readonly encryptionKeyId: string | null };
}

export interface BackupWriterOptions extends SealOptions {
  readonly store: () => Promise<ObjectStore>;
  readonly snapshots: SnapshotDirectory;
  readonly chunkBytes: number;
}

interface Gathered {
  readonly to: number;
  readonly extents: readonly ChangedExtent[];
  readonly dataBytes: number;
}

const extentsPerBatch = 4096;

export class BackupWriter {
  readonly #options: BackupWriterOptions;

  constructor(options: BackupWriterOptions) {
    this.#options = options;
  }

  async step(task: WriteTask, run: BackupRun): Promise<Written> {
    const store = await this.#options.store();
    const reader = await this.#options.snapshots.openSnapshot(task.cutId, task.baseId);
    let { place, from, dataBytes } = cursorOf(task);
    let putting: Promise<unknown> = Promise.resolve();
    try {
      for (let chunks = 0; from < reader.sizeBytes && chunks < backupLimits.stepChunksMax; chunks++) {
        const gathered = await this.#gather(reader, from, run);
        if (gathered.extents.length > 0 || task.baseId === null) {
          place = extendedPlace(place, task.generation);
          const object = await this.#chunk(task, place.chunkCount - 1, reader, { from, ...gathered }, run);
          await putting;
          refuseLost(run);
          putting = store.put(chunkName(place, place.chunkCount - 1, task.generation), object);
          putting.catch(() => undefined); // told by the next await
        }
        dataBytes += gathered.dataBytes;
        from = gathered.to;
        if (run.shouldYield()) break;
      }
    } finally {
      // What is under way may land: nobody else may put these names, but the step is over only then.
      await putting.catch(() => undefined);
    }
    await putting;
    const cursor = { place, from, dataBytes };
    if (from < reader.sizeBytes) return { cursor, done: from };
    refuseLost(run);
    await store.put(headName(place), await this.#head(task, reader.sizeBytes, place, dataBytes));
    await eachOf(leftNames(place), run.signal, (name) => store.delete(name));
    const encryptionKeyId = this.#options.keys?.firstId ?? null;
    return { cursor, done: from, result: { location: place, objectCount: place.chunkCount + 1, encryptionKeyId } };
  }

  /** The extents of the next chunk: until it is full, the volume ends, or the time is up. */
  async #gather(reader: SnapshotReader, from: number, run: BackupRun): Promise<Gathered> {
    const extents: ChangedExtent[] = [];
    let dataBytes = 0;
    for (let at = from; ;) {
      run.signal.throwIfAborted();
      const room = Math.min(extentsPerBatch, backupLimits.extentsMax - extents.length);
      const batch = await reader.changes(at, room);
      for (const extent of batch.extents) {
        const left = this.#options.chunkBytes - dataBytes;
        if (extent.kind === "data" && extent.lengthBytes > left) {
          if (left > 0) extents.push({ ...extent, lengthBytes: left });
          return { to: extent.offset + left, extents, dataBytes: dataBytes + left };
        }
        extents.push(extent);
        if (extent.kind === "data") dataBytes += extent.lengthBytes;
      }
      at = batch.nextOffset;
      const isFull = dataBytes === this.#options.chunkBytes || extents.length >= backupLimits.extentsMax;
      if (isFull || at >= reader.sizeBytes || run.shouldYield()) return { to: at, extents, dataBytes };
    }
  }

  async #chunk(
    { backupId, generation }: WriteTask,
    number: number,
    reader: SnapshotReader,
    { from, to, extents }: Gathered & { readonly from: number },
    run: BackupRun,
  ): Promise<Buffer> {
    const { body, places } = layOutChunk({ from, to, extents });
    const pieces = places.flatMap(({ extent, target }) => [...piecesOf(extent.offset, target)]);
    await eachOf(pieces, run.signal, ({ offset, bytes }) => reader.read(offset, bytes));
    return sealObject({ backupId, kind: "chunk", generation, number }, body, this.#options);
  }

  #head(task: WriteTask, sizeBytes: number, place: BackupPlace, dataBytes: number): Promise<Buffer> {
    const { backupId, volumeId, parentId, baseId, generation, facts } = task;
    const isWhole = baseId === null;
    const body = encodeHead({ v: 1, backupId, volumeId, sizeBytes, parentId, isWhole, place, dataBytes, facts });
    if (body.length > backupLimits.headBytesMax) {
      throw new AndironError("record_too_large", `what is kept of the volume beside its bytes has ${body.length} bytes`);
    }
    const identity: ObjectIdentity = { backupId, kind: "head", generation, number: 0 };
    return sealObject(identity, body, this.#options);
  }
}

/** Where a write has come to, as the claim of the task's generation finds it. */
export function cursorOf(
  task: Pick<WriteTask, "backupId" | "volumeId" | "container" | "generation" | "cursor">,
): Written["cursor"] {
  const { backupId, volumeId, container, generation, cursor } = task;
  const isBegun = cursor["place"] !== undefined;
  const place = isBegun ? parsePlace(cursor["place"]) : newPlace(container, volumeId, backupId);
  const { from, dataBytes } = isBegun ? cursor : { from: 0, dataBytes: 0 };
  if (!Number.isSafeInteger(from) || (from as number) % clusterBytes !== 0 || !Number.isSafeInteger(dataBytes)) {
    throw new AndironError("backup_damaged", `what is noted of the writing of backup ${backupId} cannot be used`);
  }
  return { place: claimedPlace(place, generation), from: from as number, dataBytes: dataBytes as number };
}

function refuseLost(run: BackupRun): void {
  run.signal.throwIfAborted();
  if (!run.mayAct()) throw new AndironError("lease_lost", "the claim may be lost");
}
