// What should exist: the disks and snapshots of a run, what each may hold, and what is not known because a process died in
// the middle of changing it.

import type { Look } from "./disk-model.ts";
import { DiskModel } from "./disk-model.ts";

/** "creating" and "deleting" are questions that the registry answers after a death. */
export type Fate = "creating" | "here" | "deleting" | "gone";

/** A disk at a cut that was taken between two ticks; once it was read, its sectors are known exactly. */
export interface Image {
  readonly model: DiskModel;
  readonly since: number;
  until: number;
  lossy: boolean;
  known: readonly number[] | undefined;
}

export interface DiskEntry {
  readonly id: string;
  readonly label: string;
  readonly model: DiskModel;
  pool: string;
  /** It goes to another pool: no snapshot of it is taken. */
  isMoving: boolean;
  fate: Fate;
  /** What it began as, until that was read. */
  origin: Image | undefined;
  /** Since when it has not been read as a whole after a death. */
  unseen: { readonly since: number; lossy: boolean } | undefined;
  attachment: { readonly id: string; readonly name: string | undefined } | undefined;
  /** Somebody works with it. */
  busy: boolean;
  /** So many snapshots or clones of it are being made. */
  pins: number;
}

/** What a disk that moves is copied to. It goes, or becomes the disk's. */
export interface CopyEntry {
  readonly id: string;
  readonly label: string;
  /** Of the disk, of the copy. */
  exports: readonly string[];
  isGone: boolean;
}

export interface SnapshotEntry {
  readonly id: string;
  readonly label: string;
  readonly disk: DiskEntry;
  readonly pool: string;
  readonly image: Image;
  fate: Fate;
  busy: boolean;
}

export class Ledger {
  readonly disks: DiskEntry[] = [];
  readonly snapshots: SnapshotEntry[] = [];
  readonly copies: CopyEntry[] = [];
  /** Snapshots that were asked for at one instant. */
  readonly together: (readonly SnapshotEntry[])[] = [];
  #operations = 0;

  /** A number that no other write has. */
  takeOperation(): number {
    return ++this.#operations;
  }

  addDisk(id: string, pool: string, sectorCount: number, origin: Image | undefined): DiskEntry {
    const label = `disk${this.disks.length}`;
    const entry: DiskEntry = {
      id,
      label,
      model: new DiskModel(sectorCount),
      pool,
      isMoving: false,
      fate: "creating",
      origin,
      unseen: undefined,
      attachment: undefined,
      busy: true,
      pins: 0,
    };
    this.disks.push(entry);
    return entry;
  }

  addCopy(id: string): CopyEntry {
    const entry: CopyEntry = { id, label: `copy${this.copies.length}`, exports: [], isGone: false };
    this.copies.push(entry);
    return entry;
  }

  addSnapshot(id: string, disk: DiskEntry, nowTick: number): SnapshotEntry {
    const label = `snapshot${this.snapshots.length}`;
    const entry: SnapshotEntry = {
      id,
      label,
      disk,
      pool: disk.pool,
      image: imageOf(disk, nowTick),
      fate: "creating",
      busy: true,
    };
    this.snapshots.push(entry);
    return entry;
  }

  /** The process has died, with its power or without. */
  died(nowTick: number, lossy: boolean): void {
    for (const disk of this.disks) {
      disk.busy = false;
      disk.pins = 0;
      disk.isMoving = false;
      if (disk.fate === "gone") continue;
      disk.model.cut(nowTick);
      disk.unseen ??= { since: nowTick, lossy };
      disk.unseen.lossy ||= lossy;
      if (disk.origin !== undefined && disk.origin.until === Infinity) disk.origin.lossy ||= lossy;
    }
    for (const { fate, image } of this.snapshots) if (fate === "creating") image.lossy ||= lossy;
    for (const snapshot of this.snapshots) snapshot.busy = false;
  }
}

/**
 * Why the snapshots of a set are of no one instant. Undefined when they may be, when not all are known yet, and after a power
 * loss in between, in which each disk may have lost its own end.
 */
export function judgeInstant(set: readonly SnapshotEntry[]): string | undefined {
  let [since, until] = [0, Infinity];
  for (const { image } of set) {
    if (image.known === undefined || image.lossy) return undefined;
    const moment = image.model.momentOf(image.known);
    [since, until] = [Math.max(since, moment.since), Math.min(until, moment.until)];
  }
  if (since <= until) return undefined;
  const labels = set.map((snapshot) => snapshot.label).join(", ");
  return `${labels} are of no one instant: one holds what began at ${since}, one lacks what had ended at ${until}`;
}

/** What a cut of the disk that is asked for now will hold. */
export const imageOf = (disk: DiskEntry, nowTick: number): Image => ({
  model: disk.model,
  since: nowTick,
  until: Infinity,
  lossy: false,
  known: undefined,
});

/** The first thing wrong with the whole of an image; what is right is known from then on. */
export function judgeImage(image: Image, operations: readonly number[]): string | undefined {
  const { known } = image;
  if (known !== undefined) {
    const sector = operations.findIndex((operation, i) => operation !== known[i]);
    return sector < 0
      ? undefined
      : `sector ${sector} holds operation ${operations[sector]} instead of ${known[sector]}, as once read`;
  }
  const look: Look = { since: image.since, until: image.until, lossy: image.lossy };
  const problem = image.model.judge(operations, 0, look);
  if (problem === undefined) image.known = [...operations];
  return problem;
}
