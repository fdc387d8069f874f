// All that is done with the bytes of backups, over one store: what bin/ gives to cinder/ as its port.

import type { Clock } from "../common/clock.ts";
import type { ExportDirectory, SnapshotDirectory } from "../engine/device.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import { BackupEraser, type Erased, type EraseTask } from "./backup-eraser.ts";
import { BackupRestorer, type Restored, type RestoreTask } from "./backup-restorer.ts";
import { type BackupRun, BackupWriter, cursorOf, type WriteTask, type Written } from "./backup-writer.ts";
import type { SealOptions } from "./envelope.ts";
import { type BackupPlace, newPlace } from "./place.ts";

export interface BackupStorageOptions extends SealOptions {
  /** Opens it when it is needed: it may be away when the process starts. */
  readonly openStore: () => Promise<ObjectStore>;
  readonly snapshots: SnapshotDirectory;
  readonly exports: ExportDirectory;
  readonly chunkBytes: number;
  readonly defaultContainer: string;
  readonly clock: Clock;
}

const closeMsMax = 2000;

export class BackupStorage {
  readonly isConfigured = true;
  readonly defaultContainer: string;
  readonly #clock: Clock;
  readonly #openStore: () => Promise<ObjectStore>;
  readonly #writer: BackupWriter;
  readonly #restorer: BackupRestorer;
  readonly #eraser: BackupEraser;
  #store: Promise<ObjectStore> | undefined;

  constructor(options: BackupStorageOptions) {
    this.defaultContainer = options.defaultContainer;
    this.#openStore = options.openStore;
    this.#clock = options.clock;
    const store = (): Promise<ObjectStore> => this.#opened();
    this.#writer = new BackupWriter({ ...options, store });
    this.#restorer = new BackupRestorer({ ...options, store });
    this.#eraser = new BackupEraser(store);
  }

  /** Throws invalid_request. */
  checkContainer(name: string): void {
    newPlace(name, "volume", "backup");
  }

  locationOf(task: Pick<WriteTask, "backupId" | "volumeId" | "container" | "generation" | "cursor">): BackupPlace {
    return cursorOf(task).place;
  }

  write(task: WriteTask, run: BackupRun): Promise<Written> {
    return this.#writer.step(task, run);
  }

  restore(task: RestoreTask, run: BackupRun): Promise<Restored> {
    return this.#restorer.step(task, run);
  }

  erase(task: EraseTask, run: BackupRun): Promise<Erased> {
    return this.#eraser.step(task, run);
  }

  /** Does not wait for a store that hangs: what it has of us has its own name, and the next claim knows that. */
  async close(): Promise<void> {
    const closing = this.#store?.then((store) => store.close()).catch(() => undefined);
    if (closing !== undefined) await Promise.race([closing, this.#clock.sleep(closeMsMax)]);
  }

  /** One that could not be opened is tried again by who comes next. */
  #opened(): Promise<ObjectStore> {
    this.#store ??= this.#openStore().catch((error: unknown) => {
      this.#store = undefined;
      throw error;
    });
    return this.#store;
  }
}
