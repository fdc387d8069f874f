// Images of volumes, through the API: bytes in each format, an image of a volume that is written meanwhile, what goes wrong on
// the way and what is left then, kill -9 in the middle of an upload and of a conversion. Glance is a double (it breaks off when
// told to); with the real one it is Tempest's business. What came out is read by qemu-img.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, open, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { BlockStorage } from "./harness/block-storage.ts";
import { missingCommand, runOk } from "./harness/command.ts";
import { GlanceDouble } from "./harness/glance-double.ts";
import { noise, openExport, readBytes } from "./harness/nbd.ts";
import { type AndironProcess, prepareAndiron } from "./harness/service.ts";

const missing = await missingCommand(["qemu-img", "prlimit", "setpriv"]);
const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;

interface Uploaded {
  readonly image_id: string;
  readonly status: string;
  readonly protected: boolean;
  readonly visibility: string;
}

/** As long as there is somebody at the other end. */
async function readSlowly(request: AsyncIterable<unknown>): Promise<void> {
  try {
    for await (const _piece of request) await sleep(100);
  } catch {
    // It broke off.
  }
}

describe("images of volumes", { skip: missing !== undefined && `${missing} is not installed`, timeout: 900_000 }, () => {
  let folder = "";
  let glance: GlanceDouble;
  let service: AndironProcess;
  let api: BlockStorage;
  /** 1 GiB with some noise in it, and a file with the same. */
  let volumeId = "";
  const places = [0, 5 * mebibyte + 4096, gibibyte - mebibyte];
  let disk = "";

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-uploads-"));
    glance = new GlanceDouble(folder);
    await glance.start();
    service = await prepareAndiron({
      DEFAULT: { glance_api_servers: glance.url, quota_volumes: -1, enable_force_upload: true, image_conversion_cpu_limit: 600 },
      jobs: { tries_max: 3 },
    });
    await service.start();
    api = new BlockStorage(service);
    volumeId = await api.createVolume();
    disk = join(folder, "disk");
    const file = await open(disk, "w");
    for (const at of places) await file.write(noise(at, mebibyte), 0, mebibyte, at);
    await file.close();
    await write(volumeId, places);
    const image = { metadata: { hw_disk_bus: "scsi", image_id: "old", img_signature: "x", min_disk: "7" } };
    await api.call("POST", `/volumes/${volumeId}/action`, { "os-set_image_metadata": image });
  });

  beforeEach(() => glance.reset());

  after(async () => {
    await service?.dispose();
    glance?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** 1 MiB of noise at each offset, of its own. */
  async function write(id: string, offsets: readonly number[]): Promise<void> {
    await api.whileAttached(id, async (_uri, { connection_info }) => {
      const client = await openExport(service, connection_info.name);
      try {
        for (const at of offsets) await client.write(at, noise(at, mebibyte), { fua: false });
        await client.flush();
      } finally {
        await client.disconnect();
      }
    });
  }

  async function upload(id: string, more: Readonly<Record<string, unknown>> = {}): Promise<Uploaded> {
    const given = { image_name: "made", ...more };
    const answer = await api.call<Record<string, Uploaded>>("POST", `/volumes/${id}/action`, {
      "os-volume_upload_image": given,
    });
    return answer["os-volume_upload_image"]!;
  }

  async function statusOf(id: string): Promise<string> {
    return (await api.call<{ volume: { status: string } }>("GET", `/volumes/${id}`)).volume.status;
  }

  /** The volume is not being uploaded any more. */
  async function ends(id: string, status = "available"): Promise<void> {
    for (const deadlineMs = performance.now() + 300_000; (await statusOf(id)) === "uploading"; await sleep(50)) {
      assert.ok(performance.now() < deadlineMs, `it stays uploading\n${await service.logTail()}`);
    }
    assert.equal(await statusOf(id), status);
    assert.deepEqual(await readdir(join(service.statePath, "conversion")), []);
    const vdisks = await service.manage("vdisk", "list");
    assert.doesNotMatch(vdisks.stdout, /upload-/);
  }

  async function messageOf(id: string): Promise<string> {
    const { messages } = await api.call<{ messages: { id: string; user_message: string; event_id: string }[] }>(
      "GET",
      `/messages?resource_uuid=${id}`,
    );
    assert.equal(messages.length, 1);
    assert.equal(messages[0]!.event_id, "VOLUME_VOLUME_003_004");
    await api.call("DELETE", `/messages/${messages[0]!.id}`);
    return messages[0]!.user_message;
  }

  /** The image is a disk of the volume's size and bytes. */
  async function isDisk(imageId: string, driver = "raw"): Promise<void> {
    const { path } = glance.images.get(imageId)!;
    const info = JSON.parse(await runOk("qemu-img", ["info", "--output=json", "-f", driver, path], { folder })) as unknown;
    assert.equal((info as { readonly "virtual-size": number })["virtual-size"], gibibyte);
    await runOk("qemu-img", ["compare", "-f", "raw", "-F", driver, disk, path], { folder });
  }

  /** The volume has the noise and nothing else. */
  async function hasNoise(id: string): Promise<void> {
    await api.whileAttached(id, async (_uri, { connection_info }) => {
      const client = await openExport(service, connection_info.name);
      for (const at of places) assert.ok((await readBytes(client, at, mebibyte)).equals(noise(at, mebibyte)));
      for (const at of [mebibyte, 7 * mebibyte]) {
        const [first] = await client.extents(at, mebibyte, 1);
        assert.deepEqual([first?.allocated, first?.lengthBytes], [false, mebibyte]);
      }
      await client.disconnect();
    });
  }

  test("in every format the image is the volume, with what the volume's image said, and becomes a volume again", async () => {
    for (const [format, driver] of [
      ["raw", "raw"],
      ["qcow2", "qcow2"],
      ["vmdk", "vmdk"],
      ["vdi", "vdi"],
      ["vhd", "vpc"],
      ["vhdx", "vhdx"],
      ["ploop", "parallels"],
    ] as const) {
      const made = await upload(volumeId, { disk_format: format, visibility: "public", protected: true });
      assert.deepEqual([made.status, made.visibility, made.protected], ["uploading", "public", true]);
      await ends(volumeId);
      const { description } = glance.images.get(made.image_id)!;
      assert.deepEqual([description["status"], description["disk_format"], description["name"]], ["active", format, "made"]);
      assert.deepEqual([description["hw_disk_bus"], description["img_signature"]], ["scsi", undefined]);
      assert.deepEqual([description["image_id"], description["min_disk"]], [undefined, 0]);
      await isDisk(made.image_id, driver);
      if (format === "ploop") continue; // not taken as an image of a volume
      const body = { volume: { size: 1, imageRef: made.image_id } };
      const { volume } = await api.call<{ volume: { id: string } }>("POST", "/volumes", body);
      await api.waitForStatus("volumes", volume.id, "available");
      await hasNoise(volume.id);
      await api.delete("volumes", volume.id);
    }
  });

  test("of a volume in use only with force, and then as it was at that instant", async () => {
    const id = await api.createVolume();
    await write(id, [0, 512 * mebibyte]);
    await api.whileAttached(id, async (_uri, { connection_info }) => {
      const refused = await api.request("POST", `/volumes/${id}/action`, { "os-volume_upload_image": { image_name: "i" } });
      assert.equal(refused.status, 400);
      assert.match(JSON.stringify(refused.body), /status must be available/);
      const client = await openExport(service, connection_info.name);
      const { image_id: imageId } = await upload(id, { force: true });
      for (const at of [0, mebibyte, 512 * mebibyte]) await client.write(at, noise(at + 1, mebibyte), { fua: false });
      await client.disconnect();
      await ends(id, "in-use");
      const bytes = await readFile(glance.images.get(imageId)!.path);
      for (const at of [0, 512 * mebibyte]) assert.ok(bytes.subarray(at, at + mebibyte).equals(noise(at, mebibyte)));
      assert.ok(bytes.subarray(mebibyte, 2 * mebibyte).equals(Buffer.alloc(mebibyte)));
    });
    await api.delete("volumes", id);
  });

  test("a Glance that breaks off gets all of it again; one that lies loses the image, and the user reads why", async () => {
    glance.onUpload = (request, response, image) => {
      if (glance.uploads > 1) return false;
      request.once("data", () => response.destroy());
      image.description = { ...image.description, status: "queued" };
      return true;
    };
    const { image_id: again } = await upload(volumeId);
    await ends(volumeId);
    assert.equal(glance.uploads, 2);
    await isDisk(again);

    for (const lie of [{ size: 7 }, { os_hash_value: "00" }]) {
      glance.onUpload = async (request, response, image) => {
        for await (const _piece of request) void _piece;
        const description = { status: "active", size: gibibyte, os_hash_algo: "sha512", os_hash_value: "11", ...lie };
        image.description = { ...image.description, ...description };
        response.writeHead(204).end();
        return true;
      };
      const { image_id: wrong } = await upload(volumeId, { protected: true });
      await ends(volumeId);
      assert.equal(glance.images.has(wrong), false);
      assert.match(await messageOf(volumeId), /^copy volume to image:.*other bytes/);
    }

    glance.onUpload = (_request, response, image) => {
      image.description = { ...image.description, status: "queued" };
      response.writeHead(503).end();
      return true;
    };
    const { image_id: never } = await upload(volumeId, { disk_format: "qcow2" });
    await ends(volumeId);
    assert.equal(glance.images.has(never), false);
    assert.match(await messageOf(volumeId), /given up after 3 tries/);
  });

  test("a refused request leaves nothing: no image, no status", async () => {
    const count = glance.images.size;
    const refuses = async (given: Readonly<Record<string, unknown>>, why: RegExp): Promise<void> => {
      const body = { "os-volume_upload_image": { image_name: "i", ...given } };
      const answer = await api.request("POST", `/volumes/${volumeId}/action`, body);
      assert.equal(answer.status, 400);
      assert.match(JSON.stringify(answer.body), why);
      assert.deepEqual([await statusOf(volumeId), glance.images.size], ["available", count]);
    };
    await refuses({ container_format: "compressed" }, /Image compression upload disallowed/);
    await refuses({ disk_format: "iso" }, /is not one of/);
    await refuses({ image_name: "" }, /too short/);
  });

  test("a kill -9 in the middle of an upload: all of it is sent again, and the clone is gone", async () => {
    glance.onUpload = (request, _response, image) => {
      if (glance.uploads > 1) return false;
      void readSlowly(request).finally(() => void (image.description = { ...image.description, status: "queued" }));
      return true;
    };
    const { image_id: imageId } = await upload(volumeId);
    while (glance.uploads === 0) await sleep(20);
    await service.kill();
    await service.start();
    await ends(volumeId);
    assert.equal(glance.uploads, 2);
    await isDisk(imageId);
  });

  test("a kill -9 between the making of the image and the word of it: the image is filled all the same", async () => {
    glance.createPauseMs = 60_000;
    const count = glance.images.size;
    const asked = upload(volumeId, { disk_format: "qcow2" }).catch(() => undefined);
    while (glance.images.size === count) await sleep(10);
    await service.kill();
    await asked;
    await service.start();
    await ends(volumeId);
    await isDisk([...glance.images.keys()].at(-1)!, "qcow2");
  });

  test("Glance takes longer than a request may: no image is left when it has made one after all", async () => {
    glance.createPauseMs = 3000;
    const count = glance.images.size;
    const short = await prepareAndiron({
      DEFAULT: { glance_api_servers: glance.url, glance_request_timeout: 1, glance_num_retries: 0 },
    });
    try {
      await short.start();
      const client = new BlockStorage(short);
      const id = await client.createVolume();
      const body = { "os-volume_upload_image": { image_name: "slow" } };
      assert.equal((await client.request("POST", `/volumes/${id}/action`, body)).status, 503);
      await client.waitForStatus("volumes", id, "available");
      for (const deadlineMs = performance.now() + 30_000; glance.images.size !== count; await sleep(50)) {
        assert.ok(performance.now() < deadlineMs, "an image is left");
      }
    } finally {
      await short.dispose();
    }
  });

  test("a kill -9 in the middle of a conversion: qemu-img dies too, and it is done again", async () => {
    const id = await api.createVolume();
    await write(
      id,
      Array.from({ length: 256 }, (_, index) => index * mebibyte),
    );
    const { image_id: imageId } = await upload(id, { disk_format: "qcow2" });
    const scratch = join(service.statePath, "conversion");
    const isRunning = async (): Promise<boolean> => {
      const { stdout } = await promisify(execFile)("ps", ["-eo", "args"]);
      return stdout.split("\n").some((line) => line.startsWith("qemu-img convert -c -O qcow2"));
    };
    while ((await readdir(scratch)).length === 0 || !(await isRunning())) await sleep(10);
    await service.kill();
    assert.equal((await readdir(scratch)).length, 1);
    await service.start();
    await ends(id);
    const { path, description } = glance.images.get(imageId)!;
    assert.equal(description["status"], "active");
    await runOk("qemu-img", ["check", "-f", "qcow2", path], { folder });
    await api.delete("volumes", id);
  });

  test("a forced delete ends it: image, clone and volume are gone", async () => {
    const id = await api.createVolume();
    glance.onUpload = (request) => {
      void readSlowly(request);
      return true;
    };
    const { image_id: imageId } = await upload(id, { protected: true });
    while (glance.uploads === 0) await sleep(20);
    assert.equal((await api.request("DELETE", `/volumes/${id}`)).status, 400);
    await api.call("POST", `/volumes/${id}/action`, { "os-force_delete": {} });
    assert.equal((await api.request("GET", `/volumes/${id}`)).status, 404);
    assert.equal(glance.images.has(imageId), false);
    assert.doesNotMatch((await service.manage("vdisk", "list")).stdout, /upload-/);
  });
});
