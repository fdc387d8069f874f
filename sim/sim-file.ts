// The bytes of one simulated file: as they are read, and as power loss would leave them. The rules are in sim-disk.ts.

import type { Random } from "../src/common/random.ts";

const sectorBytes = 512;

type Change =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Buffer; lost: boolean }
  | { readonly kind: "truncate"; readonly lengthBytes: number; lost: boolean };

export class FileNode {
  /** What is read. */
  bytes: Buffer = Buffer.alloc(0);
  /** What is certainly on the disk, and the changes that are not, oldest first. */
  #durable: Buffer = Buffer.alloc(0);
  #unsynced: Change[] = [];

  get hasUnsynced(): boolean {
    return this.#unsynced.length > 0;
  }

  write(source: Buffer, offset: number): void {
    if (source.length === 0) return;
    const change: Change = { kind: "write", offset, bytes: Buffer.from(source), lost: false };
    this.bytes = laid(this.bytes, change);
    this.#unsynced.push(change);
  }

  truncate(lengthBytes: number): void {
    const change: Change = { kind: "truncate", lengthBytes, lost: false };
    this.bytes = laid(this.bytes, change);
    this.#unsynced.push(change);
  }

  /** What a sync that begins now covers. */
  syncBegins(): ReadonlySet<Change> {
    return new Set(this.#unsynced);
  }

  syncEnds(covered: ReadonlySet<Change>): void {
    for (const change of this.#unsynced) if (covered.has(change) && !change.lost) this.#durable = laid(this.#durable, change);
    this.#unsynced = this.#unsynced.filter((change) => !covered.has(change));
  }

  /** What it covered looks synced from now on, and is not on the disk. */
  syncFails(covered: ReadonlySet<Change>): void {
    for (const change of covered) change.lost = true;
    this.#unsynced = this.#unsynced.filter((change) => !covered.has(change));
  }

  losePower(random: Random): void {
    for (const change of this.#unsynced) {
      if (change.kind === "truncate") {
        if (random.below(2) === 0) this.#durable = laid(this.#durable, change);
        continue;
      }
      // All, nothing, or each sector by itself.
      const share = [0, 50, 90, 100][random.below(4)]!;
      for (const [offset, bytes] of sectorsOf(change.offset, change.bytes)) {
        if (random.below(100) < share) this.#durable = laid(this.#durable, { kind: "write", offset, bytes, lost: false });
      }
    }
    this.#unsynced = [];
    this.bytes = Buffer.alloc(this.#durable.length);
    this.#durable.copy(this.bytes);
  }
}

function laid(bytes: Buffer, change: Change): Buffer {
  if (change.kind === "truncate") {
    const result = Buffer.alloc(change.lengthBytes);
    bytes.copy(result);
    return result;
  }
  const end = change.offset + change.bytes.length;
  const result = end <= bytes.length ? bytes : grown(bytes, end);
  change.bytes.copy(result, change.offset);
  return result;
}

/** At least `lengthBytes` long, new bytes zero; grows the memory behind it in steps. */
function grown(bytes: Buffer, lengthBytes: number): Buffer {
  const { buffer, byteOffset } = bytes;
  if (byteOffset === 0 && lengthBytes <= buffer.byteLength) {
    const result = Buffer.from(buffer, 0, lengthBytes);
    result.fill(0, bytes.length);
    return result;
  }
  const memory = new ArrayBuffer(Math.max(lengthBytes * 2, 4096));
  const result = Buffer.from(memory, 0, lengthBytes);
  bytes.copy(result);
  return result;
}

function* sectorsOf(offset: number, bytes: Buffer): Generator<readonly [number, Buffer]> {
  for (let at = 0; at < bytes.length;) {
    const length = Math.min(sectorBytes - ((offset + at) % sectorBytes), bytes.length - at);
    yield [offset + at, bytes.subarray(at, at + length)];
    at += length;
  }
}
