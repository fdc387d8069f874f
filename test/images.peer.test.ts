// Volumes from images, through the API: bytes and holes, what the volume says afterwards, images that are refused, a Glance
// that breaks off and lies, kill -9 in the middle, cancel by delete. Glance is a server of the test's own here, since a real
// one does none of that; with the real one it is Tempest's business. Images are made by qemu-img.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BlockStorage } from "./harness/block-storage.ts";
import { missingCommand, runOk } from "./harness/command.ts";
import { noise, openExport, readBytes } from "./harness/nbd.ts";
import { type AndironProcess, prepareAndiron } from "./harness/service.ts";

const missing = await missingCommand(["qemu-img", "prlimit", "setpriv"]);
const mebibyte = 1024 * 1024;

interface ServedImage {
  readonly bytes: Buffer;
  readonly description: Readonly<Record<string, unknown>>;
}

interface Shown {
  readonly id: string;
  readonly status: string;
  readonly bootable: string;
  readonly volume_image_metadata?: Readonly<Record<string, string>>;
}

/** How the bytes are sent; by default all of them from where Range says. */
type Serve = (request: IncomingMessage, response: ServerResponse, bytes: Buffer, offset: number) => void;

const serveAll: Serve = (_request, response, bytes, offset) => {
  const range = { "content-range": `bytes ${offset}-${bytes.length - 1}/${bytes.length}` };
  response.writeHead(offset === 0 ? 200 : 206, range).end(bytes.subarray(offset));
};

/** 1 MiB at a time, slowly; from the middle on so slowly that nobody comes too late to see it. What is left is served faster. */
const serveSlowly: Serve = (_request, response, bytes, offset) => {
  const range = { "content-range": `bytes ${offset}-${bytes.length - 1}/${bytes.length}` };
  response.writeHead(offset === 0 ? 200 : 206, range);
  const send = async (): Promise<void> => {
    for (let at = offset; at < bytes.length && !response.destroyed; at += mebibyte) {
      response.write(bytes.subarray(at, at + mebibyte));
      const slowMs = at < bytes.length / 2 ? 250 : 3000;
      await sleep(offset > 0 ? 20 : slowMs);
    }
    response.end();
  };
  void send();
};

describe("volumes from images", { skip: missing !== undefined && `${missing} is not installed`, timeout: 600_000 }, () => {
  const images = new Map<string, ServedImage>();
  let serve: Serve = serveAll;
  let offsets: number[] = [];
  let folder = "";
  let service: AndironProcess;
  let api: BlockStorage;
  const glance = createServer((request, response) => {
    const [, id = "", file] = /^\/v2\/images\/([^/?]+)(\/file)?$/.exec(request.url ?? "") ?? [];
    const image = images.get(id);
    if (request.url?.startsWith("/v2/images?") === true) {
      const name = new URL(request.url, "http://glance").searchParams.get("name");
      const found = [...images.values()].filter(({ description }) => description["name"] === name);
      response.end(JSON.stringify({ images: found.map(({ description }) => description) }));
    } else if (image === undefined) response.writeHead(404).end();
    else if (file === undefined) response.end(JSON.stringify(image.description));
    else {
      const offset = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
      offsets.push(offset);
      serve(request, response, image.bytes, offset);
    }
  });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-images-"));
    glance.listen(0, "127.0.0.1");
    await once(glance, "listening");
    const url = `http://127.0.0.1:${(glance.address() as AddressInfo).port}`;
    service = await prepareAndiron({ DEFAULT: { glance_api_servers: url, quota_volumes: -1 }, jobs: { tries_max: 3 } });
    await service.start();
    api = new BlockStorage(service);
  });

  beforeEach(() => {
    serve = serveAll;
    offsets = [];
  });

  after(async () => {
    await service?.dispose();
    glance.closeAllConnections();
    glance.close();
    await rm(folder, { recursive: true, force: true });
  });

  function offer(bytes: Buffer, format: string, more: Readonly<Record<string, unknown>> = {}): string {
    const id = randomUUID();
    const description = {
      id,
      name: `image ${id}`,
      status: "active",
      size: bytes.length,
      disk_format: format,
      container_format: "bare",
      checksum: createHash("md5").update(bytes).digest("hex"),
      os_hash_algo: "sha512",
      os_hash_value: createHash("sha512").update(bytes).digest("hex"),
      min_disk: 0,
      min_ram: 64,
      visibility: "public",
      owner: "somebody",
      ...more,
    };
    images.set(id, { bytes, description });
    return id;
  }

  async function request(imageRef: string, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const body = await api.call<{ volume: Shown }>("POST", "/volumes", { volume: { size: 1, imageRef, ...more } });
    assert.equal(body.volume.status, "creating");
    return body.volume.id;
  }

  /** The job that is under way has written down how far it came. */
  async function untilNoted(): Promise<void> {
    for (const deadlineMs = performance.now() + 60_000; ; await sleep(100)) {
      const { stdout } = await service.manage("--json", "jobs", "list");
      const jobs = JSON.parse(stdout) as { progress: string }[];
      if (jobs.some(({ progress }) => Number.parseInt(progress, 10) > 0)) return;
      assert.ok(performance.now() < deadlineMs, `nothing is noted: ${stdout}`);
    }
  }

  async function show(id: string): Promise<Shown> {
    return (await api.call<{ volume: Shown }>("GET", `/volumes/${id}`)).volume;
  }

  async function waitUntil(id: string, status: string): Promise<Shown> {
    for (const deadlineMs = performance.now() + 120_000; ; await sleep(50)) {
      const shown = await show(id);
      if (shown.status === status) return shown;
      assert.ok(["creating", "downloading"].includes(shown.status), `it is ${shown.status}\n${await service.logTail()}`);
      assert.ok(performance.now() < deadlineMs, `it stays ${shown.status}`);
    }
  }

  /** The volume ends in error, with a message that says why. */
  async function fails(imageRef: string, why: RegExp): Promise<void> {
    const id = await request(imageRef);
    await waitUntil(id, "error");
    const { messages } = await api.call<{ messages: { user_message: string; event_id: string }[] }>(
      "GET",
      `/messages?resource_uuid=${id}`,
    );
    assert.equal(messages.length, 1);
    assert.match(messages[0]!.user_message, why);
    assert.match(messages[0]!.event_id, /^VOLUME_VOLUME_005_0\d\d$/);
    await api.delete("volumes", id);
    assert.deepEqual(await readdir(join(service.statePath, "conversion")), []);
  }

  async function readVolume(id: string, lengthBytes: number): Promise<Buffer> {
    return api.whileAttached(id, async (_uri, { connection_info }) => {
      const client = await openExport(service, connection_info.name);
      try {
        const holes = await client.extents(mebibyte, 2 * mebibyte, 1);
        assert.equal(holes[0]?.allocated, false, "zeroes are a hole");
        const pieces: Buffer[] = [];
        for (let at = 0; at < lengthBytes; at += 16 * mebibyte) {
          pieces.push(await readBytes(client, at, Math.min(16 * mebibyte, lengthBytes - at)));
        }
        return Buffer.concat(pieces);
      } finally {
        await client.disconnect();
      }
    });
  }

  /** 1 MiB of noise, 3 MiB of zeroes, noise. */
  function makeDisk(mebibytes: number, seed: number): Buffer {
    const disk = Buffer.alloc(mebibytes * mebibyte);
    noise(seed, mebibyte).copy(disk);
    noise(seed + 1, (mebibytes - 4) * mebibyte).copy(disk, 4 * mebibyte);
    return disk;
  }

  async function withQemu(disk: Buffer, driver: string, ...args: readonly string[]): Promise<Buffer> {
    await writeFile(join(folder, "raw"), disk);
    await runOk("qemu-img", ["convert", "-f", "raw", "-O", driver, ...args, "raw", "image"], { folder });
    return readFile(join(folder, "image"));
  }

  test("a raw image and one of qcow2 become volumes, byte by byte, with what the image says", async () => {
    const disk = makeDisk(8, 1);
    const qcow2 = await withQemu(disk, "qcow2", "-c");
    for (const [bytes, format] of [
      [disk, "raw"],
      [qcow2, "qcow2"],
    ] as const) {
      const imageId = offer(bytes, format, { hw_disk_bus: "scsi" });
      const id = await request(imageId);
      const shown = await waitUntil(id, "available");
      assert.equal(shown.bootable, "true");
      const { volume_image_metadata: metadata = {} } = shown;
      assert.deepEqual(
        [metadata["image_id"], metadata["disk_format"], metadata["size"], metadata["hw_disk_bus"], metadata["min_ram"]],
        [imageId, format, String(bytes.length), "scsi", "64"],
      );
      assert.equal(metadata["signature_verified"], "False");
      assert.ok((await readVolume(id, disk.length)).equals(disk), format);
      await api.delete("volumes", id);
    }
  });

  test("an image is named by id, by the end of a URL, or by its name", async () => {
    const imageId = offer(Buffer.alloc(1000, "x"), "raw", { name: "tiny" });
    for (const reference of [`http://10.0.0.1/v2/images/${imageId}`, "tiny"]) {
      const id = await request(reference);
      await waitUntil(id, "available");
      await api.delete("volumes", id);
    }
    offer(Buffer.alloc(1000), "raw", { name: "tiny" });
    const refused = await api.request("POST", "/volumes", { volume: { size: 1, imageRef: "tiny" } });
    assert.equal(refused.status, 409);
  });

  test("what the request can see is refused by it, and changes nothing", async () => {
    const bytes = Buffer.alloc(1000);
    const refuses = async (imageRef: string, why: RegExp): Promise<void> => {
      const before = (await api.volumes()).length;
      const { status, body } = await api.request("POST", "/volumes", { volume: { size: 1, imageRef } });
      assert.equal(status, 400);
      assert.match(JSON.stringify(body), why);
      assert.equal((await api.volumes()).length, before);
    };
    await refuses(randomUUID(), /Invalid image identifier/);
    await refuses(offer(bytes, "raw", { status: "deactivated" }), /is not active/);
    await refuses(offer(bytes, "raw", { min_disk: 2 }), /minDisk size 2GB/);
    await refuses(offer(bytes, "raw", { size: 2 ** 31 }), /2GB is larger than volume size 1GB/);
    await refuses(offer(bytes, "qcow2", { virtual_size: 2 ** 31 }), /virtual size is 2GB/);
  });

  test("an image that lies, is not supported or is signed ends in an error that says so", async () => {
    const disk = makeDisk(6, 3);
    const qcow2 = await withQemu(disk, "qcow2");
    await fails(offer(qcow2, "raw"), /said to be raw, and is qcow2/);
    await fails(offer(disk, "qcow2"), /said to be qcow2, and is not/);
    const backed = Buffer.from(qcow2);
    backed.writeBigUInt64BE(512n, 8);
    await fails(offer(backed, "qcow2"), /backing file/);
    const bomb = Buffer.from(qcow2);
    bomb.writeBigUInt64BE(2n ** 50n, 24);
    await fails(offer(bomb, "qcow2"), /larger than the volume/);
    await fails(offer(disk, "ploop"), /not supported/);
    await fails(offer(disk, "raw", { os_hash_value: "00" }), /not those of its sha512/);
    await fails(offer(qcow2, "qcow2", { os_hash_algo: null, checksum: "00" }), /not those of its md5/);
    await fails(offer(disk, "raw", { size: disk.length - 1 }), /longer than/);
    await fails(offer(disk, "raw", { img_signature: "x" }), /Image signature verification failed/);
  });

  test("a kill -9 in the middle: it goes on where it was, and the bytes are right", async () => {
    const disk = makeDisk(48, 5);
    serve = serveSlowly;
    const id = await request(offer(disk, "raw"));
    await waitUntil(id, "downloading").catch(() => undefined);
    await untilNoted();
    await service.kill();
    await service.start();
    await waitUntil(id, "available");
    assert.equal(offsets.length, 2);
    assert.ok(offsets[1]! > 0 && offsets[1]! % mebibyte === 0, String(offsets));
    assert.ok((await readVolume(id, disk.length)).equals(disk));
    await api.delete("volumes", id);
  });

  test("another image in a volume with bytes: zeroes where the image has none, raw and qcow2, and after a kill -9", async () => {
    const id = await request(offer(noise(9, 24 * mebibyte), "raw"));
    await waitUntil(id, "available");
    const disk = makeDisk(16, 10);
    const reimage = async (imageId: string): Promise<void> => {
      await api.call("POST", `/volumes/${id}/action`, { "os-reimage": { image_id: imageId } });
    };
    const rest = Buffer.alloc(8 * mebibyte);
    for (const [bytes, format] of [
      [disk, "raw"],
      [await withQemu(disk, "qcow2"), "qcow2"],
    ] as const) {
      await reimage(offer(noise(11, 24 * mebibyte), "raw"));
      await waitUntil(id, "available");
      const imageId = offer(bytes, format);
      await reimage(imageId);
      const shown = await waitUntil(id, "available");
      assert.deepEqual([shown.bootable, shown.volume_image_metadata?.["image_id"]], ["true", imageId]);
      assert.ok((await readVolume(id, 24 * mebibyte)).equals(Buffer.concat([disk, rest])), format);
    }
    await reimage(offer(noise(12, 64 * mebibyte), "raw"));
    await waitUntil(id, "available");
    serve = serveSlowly;
    offsets = [];
    const large = makeDisk(48, 13);
    await reimage(offer(large, "raw"));
    await untilNoted();
    await service.kill();
    await service.start();
    await waitUntil(id, "available");
    assert.ok(offsets.length === 2 && offsets[1]! > 0, String(offsets));
    assert.ok((await readVolume(id, 64 * mebibyte)).equals(Buffer.concat([large, Buffer.alloc(16 * mebibyte)])));
    await api.delete("volumes", id);
  });

  test("a forced delete ends it", async () => {
    serve = serveSlowly;
    const id = await request(offer(makeDisk(48, 7), "raw"));
    for (const deadlineMs = performance.now() + 30_000; offsets.length === 0; await sleep(50)) {
      assert.ok(performance.now() < deadlineMs);
    }
    await api.call("POST", `/volumes/${id}/action`, { "os-force_delete": {} });
    assert.equal((await api.request("GET", `/volumes/${id}`)).status, 404);
    assert.deepEqual(await readdir(join(service.statePath, "conversion")), []);
  });
});
