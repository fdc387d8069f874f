// Real input: a file system of real files goes in, is snapshot and cloned, the original is overwritten, and the clone gives
// it back unharmed. And a real guest boots from a clone of a bootable volume, and writes to it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { seededRandom } from "../src/common/random.ts";
import { BlockStorage } from "./harness/block-storage.ts";
import { missingCommand, run, runOk } from "./harness/command.ts";
import { bootGuest, guestCommands, makeGuestDisk } from "./harness/guest.ts";
import { prepareAndiron, type AndironProcess } from "./harness/service.ts";

const mebibyte = 1024 * 1024;
const imageBytes = 640 * mebibyte;
const filesBytes = 500 * mebibyte;

const checkMounted = `nbdfuse "$1" "$2" &
  for i in $(seq 100); do [ -s "$1" ] && break; sleep 0.1; done
  e2fsck -fn "$1"; code=$?
  kill $!; wait; exit $code`;
const checkCopied = 'qemu-img convert -f raw -O raw "$2" "$1" && e2fsck -fn "$1"';

/** sha256 of the first `bytes` of a file. */
async function hashOf(path: string, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { end: bytes - 1, highWaterMark: mebibyte })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** An ext4 image with at least filesBytes of the machine's own files in it, packed into a tree of their own. */
async function makeFileSystem(folder: string): Promise<string> {
  const image = join(folder, "files.ext4");
  const tree = join(folder, "tree");
  // Whole files in the order of their names until there is enough.
  const pick = `mkdir "$2" && cd / &&
    find usr/lib usr/share usr/bin -xdev -type f -size -4M -printf '%s %p\\n' | LC_ALL=C sort -k2 |
    awk -v most="$1" '{ sum += $1; if (sum > most) exit; sub(/^[0-9]+ /, ""); printf "%s%c", $0, 0 }' |
    xargs -0 cp --parents -p -t "$2"`;
  await runOk("bash", ["-c", pick, "bash", String(filesBytes + 10 * mebibyte), tree]);
  const packed = Number((await runOk("du", ["-s", "--apparent-size", "-B1", tree])).split("\t")[0]);
  assert.ok(packed >= filesBytes, `only ${packed} bytes of files were found`);
  const env = { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` };
  await runOk("mke2fs", ["-q", "-t", "ext4", "-d", tree, image, `${imageBytes / mebibyte}M`], { env, timeoutMs: 300_000 });
  await rm(tree, { recursive: true });
  return image;
}

async function writeRandomFile(path: string, bytes: number): Promise<void> {
  const block = seededRandom(1).bytes(4 * mebibyte);
  const file = await open(path, "w");
  for (let offset = 0; offset < bytes; offset += block.length) {
    block.writeUInt32LE(offset / mebibyte, 0);
    await file.write(block, 0, Math.min(block.length, bytes - offset), offset);
  }
  await file.close();
}

/** Whether FUSE works here, tried with a file of our own and no service. */
async function canMount(folder: string): Promise<boolean> {
  const probe = join(folder, "probe");
  await writeFile(probe, "");
  const script = `nbdfuse "$1" --command nbdkit -s memory 1M & for i in $(seq 50); do [ -s "$1" ] && break; sleep 0.1; done
    [ -s "$1" ]; code=$?; kill $!; wait; exit $code`;
  return (await run("bash", ["-c", script, "bash", probe])).code === 0;
}

const missing = await missingCommand(["nbdcopy", "qemu-img", "mke2fs", "e2fsck"]);

describe("real input", { skip: missing !== undefined && `${missing} is not installed`, timeout: 900_000 }, () => {
  let service: AndironProcess;
  let api: BlockStorage;

  before(async () => {
    service = await prepareAndiron();
    await service.start();
    api = new BlockStorage(service);
  });
  after(() => service.dispose());

  test("a file system comes back from a clone after its origin was overwritten", async () => {
    const image = await makeFileSystem(service.folder);
    const expected = await hashOf(image, imageBytes);
    const origin = await api.createVolume({ name: "origin" });
    await api.whileAttached(origin, (uri) => runOk("nbdcopy", ["--flush", image, uri]));
    const snapshot = await api.createSnapshot(origin);
    const clone = await api.createVolume({ name: "clone", snapshot_id: snapshot });
    await rm(image);

    const random = join(service.folder, "random");
    await writeRandomFile(random, imageBytes);
    await api.whileAttached(origin, (uri) => runOk("nbdcopy", ["--flush", random, uri]));
    await rm(random);

    const copy = join(service.folder, "copy");
    await api.whileAttached(clone, (uri) => runOk("nbdcopy", [uri, copy]));
    assert.equal(await hashOf(copy, imageBytes), expected);
    await rm(copy);
    await checkThroughNbd(clone);

    // The snapshot and the origin may go, the service may stop: the clone is whole.
    await api.delete("snapshots", snapshot);
    await api.delete("volumes", origin);
    assert.equal(await service.stop(), 0);
    await service.start();
    await api.whileAttached(clone, (uri) => runOk("qemu-img", ["convert", "-f", "raw", "-O", "raw", uri, copy]));
    assert.equal(await hashOf(copy, imageBytes), expected);
    await rm(copy);
    await api.delete("volumes", clone);
  });

  /** e2fsck on the volume itself where FUSE works, else on a copy that came out through NBD. */
  async function checkThroughNbd(volumeId: string): Promise<void> {
    const file = join(service.folder, "checked");
    await writeFile(file, "");
    const mounted = (await missingCommand(["nbdfuse"])) === undefined && (await canMount(service.folder));
    await api.whileAttached(volumeId, async (uri) => {
      const env = { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` };
      const script = mounted ? checkMounted : checkCopied;
      await runOk("bash", ["-c", script, "bash", file, uri], { env });
    });
    await rm(file);
  }

  const missingForGuest = missingCommand(guestCommands);
  test("a guest boots from a clone of a bootable volume, and its writes stay in the clone", async (context) => {
    const command = await missingForGuest;
    if (command !== undefined) return context.skip(`${command} is not installed`);
    const disk = await makeGuestDisk(service.folder);
    const golden = await api.createVolume({ name: "golden" });
    await api.whileAttached(golden, (uri) => runOk("qemu-img", ["convert", "-n", "-f", "raw", "-O", "raw", disk, uri]));
    await api.call("POST", `/volumes/${golden}/action`, { "os-set_bootable": { bootable: true } });
    const clone = await api.createVolume({ name: "guest", source_volid: golden });
    for (const boots of [1, 2]) {
      const said = await api.whileAttached(clone, bootGuest);
      assert.match(said, /GUEST-RUNS 2097152/);
      assert.match(said, new RegExp(`GUEST-BOOTS ${boots}\\b`));
    }
    const other = await api.createVolume({ name: "other", source_volid: golden });
    assert.match(await api.whileAttached(other, bootGuest), /GUEST-BOOTS 1\b/);
  });
});
