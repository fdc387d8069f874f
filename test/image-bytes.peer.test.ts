// Whole images in and out: a raw one with holes and one of qcow2 become volumes, the volumes become images again, and all have
// the same SHA-256. How long each way takes is printed beside qemu-img convert between files alone, and not judged. IMAGE_GIB=2
// makes them large and three quarters full; else they are of 1 GiB with little in them.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeContent, writeImageOf } from "./crash/long-work/content.ts";
import { awaitRest } from "./crash/outside/rest.ts";
import { BlockStorage } from "./harness/block-storage.ts";
import { missingCommand, runOk } from "./harness/command.ts";
import { GlanceDouble } from "./harness/glance-double.ts";
import { prepareAndiron } from "./harness/service.ts";

const missing = await missingCommand(["qemu-img", "prlimit", "setpriv"]);
const skip = missing !== undefined && `${missing} is not installed`;
const given = process.env["IMAGE_GIB"];
const gib = Number(given ?? 1);
const mebibytes = 1024 * gib;
const pieces = given === undefined ? 64 : (mebibytes * 3) / 4;
const endMsMax = 1_200_000;

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  const bytes = createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>;
  for await (const piece of bytes) hash.update(piece);
  return hash.digest("hex");
}

async function timed<T>(t: TestContext, what: string, work: () => Promise<T>): Promise<T> {
  const beganMs = performance.now();
  const result = await work();
  t.diagnostic(`${what}: ${((performance.now() - beganMs) / 1000).toFixed(1)} s`);
  return result;
}

test(`images of ${gib} GiB, in and out, byte by byte`, { skip, timeout: 3_600_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "andiron-bytes-"));
  const glance = new GlanceDouble(folder);
  await glance.start();
  const service = await prepareAndiron({
    DEFAULT: { glance_api_servers: glance.url, image_conversion_cpu_limit: 1200, image_compress_on_upload: false },
    engine: { cleaner_interval: 0.5, retired_grace: 0.5 },
  });
  t.after(async () => {
    await service.dispose();
    glance.stop();
    await rm(folder, { recursive: true, force: true });
  });
  await service.start(180_000);
  const api = new BlockStorage(service);
  const convert = (from: string, source: string, to: string, target: string): Promise<string> =>
    runOk("qemu-img", ["convert", "-f", from, "-O", to, source, target], { timeoutMs: endMsMax });

  const raw = join(folder, "raw");
  await writeImageOf(makeContent(1, pieces, mebibytes), raw, "raw", mebibytes);
  const expected = await sha256(raw);
  const files = { raw, qcow2: join(folder, "qcow2") };
  await timed(t, "qemu-img convert, raw to qcow2", () => convert("raw", raw, "qcow2", files.qcow2));
  await timed(t, "qemu-img convert, qcow2 to raw", () => convert("qcow2", files.qcow2, "raw", join(folder, "back")));
  await rm(join(folder, "back"));

  for (const format of ["raw", "qcow2"] as const) {
    const imageRef = await glance.offer(files[format], format);
    const volumeId = await timed(t, `${format} image to volume`, async () => {
      const { volume } = await api.call<{ volume: { id: string } }>("POST", "/volumes", { volume: { size: gib, imageRef } });
      await api.waitForStatus("volumes", volume.id, "available", endMsMax);
      return volume.id;
    });
    const made = await timed(t, `volume to ${format} image`, async () => {
      const asked = { image_name: "out", disk_format: format };
      const body = { "os-volume_upload_image": asked };
      const answer = await api.call<Record<string, { image_id: string }>>("POST", `/volumes/${volumeId}/action`, body);
      await sleep(100);
      await api.waitForStatus("volumes", volumeId, "available", endMsMax);
      return answer["os-volume_upload_image"]!.image_id;
    });
    const { path, description } = glance.images.get(made)!;
    assert.equal(description["status"], "active");
    const out = format === "raw" ? path : join(folder, "out");
    if (out !== path) await convert(format, path, "raw", out);
    assert.equal(await sha256(out), expected, format);
    await rm(out);
    glance.images.delete(made);
    await api.delete("volumes", volumeId);
  }
  await awaitRest({ service, api, images: { list: () => Promise.resolve([]) } }, 60_000);
});
