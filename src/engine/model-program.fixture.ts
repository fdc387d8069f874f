// A random program over disks, snapshots and clones of one engine, held against plain arrays. Everything comes from the seed.
//
// - Each step does the same to the engine and to the model and compares what can be read; at the end everything is compared.
// - Requests of a batch are under way together, on ranges that share no byte (but often a cluster).
// - A crash may come while writes are under way: each cluster is then as before or as written.

import assert from "node:assert/strict";
import type { Random } from "../common/random.ts";
import { seededRandom } from "../common/random.ts";
import type { ExportSession, LentBytes } from "./device.ts";
import type { EngineRig } from "./engine-rig.fixture.ts";
import { readRange, rigPool } from "./engine-rig.fixture.ts";
import { clusterBytes, diskBytesMax, KiB, MiB } from "./limits.ts";
import { checkDifferences } from "./snapshot-differences.fixture.ts";
import { SparseBytes } from "./sparse-bytes.fixture.ts";

interface ModelDisk {
  id: string;
  sizeBytes: number;
  bytes: SparseBytes;
  session: ExportSession | undefined;
}

interface ModelSnapshot {
  readonly id: string;
  readonly disk: ModelDisk;
  readonly sizeBytes: number;
  readonly bytes: SparseBytes;
}

interface Range {
  readonly offset: number;
  readonly lengthBytes: number;
}

interface Step {
  readonly weight: number;
  readonly run: (program: ModelProgram) => Promise<void>;
}

const disksMax = 5;
const snapshotsMax = 6;
const readBytesMax = MiB;
const borrowedBytes = 2 * clusterBytes;

export class ModelProgram {
  /** What was done, for the report of a failure. */
  readonly trace: string[] = [];
  readonly #rig: EngineRig;
  readonly #random: Random;
  readonly #disks: ModelDisk[] = [];
  readonly #snapshots: ModelSnapshot[] = [];
  #fill = 0;
  readonly #borrowed: { readonly lent: readonly LentBytes[]; readonly wanted: Buffer; readonly what: string }[] = [];

  constructor(rig: EngineRig, seed: number) {
    this.#rig = rig;
    this.#random = seededRandom(seed);
  }

  /** Rejects with what did not agree; then the rig is not fit for another program. */
  async run(): Promise<void> {
    const huge = this.#random.below(8) === 0;
    const sizeBytes = huge ? diskBytesMax : (1 + this.#random.below(1024)) * 4 * clusterBytes;
    await this.#addDisk(sizeBytes, undefined, new SparseBytes());
    const total = steps.reduce((sum, step) => sum + step.weight, 0);
    for (let count = 4 + this.#random.below(16); count > 0; count--) {
      let pick = this.#random.below(total);
      await steps.find((step) => (pick -= step.weight) < 0)!.run(this);
    }
    await this.#checkAll();
    await this.#removeAll();
  }

  async write(): Promise<void> {
    const disk = await this.#attached();
    const range = this.#range(disk);
    await this.#writeTo(disk, range)();
  }

  /** Several requests at once. */
  async batch(): Promise<void> {
    const disk = await this.#attached();
    await Promise.all(this.#requests(disk).map((request) => request()));
  }

  async flush(): Promise<void> {
    const disk = await this.#attached();
    this.#note("flush", disk);
    await disk.session!.device.flush();
  }

  async read(): Promise<void> {
    const disk = await this.#attached();
    await this.#compare(disk.session!, disk.bytes, this.#range(disk), this.#note("read", disk));
  }

  async extents(): Promise<void> {
    const disk = await this.#attached();
    const range = this.#random.below(2) === 0 ? this.#range(disk) : { offset: 0, lengthBytes: disk.sizeBytes };
    await this.#compareExtents(disk, range, 1 + this.#random.below(40));
  }

  async takeSnapshot(): Promise<void> {
    if (this.#snapshots.length >= snapshotsMax) return this.deleteSnapshot();
    const disk = this.#anyDisk();
    if (disk.session !== undefined && this.#random.below(2) === 0) await this.batch();
    const what = this.#note("snapshot", disk);
    const id = await this.#rig.snapshot(disk.id);
    assert.equal((await this.#rig.control.snapshot(id))?.state, "ready", what);
    this.#snapshots.push({ id, disk, sizeBytes: disk.sizeBytes, bytes: disk.bytes.copy() });
  }

  /** Of some disks at one instant, attached or not. */
  async takeTogether(): Promise<void> {
    const disks = this.#disks.filter(() => this.#random.below(3) > 0);
    if (disks.length === 0 || this.#snapshots.length + disks.length > snapshotsMax + 2) return;
    const what = this.#note(`snapshots of ${disks.length} together with`, disks[0]!);
    const ids = await this.#rig.snapshotTogether(disks.map((disk) => disk.id));
    for (const [i, disk] of disks.entries()) {
      assert.equal((await this.#rig.control.snapshot(ids[i]!))?.state, "ready", what);
      this.#snapshots.push({ id: ids[i]!, disk, sizeBytes: disk.sizeBytes, bytes: disk.bytes.copy() });
    }
  }

  async clone(): Promise<void> {
    if (this.#disks.length >= disksMax) return this.deleteDisk();
    const snapshot = this.#snapshots[this.#random.below(Math.max(this.#snapshots.length, 1))];
    const more = this.#random.below(3) === 0 ? clusterBytes * this.#random.below(512) : 0;
    if (snapshot !== undefined && this.#random.below(2) === 0) {
      this.#note("clone of a snapshot of", snapshot.disk);
      const sizeBytes = Math.min(snapshot.sizeBytes + more, diskBytesMax);
      await this.#addDisk(sizeBytes, { kind: "snapshot", snapshotId: snapshot.id }, snapshot.bytes.copy());
      return;
    }
    const disk = this.#anyDisk();
    this.#note("clone of", disk);
    const sizeBytes = Math.min(disk.sizeBytes + more, diskBytesMax);
    await this.#addDisk(sizeBytes, { kind: "vdisk", vdiskId: disk.id }, disk.bytes.copy());
  }

  async revert(): Promise<void> {
    const snapshot = this.#snapshots[this.#random.below(Math.max(this.#snapshots.length, 1))];
    if (snapshot === undefined || !this.#disks.includes(snapshot.disk)) return;
    const disk = snapshot.disk;
    await this.#detach(disk);
    this.#note("revert", disk);
    await this.#rig.atomically((tx) => this.#rig.control.revertVdisk(tx, disk.id, snapshot.id));
    disk.bytes = snapshot.bytes.copy();
    disk.sizeBytes = snapshot.sizeBytes;
  }

  async grow(): Promise<void> {
    const disk = this.#anyDisk();
    disk.sizeBytes = Math.min(disk.sizeBytes + (1 + this.#random.below(300)) * clusterBytes, diskBytesMax);
    this.#note(`grow to ${disk.sizeBytes}`, disk);
    await this.#rig.atomically((tx) => this.#rig.control.growVdisk(tx, disk.id, disk.sizeBytes));
    if (disk.session === undefined) return;
    await disk.session.close();
    disk.session = await this.#rig.reopen(disk.id);
    assert.equal(disk.session.device.sizeBytes, disk.sizeBytes);
  }

  async deleteDisk(): Promise<void> {
    if (this.#disks.length < 2) return;
    await this.#removeDisk(this.#anyDisk());
  }

  /** Two snapshots of whatever disks, or one and nothing: what is said to be the same is, and what differs reads as it should. */
  async differences(): Promise<void> {
    const newer = this.#snapshots[this.#random.below(Math.max(this.#snapshots.length, 1))];
    if (newer === undefined) return;
    const older = this.#snapshots[this.#random.below(this.#snapshots.length + 1)];
    const what = this.#note(`differences with ${older?.disk.id.slice(0, 8) ?? "nothing"}`, newer.disk);
    await checkDifferences(this.#rig, { older, newer, extentsMax: 1 + this.#random.below(60) }, what);
  }

  async deleteSnapshot(): Promise<void> {
    const [snapshot] = this.#snapshots.splice(this.#random.below(Math.max(this.#snapshots.length, 1)), 1);
    if (snapshot === undefined) return;
    this.#note("delete a snapshot of", snapshot.disk);
    await this.#rig.atomically((tx) => this.#rig.control.deleteSnapshot(tx, snapshot.id));
  }

  async detach(): Promise<void> {
    await this.#detach(this.#anyDisk());
  }

  async clean(): Promise<void> {
    this.trace.push("clean");
    await this.#rig.router.cleaners.get(rigPool)!.pass();
  }

  /** With writes under way, half of the time: any of them may be there, whole clusters of them. */
  async crash(): Promise<void> {
    const disk = this.#random.below(2) === 0 ? await this.#attached() : undefined;
    const before = disk?.bytes.copy();
    const pending = disk === undefined ? [] : this.#requests(disk).map((request) => request());
    const settled = Promise.allSettled(pending);
    for (let turns = this.#random.below(4); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    this.trace.push(`crash with ${pending.length} requests under way`);
    await this.#rig.crash();
    await settled;
    for (const attached of this.#disks) {
      if (attached.session !== undefined) attached.session = await this.#rig.reopen(attached.id);
    }
    if (disk !== undefined && before !== undefined) await this.#adoptOldOrNew(disk, before);
  }

  async #adoptOldOrNew(disk: ModelDisk, before: SparseBytes): Promise<void> {
    for (const bytes of [before, disk.bytes.copy()]) {
      for (const { offset, lengthBytes } of bytes.writtenRuns()) {
        for (let at = offset; at < offset + lengthBytes; at += clusterBytes) {
          const found = await readRange(disk.session!, at, clusterBytes);
          if (found.equals(disk.bytes.read(at, clusterBytes))) continue;
          this.#checkPieces(
            found,
            before.read(at, clusterBytes),
            disk.bytes.read(at, clusterBytes),
            `cluster at ${at} after a crash`,
          );
          disk.bytes.write(at, found);
        }
      }
    }
  }

  /** Requests of one batch may share a cluster, so old and new may meet inside one; 512 bytes are never torn. */
  #checkPieces(found: Buffer, before: Buffer, after: Buffer, what: string): void {
    let mixed = 0;
    for (let i = 0; i < found.length; i++) {
      if (found[i] !== before[i] && found[i] !== after[i]) mixed++;
    }
    assert.equal(mixed, 0, `${what} is neither old nor new`);
  }

  /** Prepared requests on ranges that share no byte; the model has them done already. */
  #requests(disk: ModelDisk): (() => Promise<void>)[] {
    const requests: (() => Promise<void>)[] = [];
    let { offset } = this.#range(disk);
    for (let count = 2 + this.#random.below(6); count > 0 && offset < disk.sizeBytes; count--) {
      const lengthBytes = Math.min(this.#length(), disk.sizeBytes - offset);
      requests.push(this.#writeTo(disk, { offset, lengthBytes }));
      offset += lengthBytes + (this.#random.below(2) === 0 ? 0 : this.#random.below(3 * clusterBytes));
    }
    return requests;
  }

  #writeTo(disk: ModelDisk, range: Range): () => Promise<void> {
    const device = disk.session!.device;
    const { offset, lengthBytes } = range;
    const fua = this.#random.below(8) === 0;
    const kind = this.#random.below(8);
    if (kind === 0) {
      disk.bytes.zero(offset, lengthBytes);
      this.#note(`zero ${offset}+${lengthBytes}`, disk);
      return () => device.writeZeroes(offset, lengthBytes, { fua, noHole: false });
    }
    if (kind === 1) {
      disk.bytes.trim(offset, lengthBytes);
      this.#note(`trim ${offset}+${lengthBytes}`, disk);
      return () => device.trim(offset, lengthBytes, { fua });
    }
    // A pattern of 13 bytes: what lies at a wrong place in a cluster is noticed.
    const data = Buffer.alloc(Math.min(lengthBytes, 2 * MiB), `${String(++this.#fill).padStart(12, "w")}.`);
    disk.bytes.write(offset, data);
    this.#note(`write ${offset}+${data.length}${fua ? " fua" : ""} (${this.#fill})`, disk);
    return () => device.write(offset, data, { fua });
  }

  #length(): number {
    const kind = this.#random.below(10);
    if (kind < 3) return 512 * (1 + this.#random.below(16));
    if (kind < 5) return 1 + this.#random.below(3 * clusterBytes);
    if (kind < 9) return clusterBytes * (1 + this.#random.below(24));
    return 4 * KiB * (1 + this.#random.below(400));
  }

  /** Mostly near the beginning, so that things overlap; sometimes at the end, or anywhere. */
  #range(disk: ModelDisk): Range {
    let lengthBytes = Math.min(this.#length(), disk.sizeBytes);
    const kind = this.#random.below(8);
    if (kind === 0 && this.#random.below(4) === 0) lengthBytes = Math.ceil(disk.sizeBytes / (1 + this.#random.below(8)));
    const room = disk.sizeBytes - lengthBytes;
    let offset = this.#random.below(Math.min(room, 256 * KiB) + 1);
    if (kind === 0) offset = room;
    else if (kind === 1) offset = this.#random.below(2 ** 32) % (room + 1);
    else if (kind === 2) offset = Math.floor(room / (1 + this.#random.below(7)));
    if (this.#random.below(2) === 0) offset -= offset % clusterBytes;
    return { offset, lengthBytes };
  }

  async #compare(session: ExportSession, bytes: SparseBytes, range: Range, what: string): Promise<void> {
    for (let done = 0; done < Math.min(range.lengthBytes, 8 * readBytesMax); done += readBytesMax) {
      const offset = range.offset + done;
      const found = await readRange(session, offset, Math.min(readBytesMax, range.lengthBytes - done));
      const wanted = bytes.read(offset, found.length);
      this.#borrow(session, offset, wanted, what);
      if (found.equals(wanted)) continue;
      const wrong = found.findIndex((byte, i) => byte !== wanted[i]);
      const sample = (buffer: Buffer): string => JSON.stringify(buffer.toString("latin1", wrong, wrong + 26));
      assert.fail(`${what}: byte ${offset + wrong} is ${sample(found)}, not ${sample(wanted)}`);
    }
  }

  /** What the device lends is what it has, and stays so while other things happen. */
  #borrow(session: ExportSession, offset: number, wanted: Buffer, what: string): void {
    const from = Math.ceil(offset / clusterBytes) * clusterBytes - offset;
    for (let at = from; at + borrowedBytes <= wanted.length; at += borrowedBytes) {
      const lent = session.device.lend?.(offset + at, borrowedBytes);
      if (lent === undefined) continue;
      this.#borrowed.push({ lent, wanted: wanted.subarray(at, at + borrowedBytes), what: `${what}: lent at ${offset + at}` });
      break;
    }
    for (const each of this.#borrowed)
      assert.ok(Buffer.concat(each.lent.map(({ bytes }) => bytes)).equals(each.wanted), each.what);
    if (this.#borrowed.length > 2) for (const { giveBack } of this.#borrowed.shift()!.lent) giveBack();
  }

  async #compareExtents(disk: ModelDisk, range: Range, countMax: number): Promise<void> {
    const what = this.#note(`extents ${range.offset}+${range.lengthBytes}`, disk);
    const extents = await disk.session!.device.extents(range.offset, range.lengthBytes, countMax);
    assert.ok(extents.length <= countMax && (extents.length > 0 || range.lengthBytes === 0), what);
    let at = range.offset;
    for (const extent of extents) {
      assert.ok(extent.lengthBytes > 0, what);
      const end = at + extent.lengthBytes;
      for (const run of extent.allocated ? [] : disk.bytes.writtenRuns()) {
        const from = Math.max(run.offset, at);
        const to = Math.min(run.offset + run.lengthBytes, end);
        if (to > from)
          assert.ok(
            disk.bytes.read(from, to - from).every((byte) => byte === 0),
            `${what}: a hole at ${at} holds data at ${from}`,
          );
      }
      at = end;
    }
    assert.ok(at <= range.offset + range.lengthBytes, what);
    if (extents.length < countMax) assert.equal(at, range.offset + range.lengthBytes, `${what}: does not cover the range`);
  }

  async #checkAll(): Promise<void> {
    for (const disk of this.#disks) {
      await this.#attach(disk);
      await this.#checkWhole(disk);
      await this.#compareExtents(disk, { offset: 0, lengthBytes: disk.sizeBytes }, 1000);
    }
    for (const snapshot of this.#snapshots) {
      const clone = await this.#addDisk(snapshot.sizeBytes, { kind: "snapshot", snapshotId: snapshot.id }, snapshot.bytes);
      await this.#attach(clone);
      await this.#checkWhole(clone);
      await this.#removeDisk(clone);
    }
  }

  async #checkWhole(disk: ModelDisk): Promise<void> {
    const what = this.#note("check", disk);
    if (disk.sizeBytes <= 16 * MiB && this.#random.below(8) === 0) {
      return this.#compare(disk.session!, disk.bytes, { offset: 0, lengthBytes: disk.sizeBytes }, what);
    }
    for (const { offset, lengthBytes } of disk.bytes.writtenRuns()) {
      const from = Math.max(0, offset - 2 * clusterBytes);
      const to = Math.min(disk.sizeBytes, offset + lengthBytes + 2 * clusterBytes);
      await this.#compare(disk.session!, disk.bytes, { offset: from, lengthBytes: to - from }, what);
    }
  }

  async #removeAll(): Promise<void> {
    while (this.#disks.length + this.#snapshots.length > 0) {
      if (this.#disks.length > 0 && this.#random.below(2) === 0) await this.#removeDisk(this.#anyDisk());
      else await this.deleteSnapshot();
    }
  }

  async #addDisk(sizeBytes: number, source: Parameters<EngineRig["createDisk"]>[1], bytes: SparseBytes): Promise<ModelDisk> {
    const disk: ModelDisk = { id: "", sizeBytes, bytes, session: undefined };
    disk.id = await this.#rig.createDisk(sizeBytes, source);
    this.#disks.push(disk);
    assert.equal((await this.#rig.control.vdisk(disk.id))?.state, "ready", this.#note(`new, ${sizeBytes} bytes`, disk));
    return disk;
  }

  async #removeDisk(disk: ModelDisk): Promise<void> {
    await this.#detach(disk);
    this.#note("delete", disk);
    await this.#rig.atomically((tx) => this.#rig.control.deleteVdisk(tx, disk.id));
    this.#disks.splice(this.#disks.indexOf(disk), 1);
  }

  async #attach(disk: ModelDisk): Promise<void> {
    if (disk.session !== undefined) return;
    this.#note("attach", disk);
    disk.session = await this.#rig.open(disk.id);
  }

  async #detach(disk: ModelDisk): Promise<void> {
    if (disk.session === undefined) return;
    this.#note("detach", disk);
    disk.session = undefined;
    await this.#rig.detach(disk.id);
  }

  #anyDisk(): ModelDisk {
    return this.#disks[this.#random.below(this.#disks.length)]!;
  }

  async #attached(): Promise<ModelDisk> {
    const disk = this.#anyDisk();
    await this.#attach(disk);
    return disk;
  }

  #note(what: string, disk: ModelDisk): string {
    const line = `${what} ${disk.id.slice(0, 8)}`;
    this.trace.push(line);
    return line;
  }
}

const steps: readonly Step[] = [
  { weight: 20, run: (program) => program.write() },
  { weight: 14, run: (program) => program.batch() },
  { weight: 4, run: (program) => program.flush() },
  { weight: 10, run: (program) => program.read() },
  { weight: 5, run: (program) => program.extents() },
  { weight: 4, run: (program) => program.takeSnapshot() },
  { weight: 3, run: (program) => program.takeTogether() },
  { weight: 5, run: (program) => program.clone() },
  { weight: 4, run: (program) => program.differences() },
  { weight: 2, run: (program) => program.revert() },
  { weight: 2, run: (program) => program.grow() },
  { weight: 2, run: (program) => program.deleteDisk() },
  { weight: 2, run: (program) => program.deleteSnapshot() },
  { weight: 3, run: (program) => program.detach() },
  { weight: 2, run: (program) => program.clean() },
  { weight: 1, run: (program) => program.crash() },
];
