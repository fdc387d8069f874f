// A bounded table of open file descriptors for reading, least recently used first out. A descriptor that somebody reads
// from is never closed under him: it leaves the table at once and is closed by the last reader. Objects are write-once,
// so an open descriptor can't show stale bytes; that it keeps the space of an unlinked file is bounded by the table.
//
//            use()                 evict / forget              last use() ends
//   absent ─────────► in table ───────────────► out of table ─────────────────► closed
//
// What is open already is used without a promise: take(), and give() at the end.

import { open, type FileHandle } from "node:fs/promises";

export interface OpenFile {
  /** -1 until it is open. */
  readonly descriptor: number;
}

interface Entry extends OpenFile {
  readonly opening: Promise<FileHandle>;
  descriptor: number;
  users: number;
  /** By how many uses of the table came before its last one. */
  usedAt: number;
  inTable: boolean;
}

export class OpenFiles {
  readonly #table = new Map<string, Entry>();
  readonly #filesMax: number;
  #uses = 0;
  #closing: Promise<void>[] = [];

  constructor(filesMax: number) {
    this.#filesMax = filesMax;
  }

  /** Descriptors in the table now. */
  get count(): number {
    return this.#table.size;
  }

  /** The file of that name, if it is open by now; give() follows. */
  take(name: string): OpenFile | undefined {
    const entry = this.#table.get(name);
    if (entry === undefined || entry.descriptor < 0) return undefined;
    entry.usedAt = ++this.#uses;
    entry.users++;
    return entry;
  }

  give(file: OpenFile): void {
    const entry = file as Entry;
    entry.users--;
    if (!entry.inTable && entry.users === 0) this.#closeFile(entry);
  }

  /** Calls `body` with the file open for reading; rejects with the error of open(2) or of `body`. */
  async use<T>(name: string, path: string, body: (descriptor: number) => Promise<T>): Promise<T> {
    const entry = this.#table.get(name) ?? this.#open(name, path);
    entry.usedAt = ++this.#uses;
    entry.users++;
    try {
      entry.descriptor = (await entry.opening).fd;
      return await body(entry.descriptor);
    } catch (error) {
      this.#drop(name, entry);
      throw error;
    } finally {
      this.give(entry);
    }
  }

  /** The file was deleted: later uses open it anew. */
  forget(name: string): void {
    const entry = this.#table.get(name);
    if (entry !== undefined) this.#drop(name, entry);
    if (entry?.users === 0) this.#closeFile(entry);
  }

  /** Closes everything; resolves when the descriptors are closed. The caller has made sure that nobody reads. */
  async closeAll(): Promise<void> {
    for (const name of [...this.#table.keys()]) this.forget(name);
    await Promise.all(this.#closing);
  }

  #open(name: string, path: string): Entry {
    while (this.#table.size >= this.#filesMax) this.#evict();
    const entry = { opening: open(path, "r"), descriptor: -1, users: 0, usedAt: 0, inTable: true };
    this.#table.set(name, entry);
    return entry;
  }

  #evict(): void {
    let oldest = "";
    let usedAt = Infinity;
    for (const [name, entry] of this.#table) {
      if (entry.usedAt >= usedAt) continue;
      oldest = name;
      ({ usedAt } = entry);
    }
    this.forget(oldest);
  }

  #drop(name: string, entry: Entry): void {
    if (!entry.inTable) return;
    entry.inTable = false;
    if (this.#table.get(name) === entry) this.#table.delete(name);
  }

  #closeFile(entry: Entry): void {
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
