// A move of a disk to another log as its router sees it: who may commit it and when, what waits meanwhile, and what happens when
// the time is over, the registry is away or a connection comes at that moment. The bytes are in copying/disk-moves.test.ts.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Clock } from "../common/clock.ts";
import { systemClock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import { systemRandom } from "../common/random.ts";
import type { Registry } from "../registry/registry.ts";
import type { DiskMove, ExportSession } from "./device.ts";
import { RouterDiskMove } from "./disk-move.ts";
import { EngineRig, readRange } from "./engine-rig.fixture.ts";
import { clusterBytes, engineLimits, MiB } from "./limits.ts";

interface Rig {
  readonly engine: EngineRig;
  readonly session: ExportSession;
  readonly vdiskId: string;
  readonly copyId: string;
  readonly clock: { aheadMs: number };
  readonly registry: { isAway: boolean };
  begin(): Promise<DiskMove>;
  commit(): Promise<void>;
  write(value: number): Promise<void>;
  first(session?: ExportSession): Promise<number>;
}

async function open(t: TestContext): Promise<Rig> {
  const registry = { isAway: false };
  const wrapRegistry = (inner: Registry): Registry =>
    new Proxy(inner, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        if (!registry.isAway || (name !== "get" && name !== "transact")) return member.bind(target) as unknown;
        return () => Promise.reject(new AndironError("registry_unavailable", "away"));
      },
    });
  const engine = await EngineRig.open({ otherPools: ["other"], wrapRegistry });
  t.after(() => engine.close());
  const vdiskId = await engine.createDisk(4 * MiB);
  const copyId = await engine.createDisk(4 * MiB, undefined, "other");
  const session = await engine.open(vdiskId);
  const ahead = { aheadMs: 0 };
  const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + ahead.aheadMs };
  const { router, control } = engine;
  return {
    ...{ engine, session, vdiskId, copyId, clock: ahead, registry },
    async begin() {
      const parts = { registry: wrapRegistry(engine.registry), clock, random: systemRandom };
      const { openLogs, routerId, exports } = router;
      const moved = (id: string, from: string, to: string): Promise<void> => exports.moved(id, from, to);
      const move = await RouterDiskMove.begin({ ...parts, openLogs, router: routerId, moved }, vdiskId, copyId);
      t.after(() => move.end());
      return move;
    },
    commit: () => engine.atomically((tx) => control.moveVdisk(tx, vdiskId, copyId, "moved")),
    write: (value) => session.device.write(0, Buffer.alloc(clusterBytes, value), { fua: false }),
    first: async (from = session) => (await readRange(from, 0, 1))[0]!,
  };
}

const isWaiting = async (work: Promise<unknown>): Promise<boolean> =>
  Promise.race([work.then(() => false), systemClock.sleep(50).then(() => true)]);

test("nobody moves a disk without a permit: not before, not while it is only held, not when it was taken back", async (t) => {
  const rig = await open(t);
  await rig.write(1);
  await assert.rejects(rig.commit(), { code: "vdisk_busy" });
  const move = await rig.begin();
  await assert.rejects(rig.begin(), { code: "vdisk_busy" });
  await move.hold();
  await assert.rejects(rig.commit(), { code: "vdisk_busy" });
  await move.permit();
  await move.end();
  assert.equal(await move.settled(), "stays");
  await assert.rejects(rig.commit(), { code: "vdisk_busy" });
  await rig.write(2);
  assert.equal(await rig.first(), 2);
});

test("writes wait while it is held, reads and flushes do not; then they go on where the disk is, in order", async (t) => {
  const rig = await open(t);
  await rig.write(1);
  const move = await rig.begin();
  await rig.write(2);
  assert.deepEqual(
    [...move.takeChanged().ranges()].map(({ offset }) => offset),
    [0],
  );
  assert.equal(move.changed.bytes, 0);
  await move.hold();
  const [third, fourth] = [rig.write(3), rig.write(4)];
  assert.ok(await isWaiting(Promise.race([third, fourth])));
  await rig.session.device.flush();
  assert.equal(await rig.first(), 2);
  await move.permit();
  await rig.commit();
  assert.equal(await move.settled(), "moved");
  await Promise.all([third, fourth]);
  assert.equal(await rig.first(), 4);
  // The copy was not copied to: what it has is what was written since.
  const second = await rig.engine.reopen(rig.vdiskId);
  assert.equal(await rig.first(second), 4);
  await move.end();
  for (const session of [second, rig.session]) {
    await session.device.flush();
    await session.close();
  }
});

test("a permit that is not used in time is taken back, and so is a hold", async (t) => {
  const rig = await open(t);
  const move = await rig.begin();
  await move.hold();
  await move.permit();
  const write = rig.write(7);
  assert.ok(await isWaiting(write));
  rig.clock.aheadMs += engineLimits.moveHoldMsMax;
  assert.equal(await move.settled(), "stays");
  await write;
  await assert.rejects(rig.commit(), { code: "vdisk_busy" });
  await move.hold();
  rig.clock.aheadMs += engineLimits.moveHoldMsMax;
  await assert.rejects(move.permit(), { code: "overloaded" });
  move.letGo();
  await rig.write(8);
  assert.equal(await rig.first(), 8);
});

test("while the registry is away nothing is known, and writes wait; then the disk is where the registry says", async (t) => {
  for (const outcome of ["moved", "stays"] as const) {
    const rig = await open(t);
    const move = await rig.begin();
    await move.hold();
    await move.permit();
    const write = rig.write(5);
    rig.registry.isAway = true;
    rig.clock.aheadMs += engineLimits.moveHoldMsMax;
    if (outcome === "moved") await rig.commit();
    assert.ok(await isWaiting(write));
    rig.registry.isAway = false;
    assert.equal(await move.settled(), outcome);
    await write;
    const vdisk = await rig.engine.control.vdisk(rig.vdiskId);
    assert.equal(vdisk?.pool, outcome === "moved" ? "other" : "pool1");
    assert.equal(await rig.first(), 5);
  }
});

test("a revoked connection's writes end at once while the disk is held, and are nowhere", async (t) => {
  const rig = await open(t);
  await rig.write(1);
  const move = await rig.begin();
  await move.hold();
  const write = rig.write(9);
  const revoked = assert.rejects(write, { code: "export_revoked" });
  const gone = rig.engine.detach(rig.vdiskId);
  await revoked;
  move.letGo();
  await move.end();
  await gone;
  await assert.rejects(rig.write(10), { code: "export_revoked" });
  const again = await rig.engine.open(rig.vdiskId);
  assert.equal(await rig.first(again), 1);
});

test("a log that was given up ends the move; the next one says whether anything was written between", async (t) => {
  const rig = await open(t);
  await rig.write(1);
  const move = await rig.begin();
  await move.end();
  const same = await rig.begin();
  assert.equal(same.since, move.since);
  await rig.write(2);
  await same.end();
  const other = await rig.begin();
  assert.notEqual(other.since, move.since);
  await other.hold();
  await rig.engine.router.openLogs.abandonAll(new AndironError("lease_lost", "a test"));
  assert.ok(other.isBroken);
  await assert.rejects(other.permit(), { code: "lease_lost" });
});
