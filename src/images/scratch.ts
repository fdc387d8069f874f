// The directory where images lie that have to be converted, while it takes: a directory of its own for each, with room that was
// promised before anything is written.
//
// - Names hold the host: what a process of this host left behind is removed when the next one starts, since nobody uses it.
// - Room is what the file system has free, less what others here were promised and have not written yet.

import { type FileHandle, mkdir, mkdtemp, open, readdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { AndironError } from "../common/errors.ts";
import { imageFileName } from "./conversion.ts";

export interface ScratchOptions {
  /** image_conversion_dir. */
  readonly folder: string;
  /** Of this host: names of its own in a directory that others may share. */
  readonly host: string;
}

/** What mkdtemp() adds. */
const chanceLength = 6;

export class Scratch {
  readonly #options: ScratchOptions;
  readonly #places = new Set<ScratchPlace>();

  constructor(options: ScratchOptions) {
    this.#options = options;
  }

  /** Makes the directory, and removes what an earlier process of this host left in it. */
  async start(): Promise<void> {
    const { folder } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(folder)) {
      const isOurs = name.startsWith(this.#prefix) && name.length === this.#prefix.length + chanceLength;
      if (isOurs) await rm(join(folder, name), { recursive: true, force: true });
    }
  }

  /** A directory with an empty file `imageFileName`, and room for so many bytes. Throws scratch_full. */
  async take(sizeBytes: number): Promise<ScratchPlace> {
    const { folder } = this.#options;
    const free = await statfs(folder);
    let promisedBytes = 0;
    for (const place of this.#places) promisedBytes += place.missingBytes;
    if (free.bavail * free.bsize - promisedBytes < sizeBytes) {
      throw new AndironError("scratch_full", `there is no room for an image of ${sizeBytes} bytes in ${folder}`);
    }
    const own = await mkdtemp(join(folder, this.#prefix));
    const file = await open(join(own, imageFileName), "wx+", 0o600);
    const place = new ScratchPlace(own, file, sizeBytes, () => this.#places.delete(place));
    this.#places.add(place);
    return place;
  }

  get #prefix(): string {
    return `andiron-image-${this.#options.host.replaceAll(/[^A-Za-z0-9.-]/g, "_")}-`;
  }
}

export class ScratchPlace {
  readonly folder: string;
  readonly file: FileHandle;
  readonly #sizeBytes: number;
  readonly #letGo: () => void;
  #writtenBytes = 0;

  constructor(folder: string, file: FileHandle, sizeBytes: number, letGo: () => void) {
    this.folder = folder;
    this.file = file;
    this.#sizeBytes = sizeBytes;
    this.#letGo = letGo;
  }

  /** Promised, and not written yet. */
  get missingBytes(): number {
    return Math.max(this.#sizeBytes - this.#writtenBytes, 0);
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  async append(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.file.write(bytes, at, bytes.length - at, this.#writtenBytes).catch(explain);
      at += bytesWritten;
      this.#writtenBytes += bytesWritten;
    }
  }

  /** Removes it. */
  async release(): Promise<void> {
    this.#letGo();
    await this.file.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

function explain(cause: unknown): never {
  const { code } = cause as NodeJS.ErrnoException;
  if (code !== "ENOSPC" && code !== "EDQUOT") throw cause;
  throw new AndironError("scratch_full", "the disk of image_conversion_dir is full", { cause });
}
