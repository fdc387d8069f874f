// Large writes of a local file past the page cache (O_DIRECT): the disk gets the bytes at once, and no page of memory is taken,
// filled, and written back later.
//
//     offset                                          end
//        ├─ head ─┤├──────── whole blocks ────────┤├ tail ┤
//          cache     copied to aligned memory, O_DIRECT   cache
//
// - A block is written past the cache only when all of it is of this write: no byte of another write is ever written again.
// - Memory for it is of a fixed size for the whole process. While others use it, or where the file system does not know
//   O_DIRECT, nothing is written here, and the caller writes as it would without.
// - Several MiB are one call: a file system lets one such write into a file at a time, and threads that wait for it take as
//   much of the processors as the write itself. What is copied for it is copied in several turns of the event loop.
// - The first call's part may be copied ahead of the write, while another one is under way.
// - What it means to have been written is the same on both ways: a sync has to follow.

import { closeSync, constants, openSync, writev } from "node:fs";
import { promisify } from "node:util";
import { nextTurn } from "../common/turn.ts";
import { MiB } from "./limits.ts";
import type { DiskFile } from "./local-disk.ts";

const writevAsync = promisify(writev);

/** From this size on: smaller ones take longer to reach a disk than to be copied into its cache. */
export const directWriteBytesMin = MiB / 2;
/** Of offsets, lengths and memory: at least the block of any disk. */
const blockBytes = 4096;
/** Copied in one turn. */
const stageBytes = MiB;
const stageCount = 16;
/** Written by one call. */
const groupStagesMax = 4;

/** Aligned memory, which Node has no other for: V8 maps a WebAssembly memory in pages. Untouched parts of it take none. */
const stages = makeStages();

interface WebAssemblyApi {
  readonly Memory: new (limits: { readonly initial: number; readonly maximum: number }) => { readonly buffer: ArrayBuffer };
}

function makeStages(): Buffer[] {
  const wasmPageBytes = 64 * 1024;
  const pages = (stageBytes * stageCount) / wasmPageBytes;
  try {
    // Not among the types of @types/node, and those of the browser are not wanted for it.
    const { Memory } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly;
    const memory = new Memory({ initial: pages, maximum: pages });
    return Array.from({ length: stageCount }, (_, i) => Buffer.from(memory.buffer, i * stageBytes, stageBytes)).reverse();
  } catch {
    return []; // address space is limited
  }
}

/** Aligned memory, and how much of it is to be written. */
export interface Filled {
  readonly stage: Buffer;
  readonly bytes: number;
}

/** The second descriptor of a file that is open for writing, made when it is first needed. */
export class DirectWrites {
  readonly #path: string;
  #fd: number | undefined;
  #isRefused = false;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Copies what the first call of write() will write, or as much of it as there is memory for: for write() or giveBack().
   * undefined where write() does nothing.
   */
  fill(buffers: readonly Buffer[], offset: number, totalBytes: number): Promise<Filled[]> | undefined {
    if (this.#open() === undefined) return undefined;
    const { bodyStart, bodyEnd } = bodyOf(offset, totalBytes);
    return fillStages(buffers, bodyStart, bodyEnd);
  }

  /**
   * Writes the concatenation of `buffers` from byte `offset`, what is no whole block through `file`. Resolves with false when it
   * did not: nothing was written, or a part of it that may be written again. Rejects with the system's error.
   */
  async write(
    file: DiskFile,
    buffers: readonly Buffer[],
    offset: number,
    totalBytes: number,
    filled: Filled[] = [],
  ): Promise<boolean> {
    const { bodyStart, bodyEnd } = bodyOf(offset, totalBytes);
    const fd = this.#open();
    if (fd === undefined || (filled.length === 0 && stages.length === 0)) {
      giveBack(filled);
      return false;
    }
    try {
      if (bodyStart > 0) file.writeNow(sliceOf(buffers, 0, bodyStart), offset);
      // Before the blocks: they then lie within the file, whose length need not grow with them.
      if (bodyEnd < totalBytes) file.writeNow(sliceOf(buffers, bodyEnd, totalBytes), offset + bodyEnd);
    } catch (error) {
      giveBack(filled);
      throw error;
    }
    const underWay: Promise<boolean>[] = [];
    for (let from = bodyStart; from < bodyEnd;) {
      const group = from === bodyStart && filled.length > 0 ? filled : await fillStages(buffers, from, bodyEnd);
      if (group.length === 0) {
        // All of it is in use, by this write or by others.
        if (underWay.length === 0 || !(await allWritten(underWay.splice(0)))) return false;
        continue;
      }
      const writing = this.#writeGroup(fd, group, offset + from);
      writing.catch(() => undefined); // looked at when all are under way
      underWay.push(writing);
      from += filledBytes(group);
    }
    return allWritten(underWay);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** Gives the stages back when nothing reads them any more. */
  async #writeGroup(fd: number, group: readonly Filled[], offset: number): Promise<boolean> {
    try {
      const pieces = group.map(({ stage, bytes }) => stage.subarray(0, bytes));
      const { bytesWritten } = await writevAsync(fd, pieces, offset);
      // Less: the disk is full, which the caller's own write will find out.
      return bytesWritten === filledBytes(group);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
      this.#isRefused = true;
      return false;
    } finally {
      giveBack(group);
    }
  }

  #open(): number | undefined {
    if (this.#isRefused) return undefined;
    try {
      this.#fd ??= openSync(this.#path, constants.O_RDWR | constants.O_DIRECT);
    } catch {
      this.#isRefused = true;
    }
    return this.#fd;
  }
}

/** What fill() has copied is not wanted. */
export function giveBack(filled: readonly Filled[]): void {
  for (const { stage } of filled) stages.push(stage);
}

/** What consists of whole blocks. */
function bodyOf(offset: number, totalBytes: number): { readonly bodyStart: number; readonly bodyEnd: number } {
  const bodyStart = Math.ceil(offset / blockBytes) * blockBytes - offset;
  return { bodyStart, bodyEnd: Math.floor((offset + totalBytes) / blockBytes) * blockBytes - offset };
}

/** Copies the bytes from `from` to `to` of the concatenation, or as many as one call writes and there is memory for. */
async function fillStages(buffers: readonly Buffer[], from: number, to: number): Promise<Filled[]> {
  const group: Filled[] = [];
  for (let at = from; at < to && group.length < groupStagesMax;) {
    if (at > from) await nextTurn();
    const stage = stages.pop();
    if (stage === undefined) break;
    let bytes = 0;
    for (const piece of sliceOf(buffers, at, Math.min(at + stageBytes, to))) bytes += piece.copy(stage, bytes);
    group.push({ stage, bytes });
    at += bytes;
  }
  return group;
}

const filledBytes = (group: readonly Filled[]): number => group.reduce((sum, { bytes }) => sum + bytes, 0);

/** Bytes [from, to) of the concatenation. */
function sliceOf(buffers: readonly Buffer[], from: number, to: number): Buffer[] {
  const pieces: Buffer[] = [];
  let start = 0;
  for (const buffer of buffers) {
    const end = start + buffer.length;
    if (end > from && start < to) pieces.push(buffer.subarray(Math.max(from - start, 0), Math.min(to - start, buffer.length)));
    start = end;
  }
  return pieces;
}

/** All of them end, before anybody may use the file or their buffers again. */
async function allWritten(writes: readonly Promise<boolean>[]): Promise<boolean> {
  const results = await Promise.allSettled(writes);
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return results.every((result) => result.status === "fulfilled" && result.value);
}
