// A bounded table of open file descriptors for reading, least recently used first out. A descriptor that somebody reads
// from is never closed under him: it leaves the table at once and is closed by the last reader. Objects are write-once,
// so an open descriptor can't show stale bytes; that it keeps the space of an unlinked file is bounded by the table.
//
//            use()                 evict / forget              last use() ends
//   absent ─────────► in table ───────────────► out of table ─────────────────► closed

import { open, type FileHandle } from "node:fs/promises";

interface OpenFile {
  readonly opening: Promise<FileHandle>;
  users: number;
  inTable: boolean;
}

export class OpenFiles {
  readonly #table = new Map<string, OpenFile>(); // in order of use
  readonly #filesMax: number;
  #closing: Promise<void>[] = [];

  constructor(filesMax: number) {
    this.#filesMax = filesMax;
  }

  /** Descriptors in the table now. */
  get count(): number {
    return this.#table.size;
  }

  /** Calls `body` with the file open for reading; rejects with the error of open(2) or of `body`. */
  async use<T>(path: string, body: (file: FileHandle) => Promise<T>): Promise<T> {
    const entry = this.#take(path);
    entry.users++;
    try {
      const handle = await entry.opening;
      return await body(handle);
    } catch (error) {
      this.#drop(path, entry);
      throw error;
    } finally {
      entry.users--;
      if (!entry.inTable && entry.users === 0) this.#closeFile(entry);
    }
  }

  /** The file was deleted: later uses open it anew. */
  forget(path: string): void {
    const entry = this.#table.get(path);
    if (entry !== undefined) this.#drop(path, entry);
    if (entry?.users === 0) this.#closeFile(entry);
  }

  /** Closes everything; resolves when the descriptors are closed. The caller has made sure that nobody reads. */
  async closeAll(): Promise<void> {
    for (const path of [...this.#table.keys()]) this.forget(path);
    await Promise.all(this.#closing);
  }

  #take(path: string): OpenFile {
    let entry = this.#table.get(path);
    if (entry === undefined) {
      this.#evict();
      entry = { opening: open(path, "r"), users: 0, inTable: true };
    } else {
      this.#table.delete(path);
    }
    this.#table.set(path, entry);
    return entry;
  }

  #evict(): void {
    while (this.#table.size >= this.#filesMax) {
      const oldest = this.#table.keys().next();
      if (oldest.done === true) return;
      this.forget(oldest.value);
    }
  }

  #drop(path: string, entry: OpenFile): void {
    if (!entry.inTable) return;
    entry.inTable = false;
    if (this.#table.get(path) === entry) this.#table.delete(path);
  }

  #closeFile(entry: OpenFile): void {
    // An open that failed was reported to its user; a close that fails leaves nothing to do for a read-only file.
    const closing: Promise<void> = entry.opening
      .then((handle) => handle.close())
      .catch(() => undefined)
      .then(() => {
        this.#closing = this.#closing.filter((other) => other !== closing);
      });
    this.#closing.push(closing);
  }
}
