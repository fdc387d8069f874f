// A volume on its way from an image, as records: which statuses it has, what remains of it when the copy fails, is cancelled or
// loses its claim, and that the request charges and refuses as it should. The copy itself is a stand-in here; the real one is in
// images/ and test/images.peer.test.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AndironError } from "../../common/errors.ts";
import { admin, member, requestContext } from "../cinder-fixture.ts";
import { CinderFault } from "../faults.ts";
import { type Copy, type ImageRig as Rig, anImage as image, messagesOf, openImageRig as open } from "../image-rig.fixture.ts";
import { imageMetadataOf } from "../image-rules.ts";
import type { ImageDescription } from "../images.ts";
import { defaultListQuery } from "../list-query.ts";

const gibibyte = 2 ** 30;
const usage = async ({ cinder }: Rig): Promise<unknown> => (await cinder.quotas.show(member, "demo"))["volumes"]?.inUse;

test("creating, downloading, available: in steps, through one export that is gone in the end", async (t) => {
  const seen: string[] = [];
  const rig: Rig = await open(t, async ({ offset }) => {
    const [volume] = (await rig.cinder.volumes.list(member, defaultListQuery)).items;
    seen.push(`${volume?.volume.status} ${offset}`);
    return { offset: offset + 400, isDone: offset === 800 };
  });
  const made = await rig.create();
  assert.deepEqual([made.status, made.bootable, made.imageMetadata["image_name"]], ["creating", false, "disk"]);
  await rig.cinder.idle();
  const { status, bootable, jobId } = await rig.show(made.id);
  assert.deepEqual([status, bootable, jobId], ["available", true, undefined]);
  assert.deepEqual(seen, ["downloading 0", "downloading 400", "downloading 800"]);
  assert.equal(new Set(rig.tasks.map(({ exportName }) => exportName)).size, 1);
  assert.equal(rig.vouched.size, 0);
  await rig.cinder.volumes.delete(member, made.id, { cascade: false, force: false });
  assert.equal(await usage(rig), 0);
  assert.deepEqual(rig.troubles, []);
});

test("an image that is not acceptable: error, a message, and nothing that forbids the delete", async (t) => {
  const rig = await open(t, () => Promise.reject(new AndironError("image_unacceptable", "it has a backing file")));
  const { id } = await rig.create();
  await rig.cinder.idle();
  const { status, bootable, jobId } = await rig.show(id);
  assert.deepEqual([status, bootable, jobId], ["error", false, undefined]);
  assert.deepEqual(await messagesOf(rig), ["copy image to volume:An unknown error occurred. (it has a backing file)"]);
  assert.equal(rig.tasks.length, 1);
  assert.equal(rig.vouched.size, 0);
  await rig.cinder.volumes.delete(member, id, { cascade: false, force: false });
  assert.equal(await usage(rig), 0);
});

test("a signed image is not even copied", async (t) => {
  const signed = { ...image, properties: { img_signature_key_type: "RSA-PSS" } };
  const rig = await open(t, () => Promise.reject(new Error("not to be asked for")), [signed]);
  const { id } = await rig.create();
  await rig.cinder.idle();
  assert.equal((await rig.show(id)).status, "error");
  assert.match((await messagesOf(rig))[0] ?? "", /^copy image to volume:Image signature verification failed\./);
  assert.equal(rig.tasks.length, 0);
});

test("after a failure that passes another claim has another export, and goes on at the checkpoint", async (t) => {
  const rig = await open(t, async ({ offset, generation }) => {
    if (generation === 1 && offset > 0) throw new AndironError("glance_unavailable", "away");
    return { offset: 700, isDone: offset > 0 };
  });
  const { id } = await rig.create();
  for (let status = ""; status !== "available"; { status } = await rig.show(id)) await rig.cinder.idle();
  assert.deepEqual(
    rig.tasks.map(({ offset, generation }) => [generation, offset]),
    [
      [1, 0],
      [1, 700],
      [2, 700],
    ],
  );
  assert.equal(new Set(rig.tasks.map(({ exportName }) => exportName)).size, 2);
});

test("a forced delete breaks the copy off", async (t) => {
  const rig = await open(t, (_task, signal) => {
    return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("broken off"))));
  });
  const { id } = await rig.create();
  while (rig.tasks.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await assert.rejects(rig.cinder.volumes.delete(member, id, { cascade: false, force: false }), CinderFault);
  await rig.cinder.volumeActions.forceDelete(admin, id);
  await assert.rejects(rig.show(id), CinderFault);
  assert.equal(await usage(rig), 0);
});

test("the request refuses what it can see, and charges nothing for it", async (t) => {
  const never: Copy = () => Promise.reject(new Error("not to be asked for"));
  const refuses = async (change: Partial<ImageDescription>, why: RegExp): Promise<void> => {
    const rig = await open(t, never, [{ ...image, ...change }]);
    await assert.rejects(rig.create(), (error) => error instanceof CinderFault && why.test(error.message));
    assert.deepEqual([await usage(rig), rig.vouched.size], [0, 0]);
  };
  await refuses({ status: "queued", sizeBytes: null }, /Image .* is not active/);
  await refuses({ sizeBytes: gibibyte + 1 }, /Size of specified image 2GB is larger than volume size 1GB/);
  await refuses({ minDiskGib: 2 }, /cannot be smaller than the image minDisk size 2GB/);
  await refuses({ virtualSizeBytes: gibibyte + 1 }, /virtual size is 2GB and doesn't fit in a volume of size 1GB/);
  await refuses({ properties: { long: "x".repeat(17_000) } }, /more than 16384 bytes/);
  await refuses({ properties: { cinder_img_volume_type: "no such type" } }, /Volume type with name no such type/);
  const rig = await open(t, never, []);
  await assert.rejects(rig.create(), /Invalid image identifier/);
  const both = { sizeGib: 1, imageReference: "disk", sourceVolumeId: image.id };
  await assert.rejects((await open(t, never)).cinder.volumes.create(member, both), /only one of/);
  await assert.rejects(rig.cinder.volumes.create(requestContext("", false), { sizeGib: 1 }), CinderFault);
});

test("an image of a server that started from a volume stands for a snapshot, where the request follows it", async (t) => {
  const found: ImageDescription[] = [];
  const rig = await open(t, async ({ offset }) => ({ offset, isDone: true }), found);
  const { volumes, snapshots } = rig.cinder;
  const { volume } = await volumes.create(member, { sizeGib: 3 });
  const { id: snapshotId } = await snapshots.create(member, { volumeId: volume.id, allowInUse: false });
  const standFor = (...disks: readonly unknown[]): void => {
    const properties = { block_device_mapping: JSON.stringify(disks) };
    found.splice(0, found.length, { ...image, sizeBytes: 0, diskFormat: null, properties });
  };
  const boot = { source_type: "snapshot", boot_index: 0, snapshot_id: snapshotId };
  standFor({ ...boot, boot_index: 1, snapshot_id: "other" }, null, boot);
  const request = { imageReference: image.id, followsSnapshots: true };
  const made = (await volumes.create(member, request)).volume;
  assert.deepEqual([made.sizeGib, made.snapshotId, made.status, rig.tasks.length], [3, snapshotId, "available", 0]);
  const older = (await volumes.create(member, { ...request, sizeGib: 1, followsSnapshots: false })).volume;
  assert.equal(older.snapshotId, null);
  standFor({ ...boot, snapshot_id: image.id });
  await assert.rejects(
    volumes.create(member, request),
    /Nova specific image is found, but boot volume snapshot id:1.* not found/,
  );
  standFor(boot);
  await assert.rejects(volumes.create(requestContext("other", false), request), /Nova specific image is found/);
  for (const disk of [{ ...boot, source_type: "volume" }, { ...boot, snapshot_id: 7 }, "x"]) {
    standFor(disk);
    assert.equal((await volumes.create(member, { ...request, sizeGib: 1 })).volume.snapshotId, null);
  }
});

test("what a volume says of its image: the image's own attributes go over its properties", () => {
  const properties = { image_id: "forged", size: "7", signature_verified: "True", hw_disk_bus: "scsi" };
  const metadata = imageMetadataOf({ ...image, checksum: "c", properties }, true);
  assert.deepEqual(metadata, {
    signature_verified: "False",
    hw_disk_bus: "scsi",
    image_id: image.id,
    image_name: "disk",
    checksum: "c",
    container_format: "bare",
    disk_format: "raw",
    min_disk: "0",
    min_ram: "0",
    size: "1000",
  });
  assert.equal("signature_verified" in imageMetadataOf(image, false), false);
});
