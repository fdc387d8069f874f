// A simulated disk goes to the other pool while its guest uses it, as a migration does it: a copy, steps, a permit, one
// transaction. Given up after some failures, and now and then without any.

import { type MoveState, RouterDiskMoves } from "../src/copying/disk-moves.ts";
import type { CopyEntry, DiskEntry } from "./ledger.ts";
import { sectorBytes } from "./sector-stamp.ts";
import type { SimProcess } from "./sim-process.ts";
import { simPools } from "./world.ts";

const triesMax = 5;
const limits = { roundsMax: 3, restBytesMax: 64 * 1024 };

/** Resolves when the disk is where it goes to, or stays; what it leaves of the copy is the caller's to drop. */
export async function moveDisk(process: SimProcess, disk: DiskEntry, copy: CopyEntry): Promise<void> {
  const { control, random, world, router, life } = process;
  const pool = simPools.find((other) => other !== disk.pool)!;
  world.note(`${disk.label} moves to ${pool} by ${copy.label}`);
  const sizeBytes = disk.model.sectorCount * sectorBytes;
  await process.insist(`create ${copy.label}`, async () => {
    if ((await control.vdisk(copy.id)) !== undefined) return;
    await process.atomically((tx) => control.createVdisk(tx, { id: copy.id, pool, name: copy.label, sizeBytes }));
  });
  const moves = new RouterDiskMoves(router.exports, router.moves, limits);
  let state: MoveState = { phase: "copy", offset: 0, since: "", round: 0 };
  const [sourceExport, targetExport] = await openBoth(process, disk, copy);
  for (let tries = 0; tries < triesMax && random.below(60) > 0;) {
    const task = { vdiskId: disk.id, copyId: copy.id, sourceExport, targetExport, state };
    try {
      const run = { signal: new AbortController().signal, shouldYield: () => random.below(4) === 0 };
      state = (await life.guard(moves.step(task, run))).state;
      world.note(`${copy.label} ${state.phase} ${state.offset}`);
      if (state.phase !== "permitted") continue;
      await life.sleep(random.below(40));
      await process.atomically(async (tx) => {
        for (const id of copy.exports) await control.revokeExport(tx, id);
        await control.moveVdisk(tx, disk.id, copy.id, disk.label);
      });
      disk.pool = pool;
      world.note(`${disk.label} has moved`);
      break;
    } catch (error) {
      tries++;
      process.refuse(`move of ${disk.label}`, error);
      await life.sleep(50 + random.below(500));
    }
  }
  await life.guard(moves.end(copy.id));
}

async function openBoth(process: SimProcess, disk: DiskEntry, copy: CopyEntry): Promise<readonly [string, string]> {
  const { control, random } = process;
  const names: string[] = [];
  for (const vdiskId of [disk.id, copy.id]) {
    const id = random.uuid();
    copy.exports = [...copy.exports, id];
    const { exportName } = await process.insist(`export for ${copy.label}`, () =>
      process.atomically((tx) => control.createExport(tx, { id, vdiskId, readOnly: false })),
    );
    names.push(exportName);
  }
  return [names[0]!, names[1]!];
}
