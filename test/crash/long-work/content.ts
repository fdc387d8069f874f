// What is on a disk of the campaign: noise in some pieces of 1 MiB, from a seed each, and nothing else.

import assert from "node:assert/strict";
import { open, rm } from "node:fs/promises";
import { runOk } from "../../harness/command.ts";
import { noise, openExport, readBytes } from "../../harness/nbd.ts";
import type { Rig } from "./work.ts";

const mebibyte = 1024 * 1024;
export const diskMebibytes = 1024;

/** Seeds by the number of the MiB. */
export type Content = ReadonlyMap<number, number>;

/** `count` pieces all over the first `within` MiB. */
export function makeContent(seed: number, count: number, within = diskMebibytes): Content {
  return new Map(Array.from({ length: count }, (_, at) => [Math.floor((at * within) / count), seed + at]));
}

/** An image with it, of `mebibytes`. */
export async function writeImageOf(content: Content, path: string, format: string, mebibytes = diskMebibytes): Promise<void> {
  const raw = format === "raw" ? path : `${path}.raw`;
  await writeRaw(content, raw, mebibytes);
  if (raw === path) return;
  await runOk("qemu-img", ["convert", "-f", "raw", "-O", format, raw, path]);
  await rm(raw);
}

async function writeRaw(content: Content, path: string, mebibytes: number): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.truncate(mebibytes * mebibyte);
    for (const [at, seed] of content) await file.write(noise(seed, mebibyte), 0, mebibyte, at * mebibyte);
  } finally {
    await file.close();
  }
}

export async function writeVolume(
  { api, service }: Pick<Rig, "api" | "service">,
  volumeId: string,
  content: Content,
): Promise<void> {
  await api.whileAttached(volumeId, async (_uri, { connection_info }) => {
    const client = await openExport(service, connection_info.name);
    try {
      for (const [at, seed] of content) await client.write(at * mebibyte, noise(seed, mebibyte), { fua: false });
      await client.flush();
    } finally {
      await client.disconnect();
    }
  });
}

/** Rejects unless the volume has the pieces, and zeroes everywhere else. */
export async function checkVolume(
  { api, service }: Pick<Rig, "api" | "service">,
  volumeId: string,
  content: Content,
): Promise<void> {
  await api.whileAttached(volumeId, async (_uri, { connection_info }) => {
    const client = await openExport(service, connection_info.name);
    try {
      for (let at = 0; at < diskMebibytes; at++) {
        const seed = content.get(at);
        const [extent] = await client.extents(at * mebibyte, mebibyte, 1);
        if (seed === undefined && extent?.allocated === false && extent.lengthBytes >= mebibyte) continue;
        const found = await readBytes(client, at * mebibyte, mebibyte);
        const expected = seed === undefined ? Buffer.alloc(mebibyte) : noise(seed, mebibyte);
        assert.ok(found.equals(expected), `volume ${volumeId} has other bytes than it should have at ${at} MiB`);
      }
    } finally {
      await client.disconnect();
    }
  });
}
