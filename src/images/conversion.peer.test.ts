// Images made by the real qemu-img: inspected as it sees them, and converted onto a device by it, under limits. What it makes
// that refers to other files is refused; and were it not, nothing of those files would be read.

import assert from "node:assert/strict";
import { chmod, copyFile, mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { missingCommand, runOk } from "../../test/harness/command.ts";
import { systemClock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import { seededRandom } from "../common/random.ts";
import { RamDevice } from "../nbd/ram-device.test.ts";
import { isRoot } from "./confined-process.ts";
import { type ConversionOptions, convertImage, cpuSecondsFor, imageFileName } from "./conversion.ts";
import type { ImageSource } from "./image-source.ts";
import { type Inspected, inspectImage } from "./inspection.ts";

const missing = await missingCommand(["qemu-img", "prlimit", "setpriv"]);
const options = { skip: missing !== undefined && `${missing} is not installed`, timeout: 300_000 };
const mebibyte = 1024 * 1024;
const sizeBytes = 8 * mebibyte;
const rules = { vmdkAllowedTypes: ["monolithicSparse", "streamOptimized"] };

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "andiron-conversion-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** 8 MiB: noise, a hole of 5 MiB, noise. */
async function makeRaw(folder: string): Promise<Buffer> {
  const bytes = Buffer.alloc(sizeBytes);
  seededRandom(3).bytes(mebibyte).copy(bytes);
  seededRandom(4)
    .bytes(2 * mebibyte)
    .copy(bytes, 6 * mebibyte);
  await writeFile(join(folder, "raw"), bytes);
  return bytes;
}

async function inspect(path: string, format: string): Promise<Inspected> {
  const file = await open(path);
  try {
    const source: ImageSource = {
      sizeBytes: (await file.stat()).size,
      read: async (offset, lengthBytes) => (await file.read(Buffer.alloc(lengthBytes), 0, lengthBytes, offset)).buffer,
    };
    return await inspectImage(source, format, rules);
  } finally {
    await file.close();
  }
}

async function convert(
  image: Inspected,
  folder: string,
  device: RamDevice,
  change: Partial<ConversionOptions> = {},
): Promise<void> {
  await convertImage({
    folder,
    image,
    device,
    cpuSecondsPerGib: 60,
    addressSpaceBytesMax: 1024 * mebibyte,
    wallMsMax: 120_000,
    signal: new AbortController().signal,
    clock: systemClock,
    ...change,
  });
}

const qemuImg = (folder: string, ...args: readonly string[]): Promise<string> => runOk("qemu-img", args, { folder });

test(
  "what qemu-img makes is seen as it sees it, and comes onto the device byte by byte, without its holes",
  options,
  async (t) => {
    const folder = await makeFolder(t);
    const raw = await makeRaw(folder);
    const kinds: readonly (readonly [format: string, driver: string, ...args: string[]])[] = [
      ["raw", "raw"],
      ["qcow2", "qcow2"],
      ["qcow2", "qcow2", "-c", "-o", "compression_type=zstd,extended_l2=on,cluster_size=65536"],
      ["qcow2", "qcow2", "-o", "compat=0.10"],
      ["vmdk", "vmdk", "-o", "subformat=monolithicSparse"],
      ["vmdk", "vmdk", "-o", "subformat=streamOptimized"],
      ["vdi", "vdi"],
      ["vdi", "vdi", "-o", "static=on"],
      ["vhd", "vpc", "-o", "force_size=on"],
      ["vhd", "vpc", "-o", "subformat=fixed,force_size=on"],
      ["vhdx", "vhdx"],
    ];
    for (const [format, driver, ...args] of kinds) {
      await rm(join(folder, imageFileName), { force: true });
      await qemuImg(folder, "convert", "-f", "raw", "-O", driver, ...args, "raw", imageFileName);
      const image = await inspect(join(folder, imageFileName), format);
      const seen = JSON.parse(await qemuImg(folder, "info", "--output=json", "-f", driver, imageFileName)) as object;
      assert.deepEqual(
        image,
        { driver, virtualSizeBytes: "virtual-size" in seen && seen["virtual-size"] },
        `${format} ${args.join(" ")}`,
      );
      const device = new RamDevice(sizeBytes + mebibyte);
      await convert(image, folder, device);
      assert.ok(device.bytes.subarray(0, sizeBytes).equals(raw), `${format} ${args.join(" ")}`);
      assert.ok(device.bytes.subarray(sizeBytes).every((byte) => byte === 0));
      assert.equal(
        device.clusters.reduce((sum, one) => sum + one, 0),
        (3 * mebibyte) / 4096,
        `${format} ${args.join(" ")}`,
      );
      assert.ok(device.calls.includes("flush"));
      await assert.rejects(convert(image, folder, new RamDevice(sizeBytes - 4096)), /larger than the volume/);
    }
  },
);

test("what refers to other files is refused", options, async (t) => {
  const folder = await makeFolder(t);
  await makeRaw(folder);
  const refuses = async (format: string, name: string, why: RegExp): Promise<void> => {
    await assert.rejects(inspect(join(folder, name), format), (error: unknown) => {
      assert.ok(error instanceof AndironError && error.code === "image_unacceptable", String(error));
      assert.match(error.message, why, name);
      return true;
    });
  };
  const create = (name: string, ...args: readonly string[]): Promise<string> =>
    qemuImg(folder, "create", "-q", ...args, name, "8M");
  await create("backed", "-f", "qcow2", "-b", "raw", "-F", "raw");
  await refuses("qcow2", "backed", /backing file/);
  await create("outside", "-f", "qcow2", "-o", "data_file=raw2,data_file_raw=on");
  await refuses("qcow2", "outside", /external data file/);
  // The older of its two ways to encrypt: for the other one qemu-img times a key derivation, and sometimes fails at that.
  await create("secret", "--object", "secret,id=s,data=x", "-f", "qcow2", "-o", "encrypt.format=aes,encrypt.key-secret=s");
  await refuses("qcow2", "secret", /encrypted/);
  const header = await readFile(join(folder, "secret"));
  header.writeUInt32BE(2, 32); // LUKS
  await writeFile(join(folder, "luks"), header);
  await refuses("qcow2", "luks", /encrypted/);
  for (const subformat of ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"]) {
    await create(`${subformat}.vmdk`, "-f", "vmdk", "-o", `subformat=${subformat}`);
    await refuses("vmdk", `${subformat}.vmdk`, /is not|no VMDK image/);
    await refuses("raw", `${subformat}.vmdk`, /said to be raw, and is vmdk/);
  }
  await create("base.vmdk", "-f", "vmdk");
  await create("child.vmdk", "-f", "vmdk", "-b", "base.vmdk", "-F", "vmdk");
  await refuses("vmdk", "child.vmdk", /parent/);
  for (const format of ["qed", "qcow", "parallels", "qcow2", "vdi", "vhdx"]) {
    await create(`other.${format}`, "-f", format);
    await refuses("raw", `other.${format}`, /said to be raw/);
  }
});

test("were a backing file not noticed, it would still not be read", options, async (t) => {
  const folder = await makeFolder(t);
  await makeRaw(folder);
  await qemuImg(folder, "create", "-q", "-f", "qcow2", "-b", join(folder, "raw"), "-F", "raw", imageFileName);
  const device = new RamDevice(sizeBytes);
  await convert({ driver: "qcow2", virtualSizeBytes: sizeBytes }, folder, device);
  assert.ok(device.bytes.every((byte) => byte === 0));
  const flat = Buffer.from(await readFile(join(folder, "raw")));
  assert.ok(!flat.equals(device.bytes));
});

test("a damaged image is refused with what qemu-img says, and its device's failures are its device's", options, async (t) => {
  const folder = await makeFolder(t);
  await makeRaw(folder);
  await qemuImg(folder, "convert", "-f", "raw", "-O", "qcow2", "raw", imageFileName);
  const failing = new RamDevice(sizeBytes);
  failing.failure = new AndironError("owner_unreachable", "the volume is gone");
  await assert.rejects(convert({ driver: "qcow2", virtualSizeBytes: sizeBytes }, folder, failing), /the volume is gone/);
  const file = await open(join(folder, imageFileName), "r+");
  const header = (await file.read(Buffer.alloc(48), 0, 48, 0)).buffer;
  const table = Number(header.readBigUInt64BE(40));
  await file.write(Buffer.from("8000000000030200", "hex"), 0, 8, table); // a second-level table that is not aligned
  await file.close();
  await assert.rejects(
    convert({ driver: "qcow2", virtualSizeBytes: sizeBytes }, folder, new RamDevice(sizeBytes)),
    /qemu-img cannot/,
  );
});

test("the process is nobody, with little of everything, and ends when told", options, async (t) => {
  const folder = await makeFolder(t);
  await makeRaw(folder);
  await copyFile(join(folder, "raw"), join(folder, imageFileName));
  const image: Inspected = { driver: "raw", virtualSizeBytes: sizeBytes };
  const withScript = async (lines: string, change: Partial<ConversionOptions> = {}): Promise<void> => {
    await writeFile(join(folder, "program"), `#!/bin/sh\n${lines}\n`);
    await chmod(join(folder, "program"), 0o755);
    await convert(image, folder, new RamDevice(sizeBytes), { program: "./program", ...change });
  };
  const says = async (lines: string, expected: RegExp): Promise<void> => {
    await assert.rejects(withScript(`{ ${lines}; } >&2; exit 3`), expected);
  };
  await says("id -u; id -G", isRoot() ? /cannot read it: 65534 65534$/ : /cannot read it: \d+/);
  await says("env | grep -c .", /cannot read it: [0-5]$/);
  await says("ulimit -v; ulimit -t; ulimit -c; ulimit -f", /cannot read it: 1048576 60 0 0$/);
  await says("grep -E 'NoNewPrivs|CapBnd' /proc/self/status | tr -d '\\t'", isRoot() ? /CapBnd:0+ NoNewPrivs:1/ : /NoNewPrivs:1/);
  if (isRoot()) await says("echo x > file || echo refused", /refused/);
  await says("yes | head -c 100000", /^.{300,400}$/);
  await assert.rejects(withScript("while :; do :; done", { cpuSecondsPerGib: 1 }), /takes too long/);
  await assert.rejects(withScript("exec sleep 1000", { wallMsMax: 300 }), /takes too long/);
  await assert.rejects(withScript("kill -ABRT $$"), { code: "image_unacceptable" });
  await assert.rejects(withScript("kill -KILL $$"), { code: "overloaded" });
  const noThread = "qemu: qemu_thread_create: Resource temporarily unavailable";
  await assert.rejects(withScript(`echo "${noThread}" >&2; kill -ABRT $$`), { code: "overloaded", message: /thread_create/ });
  const notRun = "setpriv: failed to execute qemu-img: Cannot allocate memory";
  await assert.rejects(withScript(`echo "${notRun}" >&2; exit 126`), { code: "overloaded" });
  const controller = new AbortController();
  const running = withScript("exec sleep 1000", { signal: controller.signal });
  setTimeout(() => controller.abort(new Error("told to")), 300);
  await assert.rejects(running, /told to/);
  await assert.rejects(convert(image, folder, new RamDevice(sizeBytes), { program: "./not-there" }), /cannot be run/);
  await assert.rejects(stat(join(folder, "nbd.sock")));
});

test("the time of a conversion grows with the disk in it, from a GiB on", () => {
  const gibibyte = 1024 * mebibyte;
  assert.deepEqual(
    [1, gibibyte, 1.5 * gibibyte, 1024 * gibibyte].map((sizeBytes) => cpuSecondsFor(sizeBytes, 60)),
    [60, 60, 90, 61_440],
  );
});
