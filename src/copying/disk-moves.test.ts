// Disks of a real engine on their way to another vPool, with writers on them: every acknowledged byte is there at every moment,
// on whichever log; connections go along; deaths on the way cost the copy at most.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Random } from "../common/random.ts";
import { seededRandom } from "../common/random.ts";
import type { DiskMove, ExportSession } from "../engine/device.ts";
import { EngineRig, readRange } from "../engine/engine-rig.fixture.ts";
import type { CopyRun } from "./disk-copy.ts";
import { type MoveState, RouterDiskMoves } from "./disk-moves.ts";

const cluster = 4096;
const clusters = 1024;
const sizeBytes = clusters * cluster;
const [patient, hasty]: CopyRun[] = [true, false].map((isPatient) => ({
  signal: new AbortController().signal,
  shouldYield: () => !isPatient,
}));
const roundsMax = 4;
const first: MoveState = { phase: "copy", offset: 0, since: "", round: 0 };

/** Writes numbered clusters, and knows which numbers each may have. */
class Writer {
  session: ExportSession;
  readonly #random: Random;
  readonly #acknowledged = new Uint32Array(clusters);
  /** By cluster: what was asked for and not answered. */
  readonly #pending = new Map<number, number>();
  #number = 0;
  #isStopped = false;
  #running: Promise<void>[] = [];

  constructor(session: ExportSession, random: Random) {
    this.session = session;
    this.#random = random;
  }

  start(): void {
    this.#isStopped = false;
    // Each has clusters of its own.
    this.#running = [0, 1, 2].map((lane) => this.#write(lane));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  async write(at: number, isZero = false): Promise<void> {
    const number = isZero ? 0 : ++this.#number;
    this.#pending.set(at, number);
    const { device } = this.session;
    if (isZero) await device.trim(at * cluster, cluster, { fua: false });
    else if (number % 5 === 0) await this.#writeInPieces(at, stamp(number));
    else await device.write(at * cluster, stamp(number), { fua: number % 7 === 0 });
    this.#pending.delete(at);
    this.#acknowledged[at] = number;
  }

  async check(session: ExportSession, what: string): Promise<void> {
    for (let at = 0; at < clusters; at += 256) {
      const bytes = await readRange(session, at * cluster, 256 * cluster);
      for (let i = 0; i < 256; i++) this.#checkCluster(at + i, bytes.subarray(i * cluster, (i + 1) * cluster), what);
    }
  }

  #checkCluster(at: number, bytes: Buffer, what: string): void {
    const known = this.#acknowledged[at]!;
    const pending = this.#pending.get(at);
    if (bytes.equals(stamp(known))) return;
    // Under way when the process died: from now on it is what it was found to be. In pieces it may be half done.
    if (pending === undefined) assert.fail(`${what}: cluster ${at} is number ${bytes.readUInt32LE(0)}, not ${known}`);
    const half = Buffer.concat([stamp(pending).subarray(0, 1000), stamp(known).subarray(1000)]);
    assert.ok(bytes.equals(stamp(pending)) || bytes.equals(half), `${what}: cluster ${at} is neither ${known} nor ${pending}`);
  }

  /** What was under way at a death is written anew. */
  async settle(): Promise<void> {
    for (const at of [...this.#pending.keys()]) await this.write(at);
  }

  async #writeInPieces(at: number, bytes: Buffer): Promise<void> {
    const { device } = this.session;
    await device.write(at * cluster, bytes.subarray(0, 1000), { fua: false });
    await device.write(at * cluster + 1000, bytes.subarray(1000), { fua: false });
  }

  async #write(lane: number): Promise<void> {
    while (!this.#isStopped) {
      const at = 3 * this.#random.below(Math.floor(clusters / 3)) + lane;
      await new Promise((resolve) => setTimeout(resolve, 1 + this.#random.below(4)));
      try {
        await this.write(at, this.#random.below(6) === 0);
      } catch (error) {
        // It dies with its process only.
        if (this.#isStopped) return;
        throw error;
      }
    }
  }
}

function stamp(number: number): Buffer {
  const bytes = Buffer.alloc(cluster);
  if (number === 0) return bytes;
  for (let at = 0; at < cluster; at += 8) bytes.writeUInt32LE(number, at);
  return bytes;
}

class Move {
  readonly rig: EngineRig;
  readonly vdiskId: string;
  readonly copyId: string;
  state = first;
  phases: string[] = [];
  /** What had not been copied when writes began to wait. */
  readonly heldBytes: number[] = [];
  #moves: RouterDiskMoves;
  #exports: readonly [id: string, name: string][] = [];

  constructor(rig: EngineRig, vdiskId: string, copyId: string) {
    [this.rig, this.vdiskId, this.copyId] = [rig, vdiskId, copyId];
    this.#moves = this.#newMoves();
  }

  #newMoves(): RouterDiskMoves {
    const { exports, moves } = this.rig.router;
    const begin = async (vdiskId: string, copyId: string): Promise<DiskMove> => {
      const move = await moves.begin(vdiskId, copyId);
      const hold = move.hold.bind(move);
      move.hold = () => {
        this.heldBytes.push(move.changed.bytes);
        return hold();
      };
      return move;
    };
    return new RouterDiskMoves(exports, { begin }, { roundsMax, restBytesMax: 128 * 1024 });
  }

  /** As a new claim does. */
  async claim(): Promise<void> {
    await this.#revoke();
    this.#moves = this.#newMoves();
    const { control } = this.rig;
    const exports: [string, string][] = [];
    for (const vdiskId of [this.vdiskId, this.copyId]) {
      const id = crypto.randomUUID();
      const { exportName } = await this.rig.atomically((tx) => control.createExport(tx, { id, vdiskId, readOnly: false }));
      exports.push([id, exportName]);
    }
    this.#exports = exports;
  }

  async step(run: CopyRun): Promise<void> {
    const [[, sourceExport], [, targetExport]] = this.#exports as [[string, string], [string, string]];
    const task = { vdiskId: this.vdiskId, copyId: this.copyId, sourceExport, targetExport, state: this.state };
    this.state = (await this.#moves.step(task, run)).state;
    if (this.phases.at(-1) !== this.state.phase) this.phases.push(this.state.phase);
  }

  async commit(): Promise<void> {
    const { control } = this.rig;
    await this.rig.atomically(async (tx) => {
      for (const [id] of this.#exports) await control.revokeExport(tx, id);
      await control.moveVdisk(tx, this.vdiskId, this.copyId, "moved");
    });
    for (const [id] of this.#exports) await control.exportGone(id);
    this.#exports = [];
  }

  async giveUp(): Promise<void> {
    await this.#moves.end(this.copyId);
    await this.#revoke();
    await this.rig.atomically((tx) => this.rig.control.deleteVdisk(tx, this.copyId));
  }

  async #revoke(): Promise<void> {
    for (const [id] of this.#exports) {
      await this.rig.atomically((tx) => this.rig.control.revokeExport(tx, id));
      await this.rig.control.exportGone(id);
    }
    this.#exports = [];
  }
}

async function open(t: TestContext, random: Random): Promise<{ rig: EngineRig; writer: Writer; move: Move }> {
  const rig = await EngineRig.open({ otherPools: ["other"] });
  t.after(() => rig.close());
  const vdiskId = await rig.createDisk(sizeBytes);
  const writer = new Writer(await rig.open(vdiskId), random);
  for (let at = 0; at < clusters; at += 1 + random.below(8)) await writer.write(at);
  return { rig, writer, move: new Move(rig, vdiskId, await rig.createDisk(sizeBytes, undefined, "other")) };
}

test("a disk moves while it is written: its connection goes along, and nothing is missing, now and after a crash", async (t) => {
  const { rig, writer, move } = await open(t, seededRandom(1));
  writer.start();
  await move.claim();
  while (move.state.phase !== "permitted") await move.step(hasty!);
  assert.deepEqual(move.phases, ["copy", "compare", "rounds", "permitted"]);
  await move.commit();
  const before = writer.session.device;
  await new Promise((resolve) => setTimeout(resolve, 100));
  await writer.stop();
  assert.equal(writer.session.device, before);
  const vdisk = await rig.control.vdisk(move.vdiskId);
  assert.deepEqual([vdisk?.pool, vdisk?.name, await rig.control.vdisk(move.copyId)], ["other", "moved", undefined]);
  assert.deepEqual(await rig.control.vdisks("pool1", 10), []);
  await writer.check(writer.session, "after the move");
  const second = await rig.reopen(move.vdiskId);
  await writer.check(second, "another connection");
  await second.close();
  // Only the disk's own log stays open.
  while (rig.router.openLogs.openCount > 1) await new Promise((resolve) => setTimeout(resolve, 20));
  await rig.crash();
  writer.session = await rig.reopen(move.vdiskId);
  await writer.check(writer.session, "after a crash");
  await writer.session.close();
  await rig.detach(move.vdiskId);
});

test("the disk on its way is given up: it stays where it was, with all that was written, and its copy goes", async (t) => {
  const { rig, writer, move } = await open(t, seededRandom(2));
  await move.claim();
  writer.start();
  for (let steps = 0; steps < 12; steps++) await move.step(hasty!);
  while (move.state.phase !== "permitted") await move.step(patient!);
  // Permitted, and taken back: who moves it now is too late, and writes go on.
  await move.giveUp();
  await writer.stop();
  await writer.check(writer.session, "given up");
  await assert.rejects(
    rig.atomically((tx) => rig.control.moveVdisk(tx, move.vdiskId, move.copyId, "late")),
    { code: "vdisk_not_found" },
  );
  assert.equal((await rig.control.vdisk(move.vdiskId))?.pool, "pool1");
  await writer.session.close();
  await rig.detach(move.vdiskId);
  while (rig.router.openLogs.openCount > 0) await new Promise((resolve) => setTimeout(resolve, 20));
});

test("what was written while a disk waits for another try, its rounds being over, is not copied while writes wait", async (t) => {
  const { rig, writer, move } = await open(t, seededRandom(6));
  await move.claim();
  while (move.state.phase !== "rounds") await move.step(hasty!);
  for (let at = 0; at < clusters / 2; at++) await writer.write(at);
  move.state = { ...move.state, round: roundsMax };
  await move.step(hasty!);
  assert.deepEqual([move.state.phase, move.heldBytes], ["permitted", [0]]);
  await move.commit();
  await writer.check(writer.session, "after the move");
  await writer.session.close();
  await rig.detach(move.vdiskId);
});

for (const noted of [0, 1, 2]) {
  test(`what a process copied in a step that nobody noted, after ${noted} that were, goes`, async (t) => {
    const { rig, writer, move } = await open(t, seededRandom(3));
    await writer.write(0);
    await move.claim();
    for (let steps = 0; steps < noted; steps++) await move.step(hasty!);
    const { state } = move;
    await move.step(hasty!);
    await rig.crash();
    writer.session = await rig.reopen(move.vdiskId);
    await writer.write(0, true);
    move.state = state;
    await move.claim();
    while (move.state.phase !== "permitted") await move.step(patient!);
    await move.commit();
    await writer.check(writer.session, "after the move");
    await writer.session.close();
    await rig.detach(move.vdiskId);
  });
}

test("a step whose exports are cut ends, and says that they were revoked", async (t) => {
  const { rig, writer, move } = await open(t, seededRandom(4));
  await move.claim();
  const cutting: CopyRun = {
    signal: new AbortController().signal,
    shouldYield: () => {
      rig.router.exports.cutAll();
      return false;
    },
  };
  await assert.rejects(move.step(cutting), { code: "export_revoked" });
  await writer.session.close();
});

const seeds = Number(process.env["MOVE_SEEDS"] ?? 4);
const from = Number(process.env["MOVE_SEED"] ?? Math.floor(Math.random() * 1e6));
for (let seed = from; seed < from + seeds; seed++) {
  test(`crashes on the way, before and after the commit (MOVE_SEED=${seed})`, async (t) => {
    const random = seededRandom(seed);
    const { rig, writer, move } = await open(t, random);
    const crash = async (): Promise<void> => {
      const stopped = writer.stop();
      await rig.crash();
      await stopped;
      writer.session = await rig.reopen(move.vdiskId);
      await writer.check(writer.session, `seed ${seed}, after a crash in ${move.state.phase}`);
      await writer.settle();
      if (random.below(3) > 0) writer.start();
    };
    await move.claim();
    writer.start();
    for (let crashes = 0; move.state.phase !== "permitted";) {
      await move.step(random.below(4) === 0 ? patient! : hasty!);
      if (crashes >= 6 || random.below(10) > 0) continue;
      crashes++;
      const died = move.phases.at(-1) === "permitted";
      await crash();
      if (died) {
        // The permit was of logs as they were before: nobody may move by it.
        await assert.rejects(move.commit(), { code: "vdisk_busy" });
        move.state = { ...move.state, phase: "rounds" };
      }
      await move.claim();
    }
    if (random.below(2) === 0) await new Promise((resolve) => setTimeout(resolve, random.below(30)));
    await move.commit();
    await crash();
    await writer.stop();
    assert.equal((await rig.control.vdisk(move.vdiskId))?.pool, "other");
    await writer.check(writer.session, `seed ${seed}, at the end`);
    await writer.session.close();
    await rig.detach(move.vdiskId);
  });
}
