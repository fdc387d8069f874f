// How long until a disk is there: after a kill with the journal full, and cold from the backend; and how long a trim of all of it
// takes. Times of one process beside a limit, each of its rounds on fresh caches.

import { rename } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../src/common/clock.ts";
import { NbdClient } from "../src/nbd/client.ts";
import { runOk } from "../test/harness/command.ts";
import type { Row } from "./row.ts";
import { bigBytes, bigGibibytes, gibibyte, limitRow, type ScaleLab, type ScaleScale, withLab } from "./scale-lab.ts";

const serveName = "start after kill -9 with a full journal, until it serves";
const readName = "start after kill -9 with a full journal, until its disk answers a read";
const coldName = "16 TiB: opened cold from the backend, until a read is answered";
const trimName = "16 TiB: trim of all of it";

export const startRowNames: readonly string[] = [serveName, readName];
export const openRowNames: readonly string[] = [coldName, trimName];

const blockBytes = 4096;
/** The journal's limit, less what makes writers wait for ever: the backend is away meanwhile. */
const fullShare = 0.85;
/** Of one request: what fits its 32 bits, as QEMU cuts them. */
const trimBytes = 2 * gibibyte;

export function measureStart(sizes: ScaleScale): Promise<Row[]> {
  return withLab({ engine: { journal_bytes_max: sizes.journalBytes } }, async (lab) => {
    const { disk } = await lab.disk(bigGibibytes);
    const serving: number[] = [];
    const reading: number[] = [];
    const backend = join(lab.service.statePath, "backend");
    for (let round = 0; round < sizes.rounds; round++) {
      await lab.settle();
      // What it can't upload stays in the journal.
      await rename(backend, `${backend}.away`);
      await lab.fill(disk, sizes.journalBytes * fullShare);
      await lab.service.kill();
      await rename(`${backend}.away`, backend);
      const startMs = systemClock.monotonicMs();
      await lab.service.start();
      serving.push(systemClock.monotonicMs() - startMs);
      await readOnce(lab, disk.exportName);
      reading.push(systemClock.monotonicMs() - startMs);
    }
    return [limitRow(serveName, "ms", serving, 1000), limitRow(readName, "ms", reading, 1000)];
  });
}

export function measureOpen(sizes: ScaleScale): Promise<Row[]> {
  return withLab({}, async (lab) => {
    const { volumeId, attachmentId, disk } = await lab.disk(bigGibibytes);
    await lab.fill(disk, sizes.fillBytes);
    await lab.release(attachmentId);
    const opening: number[] = [];
    const trimming: number[] = [];
    for (let round = 0; round < sizes.rounds; round++) {
      await lab.service.stop();
      await forgetFiles(lab.service.statePath);
      await lab.service.start();
      const attached = await lab.attach(volumeId);
      const startMs = systemClock.monotonicMs();
      await readOnce(lab, attached.disk.exportName);
      opening.push(systemClock.monotonicMs() - startMs);
      await lab.release(attached.id);
    }
    for (let round = 0; round < sizes.rounds; round++) {
      const attached = await lab.attach(volumeId);
      // Some of it is in memory alone, as on a disk that is in use.
      await lab.fill(attached.disk, sizes.fillBytes / 16);
      trimming.push(await timeTrim(lab, attached.disk.exportName));
      await lab.release(attached.id);
    }
    return [limitRow(coldName, "ms", opening, 500), limitRow(trimName, "ms", trimming, 1000)];
  });
}

function connect(lab: ScaleLab, exportName: string): Promise<NbdClient> {
  return NbdClient.connect({ address: { path: lab.socketPath }, exportName, clock: systemClock });
}

async function readOnce(lab: ScaleLab, exportName: string): Promise<void> {
  const client = await connect(lab, exportName);
  await client.read(bigBytes / 2, Buffer.alloc(blockBytes));
  await client.disconnect();
}

async function timeTrim(lab: ScaleLab, exportName: string): Promise<number> {
  const client = await connect(lab, exportName);
  const startMs = systemClock.monotonicMs();
  const trims: Promise<void>[] = [];
  for (let at = 0; at < bigBytes; at += trimBytes) {
    trims.push(client.trim(at, trimBytes, { fua: false }));
    // As many as the client has waiting at most.
    if (trims.length % 256 === 0) await Promise.all(trims.splice(0));
  }
  await Promise.all(trims);
  const tookMs = systemClock.monotonicMs() - startMs;
  await client.disconnect();
  return tookMs;
}

/** The kernel keeps nothing of them in memory. */
async function forgetFiles(folder: string): Promise<void> {
  await runOk("sync", ["-f", folder]);
  await runOk("find", [folder, "-type", "f", "-exec", "dd", "if={}", "iflag=nocache", "count=0", "status=none", ";"]);
}
