// ObjectStore over a directory: a local file system or a shared mount. An object is a file, its bytes and a footer.
//
//   .incoming/MARK ── write, fdatasync ──► rename, or link with ifAbsent ──► fsync of the directories above ──► put resolves
//
// - rename(2) and link(2) are atomic, so no object is ever half there; link fails when there is one, so one creator wins.
// - A temporary file whose fdatasync failed is thrown away: a retry writes a new one, as the kernel may have dropped pages.
// - Few operations at a time, so that a hung mount leaves threads of the pool to others.
// It has no deadline: a hung mount hangs what asks for it.

import { type FileHandle, link, open, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { AndironError } from "../common/errors.ts";
import { listNames } from "../common/file-list.ts";
import { systemCodeOf } from "../common/system-errors.ts";
import { type AdmissionOptions, withAdmission } from "./admission.ts";
import { sha256Of } from "./checksum.ts";
import { directoryErrorOf } from "./directory-errors.ts";
import { type Footer, decodeFooter, encodeFooter, footerBytes } from "./directory-footer.ts";
import { Incoming } from "./directory-incoming.ts";
import { makeParents, removeEmptyAbove, syncAbove } from "./directory-tree.ts";
import { isName } from "./names.ts";
import type { ByteRange, ListOptions, ListPage, ObjectFacts, ObjectStore, PutOptions, StoreContext } from "./object-store.ts";

export interface DirectoryStoreOptions extends AdmissionOptions {
  /** An existing directory, which belongs to the store alone. */
  readonly root: string;
  /** False for a root that was one before: an empty directory there is then a file system that is not mounted. */
  readonly create: boolean;
}

/** Half of libuv's four threads. */
const requestsMax = 2;
/** How often a put makes directories that others remove as empty. */
const parentsAttemptsMax = 50;

/** Sweeps what dead processes left. Rejects with backend_unavailable when the root is not there. */
export async function openDirectoryStore(options: DirectoryStoreOptions, context: StoreContext): Promise<ObjectStore> {
  try {
    const incoming = await Incoming.open(options.root, options.create, context);
    if (options.create) await syncAbove(options.root, ".incoming");
    return withAdmission(new DirectoryStore(options.root, incoming), { requestsMax, ...options });
  } catch (error) {
    throw directoryErrorOf(error, `open of the object store ${options.root}`);
  }
}

class DirectoryStore implements ObjectStore {
  readonly atomicCreate = true;
  readonly #root: string;
  readonly #incoming: Incoming;

  constructor(root: string, incoming: Incoming) {
    this.#root = root;
    this.#incoming = incoming;
  }

  put(name: string, bytes: Buffer, { ifAbsent = false }: PutOptions = {}): Promise<string> {
    return guard(`put of ${name}`, async () => {
      const sha256 = await sha256Of(bytes);
      await this.#incoming.assertMounted();
      await this.#incoming.withFile(async (temporary) => {
        await writeDurably(temporary, bytes, encodeFooter({ sizeBytes: bytes.length, sha256 }));
        await this.#publish(temporary, name, ifAbsent);
      });
      return sha256;
    });
  }

  get(name: string, range?: ByteRange): Promise<Buffer> {
    return guard(`get of ${name}`, async () => {
      const bytes = await this.#withObject(name, async (handle, { sizeBytes, sha256 }) => {
        const { offset, length } = range ?? { offset: 0, length: sizeBytes };
        if (offset + length > sizeBytes) {
          throw new AndironError("out_of_range", `the object ${name} has ${sizeBytes} bytes, not ${offset + length}`);
        }
        const read = await readFully(handle, offset, length, name);
        if (range === undefined && (await sha256Of(read)) !== sha256)
          throw new AndironError("object_damaged", `the object ${name} does not match its checksum`);
        return read;
      });
      if (bytes === undefined) throw new AndironError("object_not_found", `no object ${name} in ${this.#root}`);
      return bytes;
    });
  }

  head(name: string): Promise<ObjectFacts | undefined> {
    return guard(`head of ${name}`, () => this.#withObject(name, (_handle, footer) => Promise.resolve(footer)));
  }

  delete(name: string): Promise<void> {
    return guard(`delete of ${name}`, async () => {
      await unlink(join(this.#root, name)).catch(async (error: unknown) => {
        if (!isAbsence(error)) throw error;
        await this.#incoming.assertMounted();
      });
      await syncAbove(this.#root, name); // also when another has removed it: it may have died before this
      await removeEmptyAbove(this.#root, name);
    });
  }

  list(prefix: string, { after = "", limit = 1 }: ListOptions = {}): Promise<ListPage> {
    return guard(`list of ${prefix}`, async () => {
      await this.#incoming.assertMounted();
      const names = await listNames(this.#root, { prefix, after, limit });
      const objects: { name: string; sizeBytes: number }[] = [];
      for (const name of names) {
        if (!isName(name)) continue;
        const found = await stat(join(this.#root, name)).catch(() => undefined); // it may have been deleted meanwhile
        if (found !== undefined) objects.push({ name, sizeBytes: Math.max(0, found.size - footerBytes) });
      }
      return { objects, next: names.length < limit ? undefined : names.at(-1) };
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Gives the whole and synced file `temporary` its name; durable when it resolves, or rejects with object_exists. */
  async #publish(temporary: string, name: string, ifAbsent: boolean): Promise<void> {
    const path = join(this.#root, name);
    for (let attempt = 1; ; attempt++) {
      try {
        await (ifAbsent ? link(temporary, path) : rename(temporary, path));
        break;
      } catch (error) {
        if (systemCodeOf(error) === "EEXIST" && ifAbsent) await this.#refuseExisting(name);
        if (systemCodeOf(error) !== "ENOENT" || attempt === parentsAttemptsMax) throw error;
        await this.#incoming.assertMounted();
        await makeParents(this.#root, name).catch((raced: unknown) => {
          if (systemCodeOf(raced) !== "ENOENT") throw raced;
        });
      }
    }
    await syncAbove(this.#root, name);
  }

  async #refuseExisting(name: string): Promise<never> {
    await syncAbove(this.#root, name); // whoever made it may have died before this
    const found = await stat(join(this.#root, name)).catch(() => undefined);
    if (found?.isDirectory() === true) throw new AndironError("invalid_request", `${name} is a directory, not an object`);
    throw new AndironError("object_exists", `there is an object ${name}`);
  }

  /** What `body` makes of an object; undefined when there is none. */
  async #withObject<T>(name: string, body: (handle: FileHandle, footer: Footer) => Promise<T>): Promise<T | undefined> {
    const handle = await open(join(this.#root, name), "r").catch(async (error: unknown) => {
      if (!isAbsence(error)) throw error;
      await this.#incoming.assertMounted();
    });
    if (handle === undefined) return undefined;
    try {
      const found = await handle.stat();
      if (!found.isFile()) return undefined;
      const start = Math.max(0, found.size - footerBytes);
      const footer = await readFully(handle, start, found.size - start, name);
      return await body(handle, decodeFooter(footer, found.size, name));
    } finally {
      await handle.close();
    }
  }
}

async function guard<T>(what: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw directoryErrorOf(error, what);
  }
}

/** No such file; or what is there in its place, or on the way to it, is no object. */
function isAbsence(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "EISDIR"].includes(systemCodeOf(error) ?? "");
}

async function writeDurably(path: string, bytes: Buffer, footer: Buffer): Promise<void> {
  const handle = await open(path, "wx", 0o640);
  try {
    for (const part of [bytes, footer]) {
      for (let written = 0; written < part.length;) {
        written += (await handle.write(part, written, part.length - written)).bytesWritten;
      }
    }
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

async function readFully(handle: FileHandle, offset: number, length: number, name: string): Promise<Buffer> {
  const target = Buffer.allocUnsafeSlow(length);
  for (let filled = 0; filled < length;) {
    const { bytesRead } = await handle.read(target, filled, length - filled, offset + filled);
    if (bytesRead === 0) throw new AndironError("object_damaged", `the object ${name} ends at ${offset + filled}`);
    filled += bytesRead;
  }
  return target;
}
