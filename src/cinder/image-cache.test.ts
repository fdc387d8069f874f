// The cache of images, as records: the second volume of an image is there at once and needs no copy; what the cache forgets, and
// when; that what is in it is nobody's.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { AndironError } from "../common/errors.ts";
import { admin, member, openFixture, stranger, type CinderFixture } from "./cinder-fixture.ts";
import { type ImageDescription, type Images, noImages } from "./images.ts";
import type { Volume } from "./model.ts";
import { poolDefaults } from "./settings.ts";

const gibibyte = 2 ** 30;

interface Rig extends CinderFixture {
  /** Images that were copied, by name. */
  readonly copied: string[];
  readonly images: Map<string, ImageDescription>;
  /** Of the image of that name, when all is done. */
  create(name: string, sizeGib?: number): Promise<Volume>;
  /** Names and sizes in GiB of vDisks that are no volumes. */
  kept(): Promise<string[]>;
}

function describe(name: string, more: Partial<ImageDescription> = {}): ImageDescription {
  return {
    id: `image-${name}`,
    name,
    status: "active",
    sizeBytes: 1000,
    virtualSizeBytes: null,
    minDiskGib: 0,
    minRamMib: 0,
    diskFormat: "raw",
    containerFormat: "bare",
    checksum: `sum of ${name}`,
    hash: null,
    owner: null,
    properties: {},
    ...more,
  };
}

async function open(t: TestContext, limits: { countMax: number; gibMax: number } | undefined): Promise<Rig> {
  const copied: string[] = [];
  const images = new Map<string, ImageDescription>();
  const port: Images = {
    ...noImages,
    find: async (_context, reference) => [...images.values()].filter(({ name }) => name === reference),
    async copy({ image, offset }) {
      copied.push(image.id.slice("image-".length));
      if (image.checksum === "bad") throw new AndironError("image_unacceptable", "bad");
      return { offset, isDone: true };
    },
  };
  const p1 = { ...poolDefaults, ...(limits === undefined ? {} : { imageCache: limits }) };
  // A wall clock that stands still would make all entries as old as each other.
  const fixture = await openFixture(t, { images: port, settings: { pools: { p1 } } });
  const { cinder, control } = fixture;
  return {
    ...fixture,
    copied,
    images,
    async create(name, sizeGib = 1) {
      if (!images.has(name)) images.set(name, describe(name));
      const { volume } = await cinder.volumes.create(member, { sizeGib, imageReference: name });
      await cinder.idle();
      return (await cinder.volumes.show(member, volume.id)).volume;
    },
    async kept() {
      const rows = await control.vdisks("p1", 100);
      const isKept = rows.filter(({ name }) => name.startsWith("image-"));
      return isKept.map(({ name, sizeBytes }) => `${name.slice("image-image-".length)} ${sizeBytes / gibibyte}`).sort();
    },
  };
}

test("the second volume of an image is there at once, with what the image says, and without a copy", async (t) => {
  const rig = await open(t, { countMax: 0, gibMax: 0 });
  const first = await rig.create("a", 3);
  assert.deepEqual([first.status, (await rig.control.vdisk(first.id))?.sizeBytes], ["available", 3 * gibibyte]);
  rig.images.set("a", describe("a", { properties: { hw_disk_bus: "scsi" } }));
  const { volume } = await rig.cinder.volumes.create(member, { sizeGib: 2, imageReference: "a" });
  assert.deepEqual([volume.status, volume.bootable, volume.jobId], ["available", true, undefined]);
  assert.deepEqual([volume.imageMetadata["hw_disk_bus"], volume.imageMetadata["image_id"]], ["scsi", "image-a"]);
  assert.equal((await rig.control.vdisk(volume.id))?.sizeBytes, 2 * gibibyte);
  assert.deepEqual([rig.copied, await rig.kept()], [["a"], ["a 1"]]);
  // All volumes may go; the entry stays, and is nobody's.
  for (const id of [first.id, volume.id]) await rig.cinder.volumes.delete(member, id, { cascade: false, force: false });
  assert.equal((await rig.cinder.quotas.show(member, "demo"))["gigabytes"]?.inUse, 0);
  assert.deepEqual(await rig.cinder.management.manageableVolumes(admin, "andiron@p1#p1"), []);
  const reference = { sourceName: "image-image-a" };
  const manage = { host: "andiron@p1#p1", reference, bootable: false };
  await assert.rejects(rig.cinder.management.manageVolume(admin, manage), /no such vDisk/);
  assert.equal((await rig.create("a")).status, "available");
  assert.deepEqual([rig.copied, rig.troubles], [["a"], []]);
});

test("an image that is another one by now, or not to be had, is not taken from the cache", async (t) => {
  const rig = await open(t, { countMax: 0, gibMax: 0 });
  await rig.create("a");
  rig.images.set("a", describe("a", { checksum: "another" }));
  await rig.create("a");
  assert.deepEqual([rig.copied, await rig.kept()], [["a", "a"], ["a 1"]]);
  await rig.create("a");
  assert.equal(rig.copied.length, 2);
  rig.images.set("a", describe("a", { checksum: "another", status: "deactivated" }));
  await assert.rejects(rig.create("a"), /not active/);
  rig.images.delete("a");
  await assert.rejects(rig.cinder.volumes.create(stranger, { sizeGib: 1, imageReference: "a" }), /Invalid image identifier/);
});

test("a disk of unknown size is kept as large as the volume, and only volumes of that size are made of it", async (t) => {
  const rig = await open(t, { countMax: 0, gibMax: 0 });
  rig.images.set("q", describe("q", { diskFormat: "qcow2" }));
  await rig.create("q", 4);
  await rig.create("q", 4);
  assert.deepEqual([rig.copied, await rig.kept()], [["q"], ["q 4"]]);
  await rig.create("q", 2);
  assert.deepEqual([rig.copied, await rig.kept()], [["q", "q"], ["q 2"]]);
  rig.images.set("v", describe("v", { diskFormat: "qcow2", virtualSizeBytes: gibibyte + 1 }));
  await rig.create("v", 9);
  assert.deepEqual(await rig.kept(), ["q 2", "v 2"]);
});

test("what was used longest ago goes when there are too many, or they are too large", async (t) => {
  const rig = await open(t, { countMax: 2, gibMax: 5 });
  for (const name of ["a", "b", "c"]) await rig.create(name);
  assert.deepEqual(await rig.kept(), ["b 1", "c 1"]);
  rig.images.set("large", describe("large", { sizeBytes: 4 * gibibyte + 1 }));
  await rig.create("large", 5);
  assert.deepEqual(await rig.kept(), ["large 5"]);
  rig.images.set("huge", describe("huge", { sizeBytes: 6 * gibibyte }));
  await rig.create("huge", 6);
  assert.deepEqual(await rig.kept(), ["large 5"]);
});

test("a copy that fails leaves nothing in the cache, and its volume its whole size; without a cache there is none", async (t) => {
  const rig = await open(t, { countMax: 0, gibMax: 0 });
  rig.images.set("bad", describe("bad", { checksum: "bad" }));
  const failed = await rig.create("bad", 2);
  assert.deepEqual([failed.status, await rig.kept()], ["error", []]);
  assert.equal((await rig.control.vdisk(failed.id))?.sizeBytes, 2 * gibibyte);
  const without = await open(t, undefined);
  await without.create("a");
  await without.create("a");
  assert.deepEqual([without.copied, await without.kept()], [["a", "a"], []]);
});
