// Large appends to the journal go past the page cache unless that is switched off. What tells is the descriptors of the
// process: only the file that is being written has one with O_DIRECT beside its first.

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
const segmentBytes = 4 * mebibyte;
const segments = 5;

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

async function writeSegments(service: AndironProcess): Promise<string[]> {
  const api = new BlockStorage(service);
  const volumeId = await api.createVolume({ name: "large" });
  let open: string[] = [];
  await api.whileAttached(volumeId, async (_uri, { connection_info }) => {
    const client = await openExport(service, connection_info.name);
    const count = (segments * segmentBytes) / mebibyte;
    for (let i = 0; i < count; i++) await client.write(i * mebibyte, noise(i, mebibyte), { fua: false });
    await client.flush();
    // Sealing goes on for a moment.
    for (let tries = 0; tries < 100 && (tries === 0 || open.length > 1); tries++) {
      if (tries > 0) await sleep(50);
      open = await directFiles(service.processId);
    }
    for (let i = 0; i < count; i++) assert.ok((await readBytes(client, i * mebibyte, mebibyte)).equals(noise(i, mebibyte)));
    await client.disconnect();
  });
  return open;
}

for (const isOn of [true, false]) {
  test(`with journal_direct_io = ${isOn}`, { timeout: 120_000 }, async (context) => {
    const service = await prepareAndiron({ engine: { journal_direct_io: isOn, segment_bytes: segmentBytes } });
    try {
      if (!canOpenDirect(service.folder)) return context.skip("the file system has no O_DIRECT");
      await service.start();
      const open = await writeSegments(service);
      assert.equal(open.length, isOn ? 1 : 0, `open with O_DIRECT: ${open.join(", ")}`);
    } finally {
      await service.dispose();
    }
  });
}
