// Large appends to the journal go past the page cache unless that is switched off. What tells is the descriptors of the
// process: only the file that is being written has one with O_DIRECT beside its first. What was written both ways is read back
// by the same process, and by the next one after kill -9. Where the file system has no O_DIRECT, as it must in CI, none is
// expected.

import assert from "node:assert/strict";
import { closeSync, constants, openSync } from "node:fs";
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BlockStorage } from "./harness/block-storage.ts";
import { noise, openExport, readBytes } from "./harness/nbd.ts";
import { prepareAndiron, type AndironProcess } from "./harness/service.ts";

const mebibyte = 1024 * 1024;
const segmentBytes = 16 * mebibyte;
/** Of a MiB each: a round fills several segments. */
const requests = 48;

/** Names of the files that the process has open with O_DIRECT. */
async function directFiles(processId: number): Promise<string[]> {
  const names: string[] = [];
  for (const descriptor of await readdir(`/proc/${processId}/fd`)) {
    const about = await readFile(`/proc/${processId}/fdinfo/${descriptor}`, "utf8").catch(() => "");
    const flags = parseInt(/^flags:\s*([0-7]+)$/m.exec(about)?.[1] ?? "0", 8);
    if ((flags & constants.O_DIRECT) !== 0) names.push(await readlink(`/proc/${processId}/fd/${descriptor}`).catch(() => ""));
  }
  return names;
}

function canOpenDirect(folder: string): boolean {
  try {
    closeSync(openSync(join(folder, "probe"), constants.O_RDWR | constants.O_CREAT | constants.O_DIRECT));
    return true;
  } catch {
    return false;
  }
}

/** Writes the disk twice, many requests at a time. Resolves with the files open with O_DIRECT when the full ones are sealed. */
async function writeSegments(service: AndironProcess, exportName: string): Promise<string[]> {
  const client = await openExport(service, exportName);
  for (const round of [1, 2]) {
    const write = (_: unknown, i: number): Promise<void> =>
      client.write(i * mebibyte, noise(round * 1000 + i, mebibyte), { fua: i % 7 === 0 });
    await Promise.all(Array.from({ length: requests }, write));
  }
  await client.flush();
  let open = await directFiles(service.processId);
  // Sealing goes on for a moment.
  for (let tries = 0; tries < 100 && open.length > 1; tries++) {
    await sleep(50);
    open = await directFiles(service.processId);
  }
  await client.disconnect();
  return open;
}

async function assertWritten(service: AndironProcess, exportName: string): Promise<void> {
  const client = await openExport(service, exportName);
  for (let i = 0; i < requests; i++) {
    const found = await readBytes(client, i * mebibyte, mebibyte);
    assert.ok(found.equals(noise(2000 + i, mebibyte)), `MiB ${i}`);
  }
  await client.disconnect();
}

for (const isOn of [true, false]) {
  test(`with journal_direct_io = ${isOn}`, { timeout: 120_000 }, async () => {
    const service = await prepareAndiron({ engine: { journal_direct_io: isOn, segment_bytes: segmentBytes } });
    try {
      const canBeDirect = canOpenDirect(service.folder);
      assert.ok(canBeDirect || process.env["CI"] === undefined, "the file system has no O_DIRECT");
      await service.start();
      const api = new BlockStorage(service);
      const { connection_info } = await api.attach(await api.createVolume({ name: "large" }));
      const open = await writeSegments(service, connection_info.name);
      assert.equal(open.length, isOn && canBeDirect ? 1 : 0, `open with O_DIRECT: ${open.join(", ")}`);
      await assertWritten(service, connection_info.name);
      await service.kill();
      await service.start();
      await assertWritten(service, connection_info.name);
    } finally {
      await service.dispose();
    }
  });
}
