// `.incoming` of a directory store: files that are being written, named after the process that writes them, so that whoever comes
// later can tell what a dead one has left. It shows too that the root is the right one: without it nothing is mounted there.

import { mkdir, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { AndironError } from "../common/errors.ts";
import { isDeadProcess, isOfThisHost, ownProcessMark } from "../common/process-mark.ts";
import { systemCodeOf } from "../common/system-errors.ts";
import type { StoreContext } from "./object-store.ts";

const folderName = ".incoming";
/** Of a process of another host nothing is known but when it last wrote. */
const foreignAgeMsMax = 24 * 60 * 60 * 1000;

export class Incoming {
  readonly #root: string;
  readonly #mark: string;
  readonly #context: StoreContext;

  private constructor(root: string, mark: string, context: StoreContext) {
    this.#root = root;
    this.#mark = mark;
    this.#context = context;
  }

  /** Makes the folder, with `create`, and sweeps it. Rejects with backend_unavailable when it is not there. */
  static async open(root: string, create: boolean, context: StoreContext): Promise<Incoming> {
    const incoming = new Incoming(root, await ownProcessMark(), context);
    if (create) {
      await mkdir(join(root, folderName), 0o750).catch((error: unknown) => {
        if (systemCodeOf(error) !== "EEXIST") throw error;
      });
    }
    await incoming.assertMounted();
    await incoming.#sweep();
    return incoming;
  }

  async assertMounted(): Promise<void> {
    await stat(join(this.#root, folderName)).catch((error: unknown) => {
      throw new AndironError("backend_unavailable", `${this.#root} is no object store now: its ${folderName} is missing`, {
        cause: error,
        hint: "is the file system mounted?",
      });
    });
  }

  /** Calls `body` with the path of a file that is not there, and removes what `body` leaves there. */
  async withFile<T>(body: (path: string) => Promise<T>): Promise<T> {
    const path = join(this.#root, folderName, `${this.#mark}.${this.#context.random.uuid()}`);
    try {
      return await body(path);
    } finally {
      // What can't be removed now is swept later: it must not hide how the put went.
      await unlink(path).catch(() => undefined);
    }
  }

  async #sweep(): Promise<void> {
    for (const file of await readdir(join(this.#root, folderName))) {
      const path = join(this.#root, folderName, file);
      if (await this.#isAbandoned(file, path)) await unlink(path).catch(() => undefined); // others sweep too
    }
  }

  async #isAbandoned(file: string, path: string): Promise<boolean> {
    if (isOfThisHost(file)) return isDeadProcess(file);
    const found = await stat(path).catch(() => undefined);
    return found !== undefined && this.#context.clock.wallMs() - found.mtimeMs > foreignAgeMsMax;
  }
}
