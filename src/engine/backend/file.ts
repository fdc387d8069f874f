// ObjectBackend over a directory: a local file system or a shared mount (NFS, CephFS). An object is a file under `root`.
//
// put:      .incoming/MARK.N ── write, fdatasync ──► link(2) to its name ──► fsync of the directory ──► unlink the first
// putFile:                       (already synced) ──► link(2) to its name ──► fsync of the directory
//           (from another file system: copied to .incoming first, then as above)
//
// - link(2) fails when the name exists and is atomic: no object is ever half there, and none is ever replaced.
// - A temporary file whose fdatasync failed is thrown away: a retry writes a new one, as the kernel may have dropped pages.
// - `.incoming` is swept at open, of dead processes of this host only. It also shows that the root is the right one: when it
//   is missing (unmounted, removed) a missing object is backend_unavailable and not object_not_found.
// - At most `concurrentOperationsMax` operations are inside the kernel, so that a hung mount leaves threads to others.
// It has no deadline, retry or metric: those are decorators in this folder.

import { copyFile, link, mkdir, open, readdir, stat, statfs, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AndironError } from "../../common/errors.ts";
import { listNames } from "../../common/file-list.ts";
import { isDeadProcess, ownProcessMark } from "../../common/process-mark.ts";
import { Slots } from "../../common/slots.ts";
import { systemCodeOf } from "../../common/system-errors.ts";
import { checkListArguments, checkObjectName, objectBytesOf } from "./backend.ts";
import type { Capacity, ListOptions, ObjectBackend } from "./backend.ts";
import { fileErrorOf } from "./file-errors.ts";
import { readFully, sizeOfSource, syncPath, writeAll } from "./file-io.ts";
import { readDescriptor } from "../read-descriptor.ts";
import { OpenFiles } from "./open-files.ts";

export interface FileBackendOptions {
  /** An existing directory, which belongs to the backend alone. */
  readonly root: string;
  /** False for a root that was one before: an empty directory there is then a file system that is not mounted. Default true. */
  readonly isNew?: boolean;
  /** Default 2: half of the four threads that libuv has unless told otherwise. */
  readonly concurrentOperationsMax?: number;
  /** Default 1024; more reject with backend_unavailable. */
  readonly queuedOperationsMax?: number;
  /** Default 1024. */
  readonly openFilesMax?: number;
}

const incoming = ".incoming";

/** Opens the backend and sweeps what dead processes left. Rejects with backend_unavailable when the root is not there. */
export async function openFileBackend(options: FileBackendOptions): Promise<ObjectBackend> {
  try {
    if (options.isNew ?? true) await makeIncoming(options.root);
    else await assertRoot(options.root);
    await sweepIncoming(options.root);
    return new FileBackend(options, await ownProcessMark());
  } catch (error) {
    throw fileErrorOf(error, `open of the backend ${options.root}`);
  }
}

class FileBackend implements ObjectBackend {
  readonly #root: string;
  readonly #mark: string;
  readonly #slots: Slots;
  readonly #files: OpenFiles;
  #temporaries = 0;

  constructor(options: FileBackendOptions, mark: string) {
    this.#root = options.root;
    this.#mark = mark;
    this.#slots = new Slots({
      concurrentMax: options.concurrentOperationsMax ?? 2,
      queuedMax: options.queuedOperationsMax ?? 1024,
      full: (queued) =>
        new AndironError("backend_unavailable", `${queued} operations already wait for the backend`, {
          hint: "the backend answers too slowly or hangs: look at its mount or network",
        }),
      closed: () => new AndironError("shutting_down", "the backend is closed"),
    });
    this.#files = new OpenFiles(options.openFilesMax ?? 1024);
  }

  put(name: string, parts: readonly Buffer[]): Promise<void> {
    return this.#run("put", name, async (path) => {
      const sizeBytes = objectBytesOf(parts);
      if (await this.#isStored(name, path, sizeBytes)) return;
      await this.#withTemporary(async (temporary) => {
        const handle = await open(temporary, "wx", 0o640);
        try {
          await writeAll(handle, parts);
          await handle.datasync();
        } finally {
          await handle.close();
        }
        await this.#publish(name, temporary, sizeBytes);
      });
    });
  }

  putFile(name: string, source: string): Promise<void> {
    return this.#run("putFile", name, async (path) => {
      const sizeBytes = await sizeOfSource(source);
      if (await this.#isStored(name, path, sizeBytes)) return;
      try {
        await this.#publish(name, source, sizeBytes);
      } catch (error) {
        if (!cannotLink.has(systemCodeOf(error) ?? "")) throw error;
        await this.#withTemporary(async (temporary) => {
          await copyFile(source, temporary);
          await syncPath(temporary);
          await this.#publish(name, temporary, sizeBytes);
        });
      }
    });
  }

  read(name: string, offset: number, target: Buffer): Promise<void> {
    const waiting = this.#slots.enter();
    if (waiting === undefined) return this.#readInSlot(name, offset, target);
    return waiting.then(() => this.#readInSlot(name, offset, target));
  }

  size(name: string): Promise<number | undefined> {
    return this.#run("size", name, (path) => this.#sizeOf(path));
  }

  delete(name: string): Promise<void> {
    return this.#run("delete", name, async (path) => {
      this.#files.forget(name);
      try {
        await unlink(path);
      } catch (error) {
        if (systemCodeOf(error) !== "ENOENT") throw error;
        await assertRoot(this.#root);
        return;
      } finally {
        this.#files.forget(name); // a read may have opened it meanwhile
      }
      await syncPath(dirname(path));
    });
  }

  list(prefix: string, options: ListOptions = {}): Promise<string[]> {
    return this.#guard(`list of ${prefix}`, async () => {
      const limit = checkListArguments(prefix, options);
      await assertRoot(this.#root);
      return listNames(this.#root, { prefix, after: options.after ?? "", limit });
    });
  }

  capacity(): Promise<Capacity> {
    return this.#guard("capacity", async () => {
      await assertRoot(this.#root);
      const { bsize, blocks, bavail } = await statfs(this.#root);
      return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
    });
  }

  async close(): Promise<void> {
    await this.#slots.close();
    await this.#files.closeAll();
  }

  /** Of a file that is open. Where that does not give all of it, the long way says why. */
  #readInSlot(name: string, offset: number, target: Buffer): Promise<void> {
    const file = this.#files.take(name);
    if (file === undefined) return this.#readAnyhow(name, offset, target);
    return readDescriptor(file.descriptor, offset, target).then(
      (count) => {
        this.#files.give(file);
        if (count < target.length) return this.#readAnyhow(name, offset, target);
        this.#slots.leave();
        return undefined;
      },
      () => {
        this.#files.give(file);
        return this.#readAnyhow(name, offset, target);
      },
    );
  }

  async #readAnyhow(name: string, offset: number, target: Buffer): Promise<void> {
    try {
      checkObjectName(name);
      const path = join(this.#root, name);
      const readOnce = (): Promise<void> =>
        this.#files.use(name, path, (descriptor) => readFully(descriptor, name, offset, target));
      await readOnce().catch((error: unknown) => {
        // NFS: the open file was removed elsewhere. use() has forgotten the descriptor; the name decides.
        if (systemCodeOf(error) !== "ESTALE") throw error;
        return readOnce();
      });
    } catch (error) {
      if (systemCodeOf(error) !== "ENOENT") throw fileErrorOf(error, `read of ${name}`);
      await assertRoot(this.#root);
      throw new AndironError("object_not_found", `no object ${name} in the backend`, { cause: error });
    } finally {
      this.#slots.leave();
    }
  }

  /** Checks the name, takes a slot and gives every failure its code. */
  async #run<T>(verb: string, name: string, body: (path: string) => Promise<T>): Promise<T> {
    checkObjectName(name);
    return this.#guard(`${verb} of ${name}`, () => body(join(this.#root, name)));
  }

  async #guard<T>(what: string, body: () => Promise<T>): Promise<T> {
    try {
      return await this.#slots.run(body);
    } catch (error) {
      throw fileErrorOf(error, what);
    }
  }

  /** Makes the synced file `source` visible as `name`, or finds the same object there; durable when it resolves. */
  async #publish(name: string, source: string, sizeBytes: number): Promise<void> {
    const path = join(this.#root, name);
    try {
      await link(source, path).catch(async (error: unknown) => {
        if (systemCodeOf(error) !== "ENOENT") throw error;
        await this.#makeParents(name);
        await link(source, path);
      });
    } catch (error) {
      if (systemCodeOf(error) !== "EEXIST") throw error;
      if (await this.#isStored(name, path, sizeBytes)) return;
      throw error;
    }
    await syncPath(dirname(path));
  }

  /** True when the object is there, durably; object_exists when something else has its name. */
  async #isStored(name: string, path: string, sizeBytes: number): Promise<boolean> {
    const present = await this.#sizeOf(path);
    if (present === undefined) return false;
    if (present !== sizeBytes) {
      throw new AndironError("object_exists", `object ${name} exists with ${present} bytes, not ${sizeBytes}`);
    }
    await syncPath(dirname(path)); // whoever linked it may have died before doing so
    return true;
  }

  async #sizeOf(path: string): Promise<number | undefined> {
    try {
      const found = await stat(path);
      if (!found.isFile()) throw new AndironError("invalid_request", `${path} is a directory, not an object`);
      return found.size;
    } catch (error) {
      if (systemCodeOf(error) !== "ENOENT") throw error;
      await assertRoot(this.#root);
      return undefined;
    }
  }

  /** Makes the directories above `name`, each durable in the one above; never the root itself. */
  async #makeParents(name: string): Promise<void> {
    await assertRoot(this.#root);
    let parent = this.#root;
    for (const part of name.split("/").slice(0, -1)) {
      const path = join(parent, part);
      try {
        await mkdir(path, 0o750);
      } catch (error) {
        if (systemCodeOf(error) !== "EEXIST") throw error;
      }
      await syncPath(parent);
      parent = path;
    }
  }

  async #withTemporary(body: (temporary: string) => Promise<void>): Promise<void> {
    const temporary = join(this.#root, incoming, `${this.#mark}.${this.#temporaries++}`);
    try {
      await body(temporary);
    } finally {
      // What can't be removed now (backend gone) is swept at the next open: it must not hide how the put went.
      await unlink(temporary).catch(() => undefined);
    }
  }
}

/** What link(2) says when only a copy will do: another file system, a foreign owner, no hard links, too many of them. */
const cannotLink: ReadonlySet<string> = new Set(["EXDEV", "EPERM", "ENOTSUP", "EOPNOTSUPP", "EMLINK"]);

async function assertRoot(root: string): Promise<void> {
  await stat(join(root, incoming)).catch((error: unknown) => {
    throw new AndironError("backend_unavailable", `${root} is not a backend now: its ${incoming} is missing`, {
      cause: error,
      hint: "is the file system mounted?",
    });
  });
}

async function makeIncoming(root: string): Promise<void> {
  try {
    await mkdir(join(root, incoming), 0o750);
  } catch (error) {
    if (systemCodeOf(error) !== "EEXIST") throw error;
    return;
  }
  await syncPath(root);
}

async function sweepIncoming(root: string): Promise<void> {
  for (const file of await readdir(join(root, incoming))) {
    const mark = file.slice(0, file.lastIndexOf("."));
    if (!(await isDeadProcess(mark))) continue;
    await unlink(join(root, incoming, file)).catch((error: unknown) => {
      if (systemCodeOf(error) !== "ENOENT") throw error; // another process sweeps too
    });
  }
}
