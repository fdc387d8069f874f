// Usage is exact: under bursts at a limit, from two processes at once, and after any interleaving of requests it equals the
// sum of what exists.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { admin, member, openFixture, stranger } from "./cinder-fixture.ts";
import { CinderFault } from "./faults.ts";
import { defaultListQuery } from "./list-query.ts";
import type { Cinder } from "./verbs.ts";

interface Sums {
  readonly volumes: number;
  readonly snapshots: number;
  readonly gigabytes: number;
}

async function listed(cinder: Cinder, context = member): Promise<Sums> {
  const volumes = (await cinder.volumes.list(context, defaultListQuery)).items;
  const snapshots = (await cinder.snapshots.list(context, defaultListQuery)).items;
  const sizes = [...volumes.map(({ volume }) => volume.sizeGib), ...snapshots.map((snapshot) => snapshot.sizeGib)];
  return { volumes: volumes.length, snapshots: snapshots.length, gigabytes: sizes.reduce((sum, size) => sum + size, 0) };
}

async function charged(cinder: Cinder, suffix = "", context = member): Promise<Sums> {
  const set = await cinder.quotas.show(context, context.projectId);
  const used = (key: string): number => set[`${key}${suffix}`]?.inUse ?? 0;
  return { volumes: used("volumes"), snapshots: used("snapshots"), gigabytes: used("gigabytes") };
}

test("80 creates at once at a limit of 37, by two processes: exactly 37 come to be", async (t) => {
  const fixture = await openFixture(t, { quotas: { volumes: 37 } });
  const peer = await fixture.openPeer();
  const results = await Promise.allSettled(
    Array.from({ length: 80 }, (_, i) => (i % 2 === 0 ? fixture.cinder : peer).volumes.create(member, { sizeGib: 1 })),
  );
  const refusals = results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
  assert.equal(refusals.length, 43);
  for (const refusal of refusals) assert.ok(refusal instanceof CinderFault && refusal.kind === "over-limit", String(refusal));
  for (const cinder of [fixture.cinder, peer]) {
    assert.deepEqual(await listed(cinder), { volumes: 37, snapshots: 0, gigabytes: 37 });
    assert.deepEqual(await charged(cinder), { volumes: 37, snapshots: 0, gigabytes: 37 });
  }
});

const verbs = ["create", "clone", "extend", "delete", "cascade", "snapshot", "unsnapshot", "force", "revert"] as const;
const movingVerbs = ["give", "let-go", "take-in"] as const;

/** To the other project, with its snapshots. */
async function give(cinder: Cinder, volumeId: string): Promise<unknown> {
  const { transfer, authKey } = await cinder.transfers.create(member, { volumeId, name: null, noSnapshots: false });
  return cinder.transfers.accept(stranger, transfer.id, authKey);
}

async function takeIn(cinder: Cinder, target: number): Promise<unknown> {
  const host = "andiron@p1#p1";
  const rows = (await cinder.management.manageableVolumes(admin, host)).filter((row) => row.managedId === undefined);
  const sourceName = rows[target % Math.max(rows.length, 1)]?.name ?? "none";
  return cinder.management.manageVolume(admin, { host, reference: { sourceName }, bootable: false });
}

test("any interleaving of requests, transfers and managing included, leaves usage equal to what exists", async (t) => {
  const fixture = await openFixture(t, { quotas: { volumes: 6, snapshots: 6, gigabytes: 20 } });
  const peer = await fixture.openPeer();
  const step = fc.record({
    verb: fc.constantFrom(...verbs, ...movingVerbs),
    target: fc.nat(5),
    sizeGib: fc.integer({ min: 1, max: 5 }),
    viaPeer: fc.boolean(),
  });
  const run = async (cinder: Cinder, { verb, target, sizeGib }: { verb: string; target: number; sizeGib: number }) => {
    const volumes = (await cinder.volumes.list(member, defaultListQuery)).items;
    const snapshots = (await cinder.snapshots.list(member, defaultListQuery)).items;
    const volumeId = volumes[target % Math.max(volumes.length, 1)]?.volume.id ?? "none";
    const snapshotId = snapshots[target % Math.max(snapshots.length, 1)]?.id ?? "none";
    switch (verb) {
      case "create":
        return cinder.volumes.create(member, { sizeGib });
      case "clone":
        return cinder.volumes.create(member, { snapshotId });
      case "extend":
        return cinder.volumeActions.extend(member, volumeId, sizeGib, false);
      case "delete":
        return cinder.volumes.delete(member, volumeId, { cascade: false, force: false });
      case "cascade":
        return cinder.volumes.delete(member, volumeId, { cascade: true, force: false });
      case "snapshot":
        return cinder.snapshots.create(member, { volumeId, allowInUse: false });
      case "unsnapshot":
        return cinder.snapshots.delete(member, snapshotId);
      case "give":
        return give(cinder, volumeId);
      case "let-go":
        return cinder.management.unmanageVolume(admin, volumeId);
      case "take-in":
        return takeIn(cinder, target);
      case "revert":
        return cinder.volumeActions.revert(member, volumeId, snapshotId);
      default:
        return cinder.volumeActions.forceDelete(admin, volumeId);
    }
  };
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { maxLength: 5 }), async (rounds) => {
      for (const round of rounds) {
        const results = await Promise.allSettled(round.map((one) => run(one.viaPeer ? peer : fixture.cinder, one)));
        for (const result of results) {
          if (result.status === "rejected") assert.ok(result.reason instanceof CinderFault, String(result.reason));
        }
      }
      await fixture.cinder.idle();
      await peer.idle();
      const sums = await listed(fixture.cinder);
      assert.deepEqual(await charged(fixture.cinder), sums);
      assert.deepEqual(await charged(peer, "___DEFAULT__"), sums);
      assert.deepEqual(await charged(peer, "", stranger), await listed(peer, stranger));
      for (const { volume } of (await fixture.cinder.volumes.list(member, defaultListQuery)).items) {
        const own = { ...defaultListQuery, filters: { volume_id: [volume.id] } };
        assert.equal((await fixture.cinder.snapshots.list(member, own)).items.length, volume.snapshotCount);
        assert.equal((await fixture.control.vdisk(volume.id))?.sizeBytes, volume.sizeGib * 2 ** 30);
      }
    }),
    { numRuns: 25 },
  );
  assert.deepEqual(fixture.troubles, []);
});
