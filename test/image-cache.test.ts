// The cache of images with real bytes: the second volume of an image is a clone, equal byte by byte, whatever became of the
// first, and after a kill -9. How long each of them takes is printed, and not judged.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BlockStorage } from "./harness/block-storage.ts";
import { GlanceDouble } from "./harness/glance-double.ts";
import { noise, openExport, readBytes } from "./harness/nbd.ts";
import { prepareAndiron } from "./harness/service.ts";

const mebibyte = 1024 * 1024;
const imageMebibytes = 96;

test("volumes of one image: one download, then clones", { timeout: 300_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "andiron-cache-"));
  const glance = new GlanceDouble(folder);
  await glance.start();
  const service = await prepareAndiron({
    DEFAULT: { glance_api_servers: glance.url },
    vpool1: { image_volume_cache_enabled: true },
  });
  t.after(async () => {
    await service.dispose();
    glance.stop();
    await rm(folder, { recursive: true, force: true });
  });
  await service.start();
  const api = new BlockStorage(service);
  const bytes = noise(1, imageMebibytes * mebibyte);
  const imageRef = await glance.offer(bytes, "raw");

  const create = async (size: number): Promise<string> => {
    const beganMs = performance.now();
    const { volume } = await api.call<{ volume: { id: string } }>("POST", "/volumes", { volume: { size, imageRef } });
    await api.waitForStatus("volumes", volume.id, "available");
    const tookMs = (performance.now() - beganMs).toFixed(0);
    t.diagnostic(`a volume of ${size} GiB of an image of ${imageMebibytes} MiB: ${tookMs} ms`);
    return volume.id;
  };
  const hasImage = async (id: string): Promise<void> => {
    await api.whileAttached(id, async (_uri, { connection_info }) => {
      const client = await openExport(service, connection_info.name);
      for (let at = 0; at < bytes.length; at += 16 * mebibyte) {
        assert.ok((await readBytes(client, at, 16 * mebibyte)).equals(bytes.subarray(at, at + 16 * mebibyte)), `at ${at}`);
      }
      assert.ok((await readBytes(client, bytes.length, mebibyte)).equals(Buffer.alloc(mebibyte)));
      for (const at of [0, bytes.length - mebibyte, bytes.length]) await client.write(at, noise(2, mebibyte), { fua: true });
      await client.disconnect();
    });
  };

  const first = await create(3);
  await hasImage(first); // and overwrites some of it
  const second = await create(1);
  await hasImage(second);
  await api.delete("volumes", first);
  await service.kill();
  await service.start();
  const third = await create(2);
  await hasImage(third);
  await api.delete("volumes", second);
  await hasImage(await create(1));
  assert.deepEqual(glance.downloads, [0]);
  const verified = await service.manage("vdisk", "verify");
  assert.match(verified.stdout, / 0 findings/);

  // Another image under the same id is downloaded.
  const others = noise(3, 2 * mebibyte);
  const other = glance.images.get(await glance.offer(others, "raw"))!;
  glance.images.set(imageRef, { path: other.path, description: { ...other.description, id: imageRef } });
  await create(1);
  assert.equal(glance.downloads.length, 2);
});
