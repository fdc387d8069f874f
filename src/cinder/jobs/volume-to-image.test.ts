// A volume on its way into an image, as records: its statuses, the clone that is uploaded and that nobody else gets at, what
// remains when the upload fails, is cancelled or loses its claim. The upload itself is a stand-in here; the real one is in
// images/ and test/image-uploads.peer.test.ts.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { AndironError } from "../../common/errors.ts";
import { admin, member, openFixture, stranger, type CinderFixture } from "../cinder-fixture.ts";
import { CinderFault } from "../faults.ts";
import { type Images, type NewImage, type UploadProgress, type UploadTask, noImages } from "../images.ts";
import { defaultListQuery } from "../list-query.ts";
import type { Volume } from "../model.ts";
import { jobKind, parseRecord } from "../records.ts";
import type { UploadVolume } from "../verbs.ts";

type Upload = (task: UploadTask, signal: AbortSignal) => Promise<UploadProgress>;

interface Rig extends CinderFixture {
  readonly volumeId: string;
  readonly tasks: UploadTask[];
  readonly made: NewImage[];
  readonly discarded: string[];
  readonly vouched: Set<string>;
  upload(more?: Partial<UploadVolume>): Promise<void>;
  show(): Promise<Volume>;
  /** vDisks but for the volume's. */
  clones(): Promise<string[]>;
  messages(): Promise<string[]>;
}

async function open(t: TestContext, upload: Upload, more: Partial<Images> = {}): Promise<Rig> {
  const [tasks, made, discarded, vouched] = [[] as UploadTask[], [] as NewImage[], [] as string[], new Set<string>()];
  const images: Images = {
    ...noImages,
    create: async (_context, image) => {
      made.push(image);
      return { visibility: "private", isProtected: false, ...image };
    },
    vouch: (jobId) => void vouched.add(jobId),
    upload(task, run) {
      tasks.push(task);
      return upload(task, run.signal);
    },
    discard: async ({ image }) => void discarded.push(image.id),
    endUpload: async (jobId) => void vouched.delete(jobId),
    ...more,
  };
  const fixture = await openFixture(t, { images, settings: { allowsForcedUpload: true } });
  const { cinder, control } = fixture;
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  const asked: UploadVolume = { force: false, imageName: "i", diskFormat: "raw", containerFormat: "bare" };
  return {
    ...fixture,
    volumeId: volume.id,
    tasks,
    made,
    discarded,
    vouched,
    upload: async (changed = {}) => void (await cinder.volumeImages.upload(member, volume.id, { ...asked, ...changed })),
    show: async () => (await cinder.volumes.show(member, volume.id)).volume,
    clones: async () => (await control.vdisks("p1", 100)).map(({ id }) => id).filter((id) => id !== volume.id),
    messages: async () => (await cinder.messages.list(member, defaultListQuery)).items.map(({ userMessage }) => userMessage),
  };
}

const fill: Upload = async ({ sent }) => ({ sent: sent + 400, isDone: sent === 800 });

test("uploading, in steps, through a read-only export of a clone that nobody can manage; then available", async (t) => {
  const seen: unknown[] = [];
  const rig: Rig = await open(t, async (task, signal) => {
    const { status, previousStatus } = await rig.show();
    const [clone = ""] = await rig.clones();
    const manageable = await rig.cinder.management.manageableVolumes(admin, "andiron@p1#p1");
    seen.push([status, previousStatus, clone === task.jobId, manageable.length, task.sent]);
    const asked = { host: "andiron@p1#p1", reference: { sourceId: clone }, bootable: false };
    await assert.rejects(rig.cinder.management.manageVolume(admin, asked), /no such vDisk|is exported/);
    return fill(task, signal);
  });
  await rig.cinder.volumeActions.setImageMetadata(member, rig.volumeId, { image_id: "x", size: "7", a: "b", os_glance_x: "y" });
  await rig.upload();
  await rig.cinder.idle();
  assert.deepEqual(
    seen,
    [0, 400, 800].map((sent) => ["uploading", "available", true, 1, sent]),
  );
  const { status, jobId } = await rig.show();
  assert.deepEqual([status, jobId, await rig.clones(), rig.vouched.size], ["available", undefined, [], 0]);
  assert.deepEqual(rig.made[0]?.properties, { a: "b" });
  assert.deepEqual([rig.discarded, await rig.messages(), rig.troubles], [[], [], []]);
  assert.equal((await rig.cinder.quotas.show(member, "demo"))["gigabytes"]?.inUse, 1);
});

test("a volume in use: with force alone, and it is in use again when its attachment is still there", async (t) => {
  const rig = await open(t, fill);
  const connector = { host: "h" };
  const { id } = await rig.cinder.attachments.create(member, { volumeId: rig.volumeId, connector });
  await rig.cinder.attachments.complete(member, id);
  await assert.rejects(rig.upload(), /status must be available$/);
  await rig.upload({ force: true });
  assert.equal((await rig.show()).status, "uploading");
  await rig.cinder.idle();
  assert.equal((await rig.show()).status, "in-use");
});

test("what does not come to an end leaves no image, no clone, and a message", async (t) => {
  const rig = await open(t, () => Promise.reject(new AndironError("image_unacceptable", "it is too long")));
  await rig.upload();
  await rig.cinder.idle();
  assert.deepEqual([(await rig.show()).status, await rig.clones()], ["available", []]);
  assert.deepEqual(rig.discarded, [rig.made[0]?.id]);
  const reason = "Failed to upload volume to image at backend. (it is too long)";
  assert.deepEqual(await rig.messages(), [`copy volume to image:${reason}`]);
});

test("after a failure that passes another claim has another export", async (t) => {
  const rig = await open(t, async (task, signal) => {
    if (task.generation === 1 && task.sent > 0) throw new AndironError("glance_unavailable", "away");
    return fill(task, signal);
  });
  await rig.upload();
  for (let status = ""; status !== "available"; { status } = await rig.show()) await rig.cinder.idle();
  assert.deepEqual(
    rig.tasks.map(({ generation, sent }) => [generation, sent]),
    [
      [1, 0],
      [1, 400],
      [2, 400],
      [2, 800],
    ],
  );
  assert.equal(new Set(rig.tasks.map(({ exportName }) => exportName)).size, 2);
  assert.deepEqual(rig.discarded, []);
});

test("a forced delete breaks it off, and takes image and clone along", async (t) => {
  const rig = await open(t, (_task, signal) => {
    return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("broken off"))));
  });
  await rig.upload();
  while (rig.tasks.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await assert.rejects(rig.cinder.volumes.delete(member, rig.volumeId, { cascade: false, force: false }), CinderFault);
  await rig.cinder.volumeActions.forceDelete(admin, rig.volumeId);
  await assert.rejects(rig.show(), CinderFault);
  assert.deepEqual([rig.discarded.length, await rig.clones()], [1, []]);
});

test("what is refused makes no image, or takes it back", async (t) => {
  const rig = await open(t, fill);
  await assert.rejects(rig.upload({ visibility: "public" }), /upload_public/);
  await assert.rejects(rig.upload({ containerFormat: "compressed" }), /compression/);
  const asked: UploadVolume = { force: false, imageName: "i", diskFormat: "raw", containerFormat: "bare" };
  await assert.rejects(rig.cinder.volumeImages.upload(stranger, rig.volumeId, asked), /could not be found/);
  assert.equal(rig.made.length, 0);
  // Two at once: one of the volume's transactions finds it uploading, and Glance hears of the other alone.
  const both = await Promise.allSettled([rig.upload(), rig.upload()]);
  assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  assert.deepEqual([rig.made.length, rig.discarded.length], [1, 0]);
  await rig.cinder.idle();
});

test("what Glance refuses leaves the volume free at once, and nothing in the end", async (t) => {
  for (const [code, kind] of [
    ["image_forbidden", "invalid"],
    ["glance_unavailable", "unavailable"],
  ] as const) {
    const seen: string[] = [];
    const create = async (): Promise<never> => {
      seen.push((await rig.show()).status);
      throw new AndironError(code, "Glance says no");
    };
    const rig: Rig = await open(t, fill, { create });
    await assert.rejects(rig.upload(), (error) => (error as { readonly kind?: unknown }).kind === kind);
    assert.deepEqual([seen, (await rig.show()).status], [["uploading"], "available"]);
    await rig.cinder.idle();
    assert.deepEqual([await rig.clones(), await rig.messages(), rig.tasks, rig.vouched.size], [[], [], [], 0]);
    // An image that Glance made all the same is taken away.
    assert.equal(rig.discarded.length, 1);
    await rig.cinder.volumes.delete(member, rig.volumeId, { cascade: false, force: false });
  }
});

test("no image is made before a job is there that knows of it, and none is filled before it was made", async (t) => {
  const heard: unknown[] = [];
  const create: Images["create"] = async (_context, image) => {
    const { entries } = await rig.registry.range({ prefix: "cinder/job/" });
    const jobs = entries.map(({ value }) => JSON.parse(value) as { readonly params: unknown });
    heard.push(
      jobs.map(({ params }) => params),
      { image: { id: image.id, diskFormat: "raw" } },
    );
    // Another job has the runner look for work.
    const other = await rig.cinder.volumes.create(member, { sizeGib: 1 });
    await rig.cinder.snapshots.create(member, { volumeId: other.volume.id, allowInUse: false });
    await rig.cinder.volumes.delete(member, other.volume.id, { cascade: true, force: false });
    await rig.cinder.idle();
    heard.push(rig.tasks.length);
    return { visibility: "private", isProtected: false, ...image };
  };
  const rig: Rig = await open(t, fill, { create });
  await rig.upload();
  const [known, params, begun] = heard;
  assert.deepEqual([known, begun], [[params], 0]);
  await rig.cinder.idle();
  assert.ok(rig.tasks.length > 0);
});

for (const answer of ["late", "lost"] as const) {
  test(`an image that Glance makes when its job has ended already is taken away again, its answer being ${answer}`, async (t) => {
    const order: string[] = [];
    const create: Images["create"] = async (_context, image) => {
      await rig.cinder.volumeActions.forceDelete(admin, rig.volumeId);
      order.push("made");
      if (answer === "lost") throw new AndironError("glance_unavailable", "it took too long");
      return { visibility: "private", isProtected: false, ...image };
    };
    const discard: Images["discard"] = async ({ jobId }) => {
      assert.ok(rig.vouched.has(jobId), "with the caller's word");
      order.push("discarded");
    };
    const rig: Rig = await open(t, fill, { create, discard });
    await assert.rejects(rig.upload(), /took too long/);
    await rig.cinder.idle();
    assert.deepEqual(order.slice(-2), ["made", "discarded"]);
    assert.deepEqual([rig.tasks, rig.vouched.size, await rig.clones()], [[], 0, []]);
  });
}

test("an image that its job has filled before Glance's answer was there stays", async (t) => {
  const create: Images["create"] = async () => {
    const { entries } = await rig.registry.range({ prefix: jobKind.prefix });
    const [entry] = entries;
    const job = { ...parseRecord(jobKind, entry!.key, entry!.value), phase: "ended", notBeforeMs: null, endedAtMs: Date.now() };
    const value = JSON.stringify({ ...job, verdict: { outcome: "done", reason: "" } });
    await rig.registry.transact({ compares: [], success: [{ kind: "put", key: entry!.key, value }] });
    throw new AndironError("glance_unavailable", "it took too long");
  };
  const rig: Rig = await open(t, fill, { create });
  await assert.rejects(rig.upload(), /took too long/);
  assert.deepEqual(rig.discarded, []);
});
