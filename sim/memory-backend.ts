// An object store in memory, and how a simulated process sees it: with delays, and no answer once it is dead.
//
// - A put that a death interrupts is there or not, never in part.
// - A name that is put with other bytes is a misuse: the engine promises that a name always means the same bytes.
// Failures, lost answers and lagging lists are added by FaultyBackend (src/engine/backend/faulty.ts).

import { AndironError } from "../src/common/errors.ts";
import type { Capacity, ListOptions, ObjectBackend } from "../src/engine/backend/backend.ts";
import { checkListArguments, checkObjectName, objectBytesOf } from "../src/engine/backend/backend.ts";
import type { Life } from "./life.ts";

const totalBytes = 2 ** 40;

export interface MemoryBackendOptions {
  /** The bytes of a local file, for putFile(). */
  readonly readFile: (path: string) => Buffer;
  /** The caller broke the backend's contract. */
  readonly onMisuse: (what: string) => void;
}

export class MemoryBackend implements ObjectBackend {
  readonly #objects = new Map<string, Buffer>();
  readonly #options: MemoryBackendOptions;
  #closed = false;

  constructor(options: MemoryBackendOptions) {
    this.#options = options;
  }

  /** Names of all objects, in order. */
  get names(): string[] {
    return [...this.#objects.keys()].sort();
  }

  async put(name: string, parts: readonly Buffer[]): Promise<void> {
    this.#check(name);
    objectBytesOf(parts);
    const bytes = Buffer.concat(parts);
    const known = this.#objects.get(name);
    if (known === undefined) this.#objects.set(name, bytes);
    else if (!known.equals(bytes)) this.#options.onMisuse(`${name} is put again with other bytes`);
    if (known !== undefined && known.length !== bytes.length)
      throw new AndironError("object_exists", `${name} exists with another length`);
  }

  async putFile(name: string, path: string): Promise<void> {
    this.#check(name);
    let bytes: Buffer;
    try {
      bytes = this.#options.readFile(path);
    } catch (error) {
      throw new AndironError("invalid_request", `cannot put ${path}`, { cause: error });
    }
    await this.put(name, [bytes]);
  }

  async read(name: string, offset: number, target: Buffer): Promise<void> {
    this.#check(name);
    const bytes = this.#objects.get(name);
    if (bytes === undefined) throw new AndironError("object_not_found", `there is no object ${name}`);
    if (offset + target.length > bytes.length) throw new AndironError("segment_damaged", `${name} ends early`);
    bytes.copy(target, 0, offset);
  }

  async size(name: string): Promise<number | undefined> {
    this.#check(name);
    return this.#objects.get(name)?.length;
  }

  async delete(name: string): Promise<void> {
    this.#check(name);
    this.#objects.delete(name);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<string[]> {
    this.#checkOpen();
    const limit = checkListArguments(prefix, options);
    const { after = "" } = options;
    return this.names.filter((name) => name.startsWith(prefix) && name > after).slice(0, limit);
  }

  async capacity(): Promise<Capacity> {
    this.#checkOpen();
    return { totalBytes, freeBytes: totalBytes };
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #check(name: string): void {
    this.#checkOpen();
    checkObjectName(name);
  }

  #checkOpen(): void {
    if (this.#closed) throw new AndironError("shutting_down", "the backend is closed");
  }
}

/** The backend for one process. */
export function backendOf(life: Life, backend: ObjectBackend): ObjectBackend {
  const call = async <T>(operation: () => Promise<T>): Promise<T> => {
    await life.beginLater(5);
    const settled = await life.guard(
      operation().then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      ),
    );
    await life.later(2);
    if ("error" in settled) throw settled.error;
    return settled.value;
  };
  return {
    put: (name, parts) => call(() => backend.put(name, parts)),
    putFile: (name, path) => call(() => backend.putFile(name, path)),
    read: (name, offset, target) => call(() => backend.read(name, offset, target)),
    size: (name) => call(() => backend.size(name)),
    delete: (name) => call(() => backend.delete(name)),
    list: (prefix, options) => call(() => backend.list(prefix, options)),
    capacity: () => call(() => backend.capacity()),
    close: () => call(() => backend.close()),
  };
}
