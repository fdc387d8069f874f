// The plain array that the model test holds a disk against: bytes that are zero until they are written. Pages that were
// never written take no memory, so that a disk of 16 TiB and a thousand snapshots are cheap.

const pageBytes = 4096;

export class SparseBytes {
  readonly #pages: Map<number, Buffer>;

  constructor(pages: ReadonlyMap<number, Buffer> = new Map()) {
    this.#pages = new Map(pages);
  }

  /** Pages are never changed in place, so a copy shares them. */
  copy(): SparseBytes {
    return new SparseBytes(this.#pages);
  }

  write(offset: number, data: Buffer): void {
    for (let done = 0; done < data.length;) {
      const page = Math.floor((offset + done) / pageBytes);
      const inPage = (offset + done) % pageBytes;
      const length = Math.min(pageBytes - inPage, data.length - done);
      const fresh = Buffer.alloc(pageBytes);
      this.#pages.get(page)?.copy(fresh);
      data.copy(fresh, inPage, done, done + length);
      this.#pages.set(page, fresh);
      done += length;
    }
  }

  zero(offset: number, lengthBytes: number): void {
    const end = offset + lengthBytes;
    const first = Math.ceil(offset / pageBytes);
    const last = Math.floor(end / pageBytes);
    if (last <= first) {
      // At most two pieces of pages.
      for (let at = offset; at < end;) {
        const pieceEnd = Math.min(end, (Math.floor(at / pageBytes) + 1) * pageBytes);
        this.write(at, Buffer.alloc(pieceEnd - at));
        at = pieceEnd;
      }
      return;
    }
    this.trim(offset, lengthBytes);
    this.write(offset, Buffer.alloc(first * pageBytes - offset));
    this.write(last * pageBytes, Buffer.alloc(end - last * pageBytes));
  }

  /** Only pages that lie wholly in the range. */
  trim(offset: number, lengthBytes: number): void {
    const first = Math.ceil(offset / pageBytes);
    const last = Math.floor((offset + lengthBytes) / pageBytes);
    if (last - first > this.#pages.size) {
      for (const page of this.#pages.keys()) if (page >= first && page < last) this.#pages.delete(page);
    } else {
      for (let page = first; page < last; page++) this.#pages.delete(page);
    }
  }

  read(offset: number, lengthBytes: number): Buffer {
    const target = Buffer.alloc(lengthBytes);
    const firstPage = Math.floor(offset / pageBytes);
    for (let page = firstPage; page * pageBytes < offset + lengthBytes; page++) {
      const start = page * pageBytes - offset;
      this.#pages.get(page)?.copy(target, Math.max(start, 0), Math.max(-start, 0), Math.min(pageBytes, lengthBytes - start));
    }
    return target;
  }

  /** Starts and lengths, in bytes, of the runs of pages that were ever written, ascending. */
  writtenRuns(): { readonly offset: number; readonly lengthBytes: number }[] {
    const runs: { offset: number; lengthBytes: number }[] = [];
    for (const page of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const last = runs.at(-1);
      if (last !== undefined && last.offset + last.lengthBytes === page * pageBytes) last.lengthBytes += pageBytes;
      else runs.push({ offset: page * pageBytes, lengthBytes: pageBytes });
    }
    return runs;
  }
}
