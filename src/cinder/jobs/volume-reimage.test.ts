// Another image in a volume that exists, as records: its statuses, what it says afterwards, what Nova is told and when, and what
// remains when the copy fails or Nova is away. The copy itself is a stand-in here; the real one is in test/images.peer.test.ts.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { AndironError } from "../../common/errors.ts";
import { admin, member } from "../cinder-fixture.ts";
import { CinderFault } from "../faults.ts";
import { type Copy, type ImageRig, anImage, messagesOf, openImageRig } from "../image-rig.fixture.ts";
import { noServers } from "../ports.ts";
import { defaultSettings } from "../settings.ts";

const server = "88888888-8888-4888-8888-888888888888";
const request = { imageId: anImage.id, reserved: true };
const told: string[][] = [];

interface Options {
  readonly copy?: Copy;
  /** How often Nova is away. */
  readonly away?: number;
}

async function open(t: TestContext, { copy, away = 0 }: Options = {}): Promise<ImageRig & { readonly id: string }> {
  told.length = 0;
  let left = away;
  const servers = {
    ...noServers,
    async volumeReimaged(_context: unknown, serverIds: readonly string[], volumeId: string): Promise<void> {
      if (left-- > 0) throw new AndironError("nova_unavailable", "away");
      told.push([...serverIds, (await rig.show(volumeId)).status]);
    },
  };
  const settings = { jobs: { ...defaultSettings.jobs, triesMax: 2 } };
  const atOnce: Copy = async ({ offset }) => ({ offset, isDone: true });
  const rig: ImageRig = await openImageRig(t, copy ?? atOnce, [anImage], { servers, settings });
  const { volume } = await rig.cinder.volumes.create(member, { sizeGib: 1 });
  return { ...rig, id: volume.id };
}

async function reserve({ cinder, id: volumeId }: ImageRig & { readonly id: string }): Promise<string> {
  return (await cinder.attachments.create(member, { volumeId, instanceId: server })).id;
}

test("available, downloading, available: bootable, and with what the new image says", async (t) => {
  const seen: string[] = [];
  const rig: ImageRig & { id: string } = await open(t, {
    copy: async ({ offset, overwrites }) => {
      seen.push(`${(await rig.show(rig.id)).status} ${offset} ${overwrites}`);
      return { offset: offset + 400, isDone: offset === 400 };
    },
  });
  await rig.cinder.volumeActions.setImageMetadata(admin, rig.id, { old: "yes" });
  await rig.cinder.volumeImages.reimage(member, rig.id, request);
  assert.equal((await rig.show(rig.id)).previousStatus, "available");
  await rig.cinder.idle();
  const { status, bootable, imageMetadata, jobId } = await rig.show(rig.id);
  assert.deepEqual([status, bootable, jobId], ["available", true, undefined]);
  assert.deepEqual([imageMetadata["image_id"], imageMetadata["old"]], [anImage.id, undefined]);
  assert.deepEqual(seen, ["downloading 0 true", "downloading 400 true"]);
  assert.deepEqual([rig.vouched.size, told, rig.troubles], [0, [], []]);
});

test("a reserved volume is given back before Nova is told, and Nova is told until it listens", async (t) => {
  const rig = await open(t, { away: 1 });
  await reserve(rig);
  await rig.cinder.volumeImages.reimage(member, rig.id, request);
  while (told.length === 0) await rig.cinder.idle();
  await rig.cinder.idle();
  assert.deepEqual(told, [[server, "reserved"]]);
  const { status, attachStatus, jobId } = await rig.show(rig.id);
  assert.deepEqual([status, attachStatus, jobId], ["reserved", "reserved", undefined]);
  assert.equal(rig.tasks.length, 1);
});

test("Nova that stays away is a message: the volume has its image, and is what its attachments say", async (t) => {
  const rig = await open(t, { away: 10 });
  const attachmentId = await reserve(rig);
  await rig.cinder.volumeImages.reimage(member, rig.id, request);
  while ((await rig.show(rig.id)).status === "downloading") await rig.cinder.idle();
  await rig.cinder.attachments.delete(member, attachmentId);
  while ((await rig.show(rig.id)).jobId !== undefined) await rig.cinder.idle();
  const { status, imageMetadata } = await rig.show(rig.id);
  assert.deepEqual([status, imageMetadata["image_id"]], ["available", anImage.id]);
  assert.match((await messagesOf(rig)).join(), /^reimage volume:Compute service failed to reimage volume\./);
});

test("a volume in error gets its bytes and stays there, as in Cinder", async (t) => {
  const rig = await open(t);
  await rig.cinder.volumeActions.resetStatus(admin, rig.id, { status: "error" });
  await rig.cinder.volumeImages.reimage(member, rig.id, request);
  await rig.cinder.idle();
  const { status, bootable } = await rig.show(rig.id);
  assert.deepEqual([status, bootable, rig.tasks.length], ["error", true, 1]);
});

test("a copy that fails: error, a message, the old image's metadata, and a volume that can be deleted", async (t) => {
  const rig = await open(t, { copy: () => Promise.reject(new AndironError("image_unacceptable", "it has a backing file")) });
  await reserve(rig);
  await rig.cinder.volumeImages.reimage(member, rig.id, request);
  await rig.cinder.idle();
  const { status, imageMetadata, bootable } = await rig.show(rig.id);
  assert.deepEqual([status, imageMetadata, bootable, told], ["error", {}, false, []]);
  assert.deepEqual(await messagesOf(rig), ["reimage volume:An unknown error occurred. (it has a backing file)"]);
  await rig.cinder.volumes.delete(member, rig.id, { cascade: false, force: false });
});

test("nobody is connected to a volume while its bytes change", async (t) => {
  const rig = await open(t, {
    copy: (_task, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("broken off")))),
  });
  const attachmentId = await reserve(rig);
  await rig.cinder.volumeImages.reimage(member, rig.id, request);
  while (rig.tasks.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await assert.rejects(rig.cinder.attachments.update(member, attachmentId, { host: "h" }), /is being filled with an image/);
  await rig.cinder.attachments.delete(member, attachmentId);
  assert.equal((await rig.show(rig.id)).status, "downloading");
  await assert.rejects(rig.cinder.volumes.delete(member, rig.id, { cascade: false, force: false }), CinderFault);
  await rig.cinder.volumeActions.forceDelete(admin, rig.id);
  await assert.rejects(rig.show(rig.id), CinderFault);
});

test("the request refuses what it can see, and changes nothing", async (t) => {
  const rig = await open(t);
  const refuses = async (change: Partial<typeof request>, kind: string, why: RegExp): Promise<void> => {
    const before = await rig.show(rig.id);
    await assert.rejects(rig.cinder.volumeImages.reimage(member, rig.id, { ...request, ...change }), (error) => {
      assert.ok(error instanceof CinderFault && error.kind === kind && why.test(error.message), String(error));
      return true;
    });
    assert.deepEqual([await rig.show(rig.id), rig.vouched.size], [before, 0]);
  };
  await refuses({ imageId: rig.id }, "not-found", /Image .* could not be found/);
  await reserve(rig);
  await refuses({ reserved: false }, "invalid", /status must be available or error, but current status is reserved/);
  await reserve(rig);
  await refuses({}, "conflict", /attached to more than one server/);
});
