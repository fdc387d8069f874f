// What verify finds: each thing that is wrong, where it is, and nothing else.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { seededRandom } from "../common/random.ts";
import type { ObjectBackend, ReadOptions } from "./backend/backend.ts";
import { EngineRig, rigPool } from "./engine-rig.fixture.ts";
import { clusterBytes, engineLimits, MiB } from "./limits.ts";
import { parseObjectName } from "./names.ts";
import { keys } from "./records.ts";
import { ClusterCheck } from "./verify-clusters.ts";
import { VerifiedPlaces } from "./verified-places.ts";
import { Verifier, type VerifyResult } from "./verify.ts";

/** A byte of an object that is read as another one. */
interface Flip {
  object: string;
  at: number;
}

interface Checked {
  readonly rig: EngineRig;
  readonly disk: string;
  readonly flip: Flip;
  /** Reads of segments. */
  readonly reads: { count: number };
  verify(readData?: boolean): Promise<VerifyResult>;
}

const clusters = 512;

/** A disk of random data, in records of one to five clusters, with a snapshot, and an eighth written over. Nobody has it open. */
async function openChecked(t: TestContext): Promise<Checked> {
  const flip: Flip = { object: "", at: 0 };
  const reads = { count: 0 };
  const wrap = (inner: ObjectBackend): ObjectBackend =>
    new Proxy(inner, {
      get(target, name: keyof ObjectBackend) {
        if (name !== "read") return target[name].bind(target);
        return async (object: string, offset: number, into: Buffer, options?: ReadOptions): Promise<void> => {
          if (object.includes("/s-")) reads.count++;
          await target.read(object, offset, into, options);
          if (object === flip.object && flip.at >= offset && flip.at < offset + into.length) into[flip.at - offset]! ^= 1;
        };
      },
    });
  const rig = await EngineRig.open({ wrap, settings: { segmentBytes: MiB, retiredGraceMs: 0, cleanerDeadShare: 0.2 } });
  t.after(() => rig.close());
  const disk = await rig.createDisk(4 * MiB);
  let session = await rig.open(disk);
  const random = seededRandom(5);
  for (let cluster = 0; cluster < clusters;) {
    const count = Math.min(clusters - cluster, 1 + random.below(5));
    await session.device.write(cluster * clusterBytes, random.bytes(count * clusterBytes), { fua: false });
    cluster += count;
  }
  // All of it in a checkpoint: a cut before that would be read from the segments themselves, in a race with the checkpoint.
  await session.close();
  await rig.detach(disk);
  session = await rig.open(disk);
  await rig.snapshot(disk);
  for (let cluster = 0; cluster < clusters; cluster += 8)
    await session.device.write(cluster * clusterBytes, random.bytes(clusterBytes), { fua: false });
  await session.close();
  await rig.detach(disk);
  const verify = (readData = true): Promise<VerifyResult> => new Verifier(rig.router.contextOf(rigPool), { readData }).run();
  return { rig, disk, flip, reads, verify };
}

const segmentsOf = async ({ rig }: Checked): Promise<string[]> =>
  (await rig.backend.list("")).filter((name) => parseObjectName(name)?.kind === "segment");

test("what is right has no findings, counts once whoever shares it, and takes fewer reads than clusters", async (t) => {
  const checked = await openChecked(t);
  checked.reads.count = 0;
  const { findings, views, clusters: count } = await checked.verify();
  assert.deepEqual([findings, views, count], [[], 3, clusters + clusters / 8]);
  assert.ok(checked.reads.count < clusters / 2, `${checked.reads.count} reads`);
});

test("a byte that is another one anywhere in a segment is found, and told of the cluster that it is in", async (t) => {
  const checked = await openChecked(t);
  const [first] = await segmentsOf(checked);
  const bytes = (await checked.rig.backend.size(first!))!;
  const random = seededRandom(9);
  let ofCluster = 0;
  for (let round = 0; round < 15; round++) {
    Object.assign(checked.flip, { object: first, at: random.below(bytes) });
    const { findings, clusters: count } = await checked.verify();
    const ofData = findings.filter((finding) =>
      /: cluster \d+ in segment 1-1 .*: the bytes do not match their checksum$/.test(finding),
    );
    if (ofData.length === 0) {
      // The head of a record, which is read by recovery alone, or what all of the segment stands on.
      assert.ok(
        findings.every((finding) => finding.includes("segment")),
        findings.join("; "),
      );
      continue;
    }
    ofCluster++;
    assert.deepEqual([ofData.length, findings.length], [1, 1], "once, although two views have it");
    assert.equal(count, clusters + clusters / 8 - 1);
    assert.deepEqual((await checked.verify(false)).findings, [], "only what is read can be wrong");
  }
  assert.ok(ofCluster > 8, `${ofCluster} of 15`);
});

test("a compacted segment is checked like any other", async (t) => {
  const checked = await openChecked(t);
  const session = await checked.rig.open(checked.disk);
  for (let cluster = 0; cluster < clusters; cluster += 2)
    await session.device.write(cluster * clusterBytes, seededRandom(cluster).bytes(clusterBytes), { fua: false });
  await session.close();
  await checked.rig.detach(checked.disk);
  const { entries } = await checked.rig.registry.range({ prefix: keys.snapshots });
  const id = entries[0]!.key.slice(keys.snapshots.length);
  await checked.rig.atomically((tx) => checked.rig.control.deleteSnapshot(tx, id));
  const cleaner = checked.rig.router.cleaners.get(rigPool)!;
  for (let pass = 0; pass < 3; pass++) await cleaner.pass();
  assert.ok(cleaner.total.compacted > 0);
  const { findings, clusters: count } = await checked.verify();
  assert.deepEqual([findings, count], [[], clusters]);
  const compacted = (await segmentsOf(checked)).find((name) => (parseObjectName(name) as { generation: number }).generation > 0)!;
  Object.assign(checked.flip, { object: compacted, at: 128 + 10 });
  assert.match((await checked.verify()).findings.join(), /: cluster \d+ in segment .*: the bytes do not match their checksum/);
});

test("however few places are kept at a time, the findings are the same", async (t) => {
  const checked = await openChecked(t);
  const { segments } = checked.rig.router.contextOf(rigPool);
  const segment = { log: (await segmentsOf(checked))[0]!.split("/")[0]!, epoch: 1, number: 1 };
  const { entries } = (await segments.loadIndex(segment))!;
  const handle = segments.handleOf(segment);
  const wrongCrc = 7;
  // One byte beyond another that is right.
  const nowhere = 13;
  const nowhereAt = entries[12]!.originalOffset + 1;
  for (const gatheredMax of [1, 3, engineLimits.verifiedTogetherMax]) {
    const findings: string[] = [];
    const check = new ClusterCheck({ segments, readData: true, find: (finding) => findings.push(finding), gatheredMax });
    for (const [i, entry] of entries.entries()) {
      const offset = i === nowhere ? nowhereAt : entry.originalOffset;
      const crc = i === wrongCrc ? 1 : entry.clusterCrcs[0]!;
      if (check.add({ cluster: entry.firstCluster, handle, offset, crc })) await check.check("it");
    }
    await check.check("it");
    const names = (i: number): string => `it: cluster ${entries[i]!.firstCluster} in segment 1-1 of log ${segment.log} at `;
    assert.deepEqual(
      findings.toSorted(),
      [
        `${names(wrongCrc)}${entries[wrongCrc]!.originalOffset}: map and index have different checksums`,
        `${names(nowhere)}${nowhereAt} is not in the segment's index`,
      ].toSorted(),
    );
    assert.equal(check.count, entries.length - 2);
    // Another view has a place that is right by now, and wrong.
    findings.length = 0;
    const { firstCluster: cluster, originalOffset: offset, clusterCrcs } = entries[3]!;
    check.add({ cluster, handle, offset, crc: clusterCrcs[0]! });
    check.add({ cluster, handle, offset, crc: clusterCrcs[0]! ^ 1 });
    check.add({ cluster, handle, offset: offset + 1, crc: clusterCrcs[0]! });
    await check.check("another");
    assert.equal(findings.length, 2, findings.join("; "));
  }
});

test("a segment that is gone is one finding of its log and one of what names clusters of it", async (t) => {
  const checked = await openChecked(t);
  const [first] = await segmentsOf(checked);
  await checked.rig.backend.delete(first!);
  const { findings } = await checked.verify();
  assert.equal(findings.length, 2, findings.join("; "));
  assert.equal(findings.filter((finding) => finding.endsWith(": the segment is missing")).length, 1);
});

test("of what was found right so much is kept as there is room for, and what is kept is exact", () => {
  const random = seededRandom(4);
  const places = new VerifiedPlaces(64 * 1024);
  const added: { handle: number; offset: number; crc: number }[] = [];
  for (let handle = 1; handle <= 40; handle++) {
    for (let at = 0; at < 2000; at += 1 + random.below(3)) {
      const place = { handle, offset: at * clusterBytes + random.below(clusterBytes), crc: random.below(2 ** 32) };
      assert.equal(places.has(handle, place.offset, place.crc), false);
      places.add(handle, place.offset, place.crc);
      added.push(place);
    }
  }
  const kept = added.filter(({ handle, offset, crc }) => places.has(handle, offset, crc));
  assert.ok(kept.length > 5000 && kept.length < added.length / 2, `${kept.length} of ${added.length}`);
  assert.ok(
    kept.every(({ handle }) => handle > 20),
    "the oldest are forgotten",
  );
  for (const { handle, offset, crc } of kept.slice(0, 3000)) {
    assert.equal(places.has(handle, offset + 1, crc) && places.has(handle, offset + 2, crc), false);
    assert.equal(places.has(handle, offset, crc ^ 1) && places.has(handle, offset, crc ^ 2), false);
  }
});
