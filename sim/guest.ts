// What the users of a simulated process do: they make disks, attach, write, snapshot, clone, revert, detach and delete, at
// random, and look at the outcome. Every change is noted in the ledger before it is asked for.

import type { VdiskSource } from "../src/engine/control.ts";
import { DiskSession } from "./disk-session.ts";
import { moveDisk } from "./disk-mover.ts";
import type { CopyEntry, DiskEntry, Image, Ledger, SnapshotEntry } from "./ledger.ts";
import { imageOf } from "./ledger.ts";
import { sectorBytes } from "./sector-stamp.ts";
import type { SimProcess } from "./sim-process.ts";
import { simPools } from "./world.ts";

const disksMax = 4;
const snapshotsMax = 6;
const pollMs = 15;

export class Guest {
  readonly #process: SimProcess;
  readonly #ledger: Ledger;

  constructor(process: SimProcess, ledger: Ledger) {
    this.#process = process;
    this.#ledger = ledger;
  }

  /** Works until the process dies. */
  async work(): Promise<void> {
    for (;;) {
      await this.#workOnce();
      await this.#process.life.sleep(this.#process.random.below(30));
    }
  }

  async #workOnce(): Promise<void> {
    const kind = this.#process.random.below(100);
    const disk = this.#pick(this.#ledger.disks);
    const snapshot = this.#pick(this.#ledger.snapshots);
    const isRoomForDisk = this.#ledger.disks.filter((entry) => entry.fate !== "gone").length < disksMax;
    if (disk === undefined || (kind < 6 && isRoomForDisk)) return this.#createDisk(undefined);
    if (kind < 38) return this.#whileBusy(disk, () => this.useDisk(disk, 5 + this.#process.random.below(60)));
    if (kind < 50) return this.#whileBusy(disk, () => this.useMovingDisk(disk));
    if (kind < 58) return this.#copied((source) => this.#snapshotDisk(source));
    if (kind < 62) return this.#snapshotTogether();
    if (kind < 72 && isRoomForDisk) return this.#copied((source) => this.#createDisk(source));
    if (kind < 82 && snapshot !== undefined) return this.#whileBusy(snapshot, () => this.checkSnapshot(snapshot));
    if (kind < 88 && snapshot !== undefined) return this.#whileBusy(snapshot, () => this.#revertDisk(snapshot));
    if (kind < 94 && snapshot !== undefined) return this.#whileBusy(snapshot, () => this.deleteSnapshot(snapshot));
    if (kind < 97 && disk.pins === 0) return this.#whileBusy(disk, () => this.deleteDisk(disk));
    return this.#whileBusy(disk, () => this.detach(disk));
  }

  /** Attaches the disk, looks at it if that is due, does so many operations. */
  async useDisk(disk: DiskEntry, steps: number): Promise<void> {
    let left = steps;
    for (;;) {
      const session = await this.#open(disk);
      const due = disk.origin !== undefined || disk.unseen !== undefined;
      if (!due || (await session.look())) while (left-- > 0 && !session.isBroken) await session.step();
      await session.close();
      if (left <= 0 && disk.origin === undefined && disk.unseen === undefined) break;
      await this.#process.life.sleep(pollMs);
    }
    if (this.#process.random.below(3) > 0) await this.detach(disk);
  }

  /** A disk that snapshots stand on, or that something is being made of, stays where it is. */
  async useMovingDisk(disk: DiskEntry): Promise<void> {
    const { random } = this.#process;
    const isPinned = disk.pins > 0 || disk.origin !== undefined || disk.unseen !== undefined;
    const hasSnapshots = this.#ledger.snapshots.some((snapshot) => snapshot.disk === disk && snapshot.fate !== "gone");
    if (isPinned || hasSnapshots) return this.useDisk(disk, 5);
    disk.isMoving = true;
    const copy = this.#ledger.addCopy(random.uuid());
    const moving = moveDisk(this.#process, disk, copy).then(() => this.dropCopy(copy));
    await Promise.all([moving, this.useDisk(disk, 20 + random.below(100))]);
    disk.isMoving = false;
  }

  /** What a move that has ended, or died, may have left. */
  async dropCopy(copy: CopyEntry): Promise<void> {
    const { control } = this.#process;
    const exports = copy.exports;
    await this.#process.insist(`end of ${copy.label}`, async () => {
      await this.#process.atomically(async (tx) => {
        for (const id of exports) await control.revokeExport(tx, id);
      });
      for (const id of exports) await control.exportGone(id);
      if ((await control.vdisk(copy.id)) === undefined) return;
      await this.#process.atomically((tx) => control.deleteVdisk(tx, copy.id));
    });
    copy.isGone = true;
  }

  async detach(disk: DiskEntry): Promise<void> {
    const { attachment } = disk;
    if (attachment === undefined) return;
    const { control } = this.#process;
    disk.attachment = { id: attachment.id, name: undefined };
    await this.#process.insist(`detach ${disk.label}`, () =>
      this.#process.atomically((tx) => control.revokeExport(tx, attachment.id)),
    );
    await this.#process.insist(`end of ${disk.label}'s export`, () => control.exportGone(attachment.id));
    disk.attachment = undefined;
    this.#process.world.note(`${disk.label} detached`);
  }

  /** Reads a clone of the snapshot, and deletes the clone. */
  async checkSnapshot(snapshot: SnapshotEntry): Promise<void> {
    if (this.#ledger.disks.filter((entry) => entry.fate !== "gone").length > disksMax * 2) return;
    const clone = await this.#makeDisk(snapshot.pool, snapshot.disk.model.sectorCount, snapshot.image, {
      kind: "snapshot",
      snapshotId: snapshot.id,
    });
    await this.useDisk(clone, 0);
    if (this.#process.random.below(4) > 0) await this.deleteDisk(clone);
    clone.busy = false;
  }

  async deleteSnapshot(snapshot: SnapshotEntry): Promise<void> {
    snapshot.fate = "deleting";
    this.#process.world.note(`${snapshot.label} delete`);
    await this.#process.insist(`delete ${snapshot.label}`, async () => {
      if ((await this.#process.control.snapshot(snapshot.id)) === undefined) return;
      await this.#process.atomically((tx) => this.#process.control.deleteSnapshot(tx, snapshot.id));
    });
    snapshot.fate = "gone";
  }

  async deleteDisk(disk: DiskEntry): Promise<void> {
    disk.fate = "deleting";
    while (disk.pins > 0) await this.#process.life.sleep(pollMs);
    await this.detach(disk);
    this.#process.world.note(`${disk.label} delete`);
    await this.#process.insist(`delete ${disk.label}`, async () => {
      if ((await this.#process.control.vdisk(disk.id)) === undefined) return;
      await this.#process.atomically((tx) => this.#process.control.deleteVdisk(tx, disk.id));
    });
    disk.fate = "gone";
  }

  /** Waits until a disk that was asked for is there. */
  async awaitDisk(disk: DiskEntry): Promise<void> {
    for (;;) {
      const info = await this.#process.insist(`look for ${disk.label}`, () => this.#process.control.vdisk(disk.id));
      if (info?.state === "error") this.#process.accuse(`${disk.label} went to error: ${info.message}`);
      if (info?.state === "ready") break;
      await this.#process.life.sleep(pollMs);
    }
    const { origin } = disk;
    if (origin?.until === Infinity) origin.until = this.#process.world.tick();
    disk.fate = "here";
    this.#process.world.note(`${disk.label} is ready`);
  }

  async awaitSnapshot(snapshot: SnapshotEntry): Promise<void> {
    for (;;) {
      const info = await this.#process.insist(`look for ${snapshot.label}`, () => this.#process.control.snapshot(snapshot.id));
      if (info?.state === "error") this.#process.accuse(`${snapshot.label} went to error: ${info.message}`);
      if (info?.state === "ready") break;
      await this.#process.life.sleep(pollMs);
    }
    snapshot.image.until = this.#process.world.tick();
    snapshot.fate = "here";
    this.#process.world.note(`${snapshot.label} is ready`);
  }

  async #createDisk(source: DiskEntry | undefined): Promise<void> {
    const { random, world } = this.#process;
    const pool = source?.pool ?? simPools[random.below(simPools.length)]!;
    const sectorCount = source?.model.sectorCount ?? 8 * (24 + random.below(120));
    const image = source === undefined ? undefined : imageOf(source, world.tick());
    const disk = await this.#makeDisk(
      pool,
      sectorCount,
      image,
      source === undefined ? undefined : { kind: "vdisk", vdiskId: source.id },
    );
    disk.busy = false;
  }

  async #makeDisk(
    pool: string,
    sectorCount: number,
    origin: Image | undefined,
    source: VdiskSource | undefined,
  ): Promise<DiskEntry> {
    const { random, control, world } = this.#process;
    const disk = this.#ledger.addDisk(random.uuid(), pool, sectorCount, origin);
    world.note(`${disk.label} create ${source === undefined ? "" : `from ${source.kind}`}`);
    const request = { id: disk.id, pool, name: disk.label, sizeBytes: sectorCount * sectorBytes };
    await this.#process.insist(`create ${disk.label}`, async () => {
      if ((await control.vdisk(disk.id)) !== undefined) return;
      await this.#process.atomically((tx) => control.createVdisk(tx, source === undefined ? request : { ...request, source }));
    });
    await this.awaitDisk(disk);
    return disk;
  }

  /** The disk may be in use meanwhile. */
  async #snapshotDisk(disk: DiskEntry): Promise<void> {
    const { random, control, world } = this.#process;
    if (this.#ledger.snapshots.filter((entry) => entry.fate !== "gone").length >= snapshotsMax) return;
    const snapshot = this.#ledger.addSnapshot(random.uuid(), disk, world.tick());
    world.note(`${snapshot.label} of ${disk.label}`);
    await this.#process.insist(`create ${snapshot.label}`, async () => {
      if ((await control.snapshot(snapshot.id)) !== undefined) return;
      const request = { id: snapshot.id, vdiskId: disk.id, name: snapshot.label };
      await this.#process.atomically((tx) => control.createSnapshot(tx, request));
    });
    await this.awaitSnapshot(snapshot);
    snapshot.busy = false;
  }

  /** All disks that can be, at one instant. */
  async #snapshotTogether(): Promise<void> {
    const { random, control, world } = this.#process;
    const disks = this.#sources();
    const present = this.#ledger.snapshots.filter((entry) => entry.fate !== "gone").length;
    if (disks.length < 2 || present + disks.length > snapshotsMax + 2) return;
    for (const disk of disks) disk.pins++;
    const set = disks.map((disk) => this.#ledger.addSnapshot(random.uuid(), disk, world.tick()));
    this.#ledger.together.push(set);
    const labels = set.map((snapshot) => `${snapshot.label} of ${snapshot.disk.label}`).join(", ");
    world.note(`${labels} together`);
    const requests = set.map(({ id, disk, label }) => ({ id, vdiskId: disk.id, name: label }));
    const act = random.uuid();
    await this.#process.insist(`create ${labels}`, async () => {
      if ((await control.snapshot(set[0]!.id)) !== undefined) return;
      await this.#process.atomically((tx) => control.createSnapshots(tx, act, requests));
    });
    for (const snapshot of set) await this.awaitSnapshot(snapshot);
    for (const disk of disks) disk.pins--;
    for (const snapshot of set) snapshot.busy = false;
  }

  async #revertDisk(snapshot: SnapshotEntry): Promise<void> {
    const { disk } = snapshot;
    const { world, control } = this.#process;
    await this.checkSnapshot(snapshot);
    const { known } = snapshot.image;
    if (disk.busy || disk.pins > 0 || disk.fate !== "here" || disk.origin !== undefined || known === undefined) return;
    await this.#whileBusy(disk, async () => {
      await this.detach(disk);
      world.note(`${disk.label} revert to ${snapshot.label}`);
      const effects = known.map((operation, sector) => disk.model.begin(sector, 1, operation, world.tick()));
      await this.#process.insist(`revert ${disk.label}`, () =>
        this.#process.atomically((tx) => control.revertVdisk(tx, disk.id, snapshot.id)),
      );
      for (const effect of effects) disk.model.end(effect, "durable", world.tick());
    });
  }

  async #open(disk: DiskEntry): Promise<DiskSession> {
    const { random, control, router } = this.#process;
    if (disk.attachment?.name === undefined) await this.detach(disk);
    if (disk.attachment === undefined) {
      const id = random.uuid();
      disk.attachment = { id, name: undefined };
      const info = await this.#process.insist(`attach ${disk.label}`, async () => {
        await this.#process.atomically((tx) => control.revokeExport(tx, id));
        return this.#process.atomically((tx) => control.createExport(tx, { id, vdiskId: disk.id, readOnly: false }));
      });
      disk.attachment = { id, name: info.exportName };
    }
    const { name } = disk.attachment;
    const session = await this.#process.insist(`open ${disk.label}`, () => router.exports.open(name ?? ""));
    return new DiskSession(this.#process, this.#ledger, disk, session);
  }

  /** Something that is here and that nobody works with. */
  #pick<T extends { readonly fate: string; readonly busy: boolean }>(entries: readonly T[]): T | undefined {
    const free = entries.filter((entry) => entry.fate === "here" && !entry.busy);
    return free[this.#process.random.below(Math.max(free.length, 1))];
  }

  /** Makes something of a disk that is here, in use or not. */
  async #copied(make: (source: DiskEntry) => Promise<void>): Promise<void> {
    const sources = this.#sources();
    const source = sources[this.#process.random.below(Math.max(sources.length, 1))];
    if (source === undefined) return;
    source.pins++;
    await make(source);
    source.pins--;
  }

  #sources(): DiskEntry[] {
    return this.#ledger.disks.filter(
      (entry) => entry.fate === "here" && entry.origin === undefined && entry.unseen === undefined && !entry.isMoving,
    );
  }

  async #whileBusy(entry: { busy: boolean }, run: () => Promise<void>): Promise<void> {
    entry.busy = true;
    await run();
    entry.busy = false;
  }
}
