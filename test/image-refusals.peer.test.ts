// Images that are made to do harm, through the API, and a scratch directory without room: each ends in an error that says why,
// and nothing is left behind, as the judge of the outside sees it. What else is refused is in src/images/inspection.test.ts.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { craftQcow2, craftVhdx, craftVmdk, vmdkDescriptor } from "../src/images/crafted-images.fixture.ts";
import { makeContent, checkVolume, writeImageOf } from "./crash/long-work/content.ts";
import { awaitRest } from "./crash/outside/rest.ts";
import { BlockStorage } from "./harness/block-storage.ts";
import { missingCommand, run, runOk } from "./harness/command.ts";
import { GlanceDouble } from "./harness/glance-double.ts";
import { type AndironProcess, prepareAndiron } from "./harness/service.ts";

const missing = await missingCommand(["qemu-img", "prlimit", "setpriv"]);
const mebibyte = 1024 * 1024;
const scratchMebibytes = 24;

const changed = (image: Buffer, change: (image: Buffer) => void): Buffer => {
  change(image);
  return image;
};

const malicious: readonly (readonly [what: string, format: string, bytes: Buffer, why: RegExp])[] = [
  ["a backing file", "qcow2", changed(craftQcow2(), (image) => image.writeBigUInt64BE(512n, 8)), /backing file/],
  ["an external data file", "qcow2", changed(craftQcow2(), (image) => image.writeBigUInt64BE(4n, 72)), /external data file/],
  ["qcow2 that is said to be raw", "raw", craftQcow2(), /said to be raw, and is qcow2/],
  ["a descriptor of foreign files that is said to be raw", "raw", Buffer.from(vmdkDescriptor), /said to be raw/],
  [
    "a bomb of a petabyte",
    "qcow2",
    changed(craftQcow2(), (image) => image.writeBigUInt64BE(2n ** 50n, 24)),
    /larger than the vol/,
  ],
  ["a first table of gigabytes", "qcow2", changed(craftQcow2(), (image) => image.writeUInt32BE(2 ** 31, 36)), /first table/],
  ["an encrypted image", "qcow2", changed(craftQcow2(), (image) => image.writeUInt32BE(1, 32)), /encrypted/],
  ["clusters of a bit", "qcow2", changed(craftQcow2(), (image) => image.writeUInt32BE(1, 20)), /clusters/],
  ["an unknown feature", "qcow2", changed(craftQcow2(), (image) => image.writeBigUInt64BE(1n << 63n, 72)), /not known/],
  ["vmdk of a host's device", "vmdk", craftVmdk(vmdkDescriptor.replace('SPARSE "disk.vmdk"', 'FLAT "/dev/vda" 0')), /./],
  ["vmdk of many files", "vmdk", craftVmdk(vmdkDescriptor.replace("monolithicSparse", "twoGbMaxExtentFlat")), /./],
  ["vhdx with a parent", "vhdx", craftVhdx(2), /./],
];

describe("images that are refused", { skip: missing !== undefined && `${missing} is not installed`, timeout: 600_000 }, () => {
  let folder = "";
  let scratch = "";
  let glance: GlanceDouble;
  let service: AndironProcess;
  let api: BlockStorage;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-refusals-"));
    scratch = join(folder, "scratch");
    await mkdir(scratch);
    if (process.getuid?.() === 0) {
      await runOk("mount", ["-t", "tmpfs", "-o", `size=${scratchMebibytes}m`, "andiron-test", scratch]);
    }
    glance = new GlanceDouble(folder);
    await glance.start();
    service = await prepareAndiron({
      DEFAULT: { glance_api_servers: glance.url, image_conversion_dir: scratch },
      jobs: { tries_max: 3 },
      engine: { cleaner_interval: 0.5, retired_grace: 0.5 },
    });
    await service.start();
    api = new BlockStorage(service);
  });

  beforeEach(() => glance.reset());

  after(async () => {
    await service?.dispose();
    glance?.stop();
    if (process.getuid?.() === 0) await run("umount", ["--lazy", scratch]);
    await rm(folder, { recursive: true, force: true });
  });

  const ask = async (imageRef: string): Promise<string> =>
    (await api.call<{ volume: { id: string } }>("POST", "/volumes", { volume: { size: 1, imageRef } })).volume.id;

  async function statusOf(id: string): Promise<string> {
    for (const deadlineMs = performance.now() + 120_000; ;) {
      const { volume } = await api.call<{ volume: { status: string } }>("GET", `/volumes/${id}`);
      if (!["creating", "downloading"].includes(volume.status)) return volume.status;
      assert.ok(performance.now() < deadlineMs, `volume ${id} stays ${volume.status}`);
    }
  }

  /** The volume ends in an error with one message, and with it everything is gone. */
  async function isRefused(imageRef: string, why: RegExp, clear: () => Promise<void> = async () => undefined): Promise<void> {
    const id = await ask(imageRef);
    assert.equal(await statusOf(id), "error");
    await clear();
    const path = `/messages?resource_uuid=${id}`;
    const { messages } = await api.call<{ messages: { user_message: string }[] }>("GET", path);
    assert.equal(messages.length, 1);
    assert.match(messages[0]!.user_message, why);
    await api.delete("volumes", id);
    await awaitRest({ service, api, images: { list: () => Promise.resolve([]) }, scratch }, 60_000);
  }

  for (const [what, format, bytes, why] of malicious) {
    test(what, async () => {
      await isRefused(await glance.offer(bytes, format), why);
    });
  }

  const needsRoot = process.getuid?.() !== 0 && "mounting needs root";

  test("an image for which there is no room: the error says so", { skip: needsRoot }, async () => {
    const path = join(folder, "large");
    await writeImageOf(makeContent(1, 2 * scratchMebibytes, 64), path, "qcow2", 64);
    await isRefused(await glance.offer(path, "qcow2"), /no room for an image/);
  });

  test(
    "the scratch directory fills up meanwhile: an error, or the volume once there is room again",
    { skip: needsRoot },
    async () => {
      const content = makeContent(2, scratchMebibytes / 2, 64);
      const path = join(folder, "fitting");
      await writeImageOf(content, path, "qcow2", 64);
      const imageRef = await glance.offer(path, "qcow2");
      const ballast = join(scratch, "ballast");
      const fill = (): Promise<void> => writeFile(ballast, Buffer.alloc(scratchMebibytes * mebibyte)).catch(() => undefined);
      glance.onDownload = async () => {
        await fill();
        return false;
      };
      const clear = (): Promise<void> => rm(ballast, { force: true });
      await isRefused(imageRef, /room|space|ENOSPC/i, clear);
      // Once more, with room at the second try.
      glance.onDownload = async () => {
        if (glance.downloads.length % 2 === 1) await fill();
        else await rm(ballast, { force: true });
        return false;
      };
      glance.downloads = [];
      const id = await ask(imageRef);
      const freeing = setInterval(() => void clear(), 1500);
      assert.equal(await statusOf(id), "available");
      clearInterval(freeing);
      await checkVolume({ service, api }, id, content);
      await api.delete("volumes", id);
    },
  );
});
