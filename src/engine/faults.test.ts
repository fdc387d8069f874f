// What the engine does when the world under it fails: the backend away, replies lost, the journal's disk full or dying.
// Nothing that was acknowledged may be missing afterwards.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../common/clock.ts";
import type { AndironError } from "../common/errors.ts";
import { errorCodeOf } from "../common/errors.ts";
import { seededRandom } from "../common/random.ts";
import type { ObjectBackend } from "./backend/backend.ts";
import { FaultyBackend } from "./backend/faulty.ts";
import type { Faults } from "./backend/faulty.ts";
import { withReadCache } from "./backend/read-cache.ts";
import { BlockStore } from "./cache/block-store.ts";
import type { BlockDevice } from "./device.ts";
import type { RigOptions } from "./engine-rig.fixture.ts";
import { EngineRig, readRange, rigPool } from "./engine-rig.fixture.ts";
import { FaultDisk } from "./fault-disk.fixture.ts";
import { KiB, MiB } from "./limits.ts";
import type { LocalDisk } from "./local-disk.ts";
import { nodeDisk } from "./node-disk.ts";

const pieceBytes = 64 * KiB;
const noFua = { fua: false };

interface FaultyRig {
  readonly rig: EngineRig;
  readonly backend: FaultyBackend;
  readonly disk: FaultDisk;
}

async function withRig(options: RigOptions, faults: Faults, body: (faulty: FaultyRig) => Promise<void>): Promise<void> {
  let backend: FaultyBackend | undefined;
  const disk = new FaultDisk();
  const rig = await EngineRig.open({
    ...options,
    disk,
    wrap: (inner) => (backend = new FaultyBackend(inner, { clock: systemClock, random: seededRandom(7), faults })),
  });
  try {
    await body({ rig, backend: backend!, disk });
  } finally {
    backend!.release();
    Object.assign(backend!.faults, { failBeforeShare: 0, failAfterShare: 0, full: false });
    disk.failSyncs = false;
    disk.freeBytes = Number.POSITIVE_INFINITY;
    await rig.close();
  }
}

const piece = (number: number): Buffer => Buffer.alloc(pieceBytes, `piece ${number},`);

async function checkPieces(rig: EngineRig, vdiskId: string, numbers: Iterable<number>): Promise<void> {
  const session = await rig.reopen(vdiskId);
  for (const number of numbers) {
    assert.ok((await readRange(session, number * pieceBytes, pieceBytes)).equals(piece(number)), `piece ${number}`);
  }
  await session.close();
}

/** Writes pieces one after the other; the numbers of those that were acknowledged, and the errors of the others. */
async function writePieces(
  device: BlockDevice,
  from: number,
  to: number,
): Promise<{ acknowledged: number[]; codes: Set<string> }> {
  const acknowledged: number[] = [];
  const codes = new Set<string>();
  for (let number = from; number < to; number++) {
    try {
      await device.write(number * pieceBytes, piece(number), noFua);
      acknowledged.push(number);
    } catch (error) {
      codes.add(errorCodeOf(error));
    }
  }
  return { acknowledged, codes };
}

test(
  "while the backend hangs writers wait at the journal's limit, then go on, and nothing is lost",
  { timeout: 20_000 },
  async () => {
    const settings = { journalBytesMax: 1 * MiB, segmentBytes: 128 * KiB, checkpointBytes: 256 * KiB };
    await withRig({ settings }, {}, async ({ rig, backend }) => {
      const id = await rig.createDisk(64 * MiB);
      const session = await rig.open(id);
      await writePieces(session.device, 0, 4);
      backend.hold();
      let done = 4;
      const writer = (async () => {
        for (; done < 160; done++) await session.device.write(done * pieceBytes, piece(done), noFua);
      })();
      // It stops by itself: two looks in a row find the same number.
      for (let before = -1; before !== done; await systemClock.sleep(100)) before = done;
      assert.ok(done < 160, "the writer was never held up");
      assert.ok(rig.router.budget.bytes < 2 * MiB, `${rig.router.budget.bytes} bytes of journal`);
      assert.ok((await readRange(session, 0, pieceBytes)).equals(piece(0)), "reads of local data go on");
      backend.release();
      await writer;
      await checkPieces(rig, id, Array(160).keys());
      await rig.detach(id);
    });
  },
);

test(
  "while the backend hangs a drain without limit goes on until it is hurried, and nothing is lost",
  { timeout: 60_000 },
  async () => {
    await withRig({ drainMsMax: 0 }, {}, async ({ rig, backend }) => {
      const id = await rig.createDisk(64 * MiB);
      const session = await rig.open(id);
      await writePieces(session.device, 0, 4);
      backend.hold();
      const hurry = Promise.withResolvers<void>();
      let isStopped = false;
      const stopping = rig.router.stop(hurry.promise).then(() => (isStopped = true));
      await systemClock.sleep(200);
      assert.ok(!isStopped, "it did not wait for what is not drained");
      hurry.resolve();
      await stopping;
      backend.release();
      await rig.crash();
      await checkPieces(rig, id, Array(4).keys());
      await rig.detach(id);
    });
  },
);

test("while syncs hang writers wait at the journal's limit, though no file could be sealed", { timeout: 60_000 }, async () => {
  const settings = { journalBytesMax: 1 * MiB, segmentBytes: 128 * KiB, checkpointBytes: 256 * KiB };
  await withRig({ settings }, {}, async ({ rig, disk }) => {
    const id = await rig.createDisk(64 * MiB);
    const session = await rig.open(id);
    await writePieces(session.device, 0, 1);
    const { promise, resolve: release } = Promise.withResolvers<void>();
    disk.syncGate = promise;
    let done = 1;
    const writer = (async () => {
      for (; done < 80; done++) await session.device.write(done * pieceBytes, piece(done), noFua);
    })();
    while (!rig.router.budget.isUnderPressure && done < 80) await systemClock.sleep(10);
    await systemClock.sleep(200);
    const before = done;
    release();
    await writer;
    assert.ok(before * pieceBytes < 2 * MiB, `${before} pieces were written`);
    await checkPieces(rig, id, Array(80).keys());
    await rig.detach(id);
    assert.equal(rig.router.budget.bytes, 0);
  });
});

test("two disks at the journal's limit do not wait for each other", { timeout: 20_000 }, async () => {
  const settings = { journalBytesMax: 1 * MiB, segmentBytes: 64 * KiB, checkpointBytes: 128 * KiB };
  await withRig({ settings }, {}, async ({ rig, backend }) => {
    const ids = [await rig.createDisk(16 * MiB), await rig.createDisk(16 * MiB), await rig.createDisk(16 * MiB)];
    const sessions = await Promise.all(ids.map((id) => rig.open(id)));
    backend.hold();
    const writers = sessions.map(async ({ device }) => {
      for (let round = 0; round < 4; round++) {
        await Promise.all(
          Array.from({ length: 16 }, (_, i) => device.write((round * 16 + i) * pieceBytes, piece(round * 16 + i), noFua)),
        );
      }
    });
    await systemClock.sleep(200);
    backend.release();
    await Promise.all(writers);
    for (const id of ids) await checkPieces(rig, id, Array(64).keys());
  });
});

test("an idle disk gives its journal back to one that wants to write", { timeout: 20_000 }, async () => {
  const settings = { journalBytesMax: 1 * MiB, segmentBytes: 128 * KiB, checkpointBytes: 64 * MiB, checkpointEntries: 1_000_000 };
  await withRig({ settings }, {}, async ({ rig }) => {
    const [idle, busy] = [await rig.createDisk(16 * MiB), await rig.createDisk(16 * MiB)];
    const first = await rig.open(idle);
    await writePieces(first.device, 0, 11);
    const second = await rig.open(busy);
    assert.equal((await writePieces(second.device, 0, 40)).acknowledged.length, 40);
    await checkPieces(rig, idle, Array(11).keys());
  });
});

test(
  "a disk that is given up while its writer waits for the journal's limit answers the writer",
  { timeout: 20_000 },
  async () => {
    const settings = { journalBytesMax: 512 * KiB, segmentBytes: 64 * KiB, checkpointBytes: 128 * KiB };
    await withRig({ settings }, {}, async ({ rig, backend }) => {
      const [hog, waiting] = [await rig.createDisk(16 * MiB), await rig.createDisk(16 * MiB)];
      backend.hold();
      const first = await rig.open(hog);
      const writes = Array.from({ length: 20 }, (_, i) => first.device.write(i * pieceBytes, piece(i), noFua));
      await Promise.allSettled(writes.slice(0, 8));
      const second = await rig.open(waiting);
      const write = second.device.write(0, piece(0), noFua);
      write.catch(() => undefined);
      await systemClock.sleep(50);
      const settled = Promise.allSettled([...writes, write]);
      const crashed = rig.crash();
      await settled;
      backend.release();
      await crashed;
    });
  },
);

test("a backend that loses replies and refuses at random changes nothing but the time", { timeout: 20_000 }, async () => {
  const faults = { failBeforeShare: 0.2, failAfterShare: 0.2 };
  const settings = { segmentBytes: 256 * KiB, checkpointBytes: 512 * KiB };
  await withRig({ settings }, {}, async ({ rig, backend }) => {
    const id = await rig.createDisk(16 * MiB);
    const session = await rig.open(id);
    Object.assign(backend.faults, faults);
    const { acknowledged } = await writePieces(session.device, 0, 48);
    assert.equal(acknowledged.length, 48);
    const snapshot = await rig.snapshot(id);
    for (let number = 0; number < 48; number += 2) await session.device.trim(number * pieceBytes, pieceBytes, noFua);
    Object.assign(backend.faults, { failBeforeShare: 0, failAfterShare: 0 });
    await rig.detach(id);
    const clone = await rig.createDisk(16 * MiB, { kind: "snapshot", snapshotId: snapshot });
    await rig.open(clone);
    await checkPieces(rig, clone, acknowledged);
  });
});

test("a full backend holds checkpoints up, not what is in the journal", { timeout: 20_000 }, async () => {
  await withRig({ settings: { segmentBytes: 128 * KiB, checkpointBytes: 256 * KiB } }, {}, async ({ rig, backend }) => {
    const id = await rig.createDisk(16 * MiB);
    const session = await rig.open(id);
    backend.faults.full = true;
    assert.equal((await writePieces(session.device, 0, 32)).acknowledged.length, 32);
    await session.device.flush();
    await checkPieces(rig, id, Array(32).keys());
    backend.faults.full = false;
    await rig.detach(id);
    await rig.open(id);
    await checkPieces(rig, id, Array(32).keys());
  });
});

for (const freeBytes of [0, 40, 100, 200, 5000, 70_000, 131_072, 200_000, 262_144, 262_300, 300_000, 400_000]) {
  test(
    `a journal disk with ${freeBytes} bytes left answers no-space, and all goes on when there is space again`,
    { timeout: 20_000 },
    async () => {
      const settings = { segmentBytes: 128 * KiB, checkpointBytes: 64 * MiB, checkpointEntries: 1_000_000 };
      await withRig({ settings }, {}, async ({ rig, disk }) => {
        const id = await rig.createDisk(16 * MiB);
        const session = await rig.open(id);
        const before = await writePieces(session.device, 0, 3);
        disk.freeBytes = freeBytes;
        const full = await writePieces(session.device, 3, 16);
        assert.deepEqual([...full.codes], ["journal_full"]);
        await session.device.flush().catch((error: AndironError) => assert.equal(error.code, "journal_full"));
        disk.freeBytes = Number.POSITIVE_INFINITY;
        const after = await writePieces(session.device, 16, 24);
        assert.deepEqual([after.acknowledged.length, [...after.codes]], [8, []]);
        await session.device.flush();
        const acknowledged = [...before.acknowledged, ...full.acknowledged, ...after.acknowledged];
        await checkPieces(rig, id, acknowledged);
        await rig.crash();
        await checkPieces(rig, id, acknowledged);
        await rig.detach(id);
        await rig.open(id);
        await checkPieces(rig, id, acknowledged);
      });
    },
  );
}

test("a crash while the journal's disk is full loses nothing that was acknowledged", { timeout: 20_000 }, async () => {
  for (const freeBytes of [30, 70_000, 131_500, 262_300]) {
    const settings = { segmentBytes: 128 * KiB, checkpointBytes: 64 * MiB, checkpointEntries: 1_000_000 };
    await withRig({ settings }, {}, async ({ rig, disk }) => {
      const id = await rig.createDisk(16 * MiB);
      const session = await rig.open(id);
      const before = await writePieces(session.device, 0, 3);
      disk.freeBytes = freeBytes;
      const full = await writePieces(session.device, 3, 12);
      await rig.crash(() => {
        disk.freeBytes = Number.POSITIVE_INFINITY;
      });
      await checkPieces(rig, id, [...before.acknowledged, ...full.acknowledged]);
    });
  }
});

test(
  "a failed sync poisons the disk until it is opened anew, and then what was flushed is there",
  { timeout: 20_000 },
  async () => {
    await withRig({}, {}, async ({ rig, disk }) => {
      const id = await rig.createDisk(16 * MiB);
      const session = await rig.open(id);
      await writePieces(session.device, 0, 8);
      await session.device.flush();
      await session.device.write(20 * pieceBytes, piece(20), noFua);
      disk.failSyncs = true;
      await assert.rejects(session.device.flush(), { code: "journal_poisoned" });
      disk.failSyncs = false;
      await assert.rejects(session.device.flush(), { code: "journal_poisoned" }, "never a second try that pretends");
      await assert.rejects(session.device.write(0, piece(0), noFua), { code: "journal_poisoned" });
      await session.close();
      await checkPieces(rig, id, [...Array(8).keys(), 20]);
      const again = await rig.reopen(id);
      const syncs = disk.syncCount;
      await again.device.write(0, piece(0), { fua: true });
      assert.ok(disk.syncCount > syncs);
      await again.close();
      await rig.detach(id);
      await rig.open(id);
      await checkPieces(rig, id, [...Array(8).keys(), 20]);
    });
  },
);

test("a snapshot that is wished for on a poisoned disk is taken once the disk is well again", { timeout: 20_000 }, async () => {
  await withRig({}, {}, async ({ rig, disk }) => {
    const id = await rig.createDisk(16 * MiB);
    const session = await rig.open(id);
    await writePieces(session.device, 0, 2);
    disk.failSyncs = true;
    const snapshot = rig.snapshot(id);
    await assert.rejects(session.device.write(0, piece(0), { fua: true }), { code: "journal_poisoned" });
    await systemClock.sleep(100);
    disk.failSyncs = false;
    assert.equal((await rig.control.snapshot(await snapshot))?.state, "ready");
  });
});

test("a read cache whose disk gives wrong bytes costs a read of the backend, never the bytes", { timeout: 20_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "andiron-wrong-cache-"));
  let isWrong = false;
  const disk: LocalDisk = {
    ...nodeDisk,
    open: (path, mode) => {
      const file = nodeDisk.open(path, mode);
      const read = file.read.bind(file);
      file.read = async (offset, target) => {
        const count = await read(offset, target);
        if (isWrong) target[100]! ^= 1;
        return count;
      };
      return file;
    },
  };
  const store = await BlockStore.open({
    disk,
    path: join(folder, "blocks"),
    bytesMax: MiB,
    failed: () => assert.fail("no failure"),
  });
  const wrap = (inner: ObjectBackend): ObjectBackend => withReadCache(inner, { store, pool: rigPool });
  const rig = await EngineRig.open({ wrap, settings: { cacheBytes: 64 * KiB } });
  try {
    const id = await rig.createDisk(MiB);
    const session = await rig.open(id);
    await writePieces(session.device, 0, 8);
    await rig.detach(id);
    const again = await rig.open(id);
    const check = async (): Promise<void> => {
      for (let number = 0; number < 8; number++) {
        assert.ok((await readRange(again, number * pieceBytes, pieceBytes)).equals(piece(number)), `piece ${number}`);
      }
    };
    await check();
    while (store.blockCount < 4) await systemClock.sleep(1);
    const hitsBefore = store.hits;
    isWrong = true;
    await check();
    assert.ok(store.hits > hitsBefore, "nothing came from the cache: the test is no test");
  } finally {
    await rig.close();
    await store.close();
    await rm(folder, { recursive: true });
  }
});
