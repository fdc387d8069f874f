// What is accepted as an image and what is not: honest images, each lie by itself, and bytes by chance.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AndironError } from "../common/errors.ts";
import {
  craftQcow2,
  craftVdi,
  craftVhd,
  craftVhdx,
  craftVmdk,
  craftedSizeBytes,
  sourceOf,
  vmdkDescriptor,
} from "./crafted-images.fixture.ts";
import { type Inspected, checkCopiedHead, inspectImage, wayOf } from "./inspection.ts";

const rules = { vmdkAllowedTypes: ["monolithicSparse", "streamOptimized"] };
const inspect = (bytes: Buffer, format: string): Promise<Inspected> => inspectImage(sourceOf(bytes), format, rules);

const refusal =
  (why: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof AndironError && error.code === "image_unacceptable", String(error));
    assert.match(error.message, why);
    return true;
  };

async function refuses(bytes: Buffer, format: string, why: RegExp): Promise<void> {
  await assert.rejects(inspect(bytes, format), refusal(why));
}

/** The image with a change. */
function but(image: Buffer, change: (image: Buffer) => void): Buffer {
  change(image);
  return image;
}

const honest: readonly (readonly [format: string, driver: string, make: () => Buffer])[] = [
  ["qcow2", "qcow2", () => craftQcow2()],
  ["qcow2", "qcow2", () => craftQcow2([], 2)],
  ["qcow2", "qcow2", () => craftQcow2([[0x6803f857, Buffer.alloc(48)]])],
  ["vmdk", "vmdk", () => craftVmdk()],
  ["vmdk", "vmdk", () => craftVmdk(vmdkDescriptor.replace("monolithicSparse", "streamOptimized"), true)],
  ["vdi", "vdi", () => craftVdi()],
  ["vhd", "vpc", () => craftVhd("fixed")],
  ["vhd", "vpc", () => craftVhd("dynamic")],
  ["vhdx", "vhdx", () => craftVhdx()],
];

test("an honest image is accepted as what it is, and as nothing else", async () => {
  for (const [format, driver, make] of honest) {
    assert.deepEqual(await inspect(make(), format), { driver, virtualSizeBytes: craftedSizeBytes }, format);
    const others = ["qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso"].filter((other) => other !== format);
    for (const other of others) await refuses(make(), other, /./);
  }
});

test("raw is whatever bears the mark of nothing else", async () => {
  const bytes = Buffer.alloc(70_000, "x");
  assert.deepEqual(await inspect(bytes, "raw"), { driver: "raw", virtualSizeBytes: 70_000 });
  assert.deepEqual(await inspect(Buffer.alloc(0), "raw"), { driver: "raw", virtualSizeBytes: 0 });
  for (const [format, , make] of honest.filter(([, , made]) => made().length !== craftedSizeBytes + 512)) {
    await refuses(make(), "raw", new RegExp(`said to be raw, and is ${format}`));
  }
  for (const text of [
    vmdkDescriptor,
    ` \n# disk descriptorfile\n`,
    "# a comment\n\nversion=1\n",
    "QED\0",
    "COWD",
    "version=2\r\n",
  ]) {
    await refuses(Buffer.from(text), "raw", /said to be raw/);
  }
  assert.throws(() => checkCopiedHead("iso", craftQcow2()), refusal(/said to be iso, and is qcow2/));
});

test("an iso bears the mark of one", async () => {
  const bytes = Buffer.alloc(40_000);
  await refuses(bytes, "iso", /said to be iso, and is not/);
  bytes.write("CD001", 32_769);
  assert.equal((await inspect(bytes, "iso")).virtualSizeBytes, 40_000);
  craftQcow2().copy(bytes, 0, 0, 1000);
  await refuses(bytes, "iso", /is qcow2/);
});

test("qcow2: what leads to another file, or is not known, is refused", async () => {
  const changed = (change: (image: Buffer) => void): Buffer => but(craftQcow2(), change);
  await refuses(
    changed((image) => image.writeBigUInt64BE(512n, 8)),
    "qcow2",
    /backing file/,
  );
  await refuses(
    changed((image) => image.writeUInt32BE(11, 16)),
    "qcow2",
    /backing file/,
  );
  await refuses(
    changed((image) => image.writeBigUInt64BE(4n, 72)),
    "qcow2",
    /external data file/,
  );
  await refuses(
    changed((image) => image.writeBigUInt64BE(2n, 72)),
    "qcow2",
    /corrupt/,
  );
  await refuses(
    changed((image) => image.writeBigUInt64BE(1n << 63n, 72)),
    "qcow2",
    /not known/,
  );
  await refuses(
    changed((image) => image.writeUInt32BE(1, 32)),
    "qcow2",
    /encrypted/,
  );
  await refuses(
    changed((image) => image.writeUInt32BE(1, 4)),
    "qcow2",
    /version 1/,
  );
  for (const bits of [8, 22, 2 ** 31])
    await refuses(
      changed((image) => image.writeUInt32BE(bits, 20)),
      "qcow2",
      /clusters/,
    );
  await refuses(
    changed((image) => image.writeUInt32BE(2 ** 31, 36)),
    "qcow2",
    /first table/,
  );
  await refuses(
    changed((image) => image.writeBigUInt64BE(0x40000n, 40)),
    "qcow2",
    /first table/,
  );
  await refuses(
    changed((image) => image.writeBigUInt64BE(2n ** 63n, 40)),
    "qcow2",
    /beyond all measure/,
  );
  await refuses(
    changed((image) => image.writeBigUInt64BE(2n ** 63n, 24)),
    "qcow2",
    /beyond all measure/,
  );
  await refuses(
    changed((image) => image.writeBigUInt64BE(0n, 24)),
    "qcow2",
    /empty/,
  );
  await refuses(
    changed((image) => image.writeUInt32BE(2 ** 31, 100)),
    "qcow2",
    /too long/,
  );
  await refuses(craftQcow2().subarray(0, 90), "qcow2", /cut off/);
});

test("qcow2: header extensions are looked through, to their end and no farther", async () => {
  const named = Buffer.from("/etc/shadow");
  const harmless = [0x6803f857, Buffer.alloc(3)] as const;
  await refuses(craftQcow2([harmless, [0x44415441, named]]), "qcow2", /external data file/);
  await refuses(craftQcow2([harmless, [0xe2792aca, named]]), "qcow2", /backing file/);
  await refuses(craftQcow2([[0x0537be77, Buffer.alloc(16)]]), "qcow2", /encrypted/);
  await refuses(craftQcow2([[0x44415441, named]], 2), "qcow2", /external data file/);
  await refuses(craftQcow2(Array(100).fill(harmless)), "qcow2", /too long/);
  await refuses(
    but(craftQcow2([harmless]), (image) => image.writeUInt32BE(2 ** 32 - 1, 108)),
    "qcow2",
    /too long/,
  );
  assert.equal((await inspect(craftQcow2([harmless, [0, named], [0x44415441, named]]), "qcow2")).driver, "qcow2");
});

test("vmdk: every way to another file is closed", async () => {
  const changed = (change: (image: Buffer) => void, footed = false): Buffer => but(craftVmdk(vmdkDescriptor, footed), change);
  await refuses(
    changed((image) => image.writeBigUInt64LE(0n, 12)),
    "vmdk",
    /empty/,
  );
  await refuses(
    changed((image) => image.writeBigUInt64LE(2n, 28)),
    "vmdk",
    /not where it should be/,
  );
  await refuses(
    changed((image) => image.writeBigUInt64LE(0n, 36)),
    "vmdk",
    /too long, or not there/,
  );
  await refuses(
    changed((image) => image.writeBigUInt64LE(2n ** 50n, 36)),
    "vmdk",
    /too long, or not there/,
  );
  await refuses(
    changed((image) => image.writeUInt32LE(4, 4)),
    "vmdk",
    /version 4/,
  );
  await refuses(
    changed((image) => image.write('parentFileNameHint="/etc/shadow"', 512 + 9000, "latin1")),
    "vmdk",
    /parent/,
  );
  await refuses(Buffer.from(vmdkDescriptor), "vmdk", /no VMDK image of one sparse file/);
  const withText = (from: string, to: string): Buffer => craftVmdk(vmdkDescriptor.replace(from, to));
  await refuses(withText("ffffffff", "12345678"), "vmdk", /parent/);
  await refuses(withText("monolithicSparse", "monolithicFlat"), "vmdk", /not allowed/);
  await refuses(withText("createType", "createtypo"), "vmdk", /does not say/);
  await refuses(withText("RW 10240 SPARSE", "RW 10240 FLAT"), "vmdk", /one sparse file/);
  await refuses(withText('"disk.vmdk"\n', '"disk.vmdk"\nRW 1 FLAT "/etc/shadow" 0\n'), "vmdk", /one sparse file/);
  await assert.rejects(inspectImage(sourceOf(craftVmdk()), "vmdk", { vmdkAllowedTypes: [] }), refusal(/not allowed/));
});

test("vmdk: a footer says what the header says", async () => {
  const footer = 64 * 1024 - 3 * 512;
  const changed = (change: (image: Buffer) => void): Buffer => but(craftVmdk(vmdkDescriptor, true), change);
  assert.equal(
    (
      await inspect(
        changed(() => undefined),
        "vmdk",
      )
    ).virtualSizeBytes,
    craftedSizeBytes,
  );
  for (const at of [0, 4, 12, 28, 36, 64, 77]) {
    await refuses(
      changed((image) => (image[footer + 512 + at]! ^= 1)),
      "vmdk",
      /footer/,
    );
  }
  await refuses(
    changed((image) => image.writeUInt32LE(0, footer + 12)),
    "vmdk",
    /footer/,
  );
  await refuses(
    changed((image) => image.writeBigUInt64LE(0xffffffffffffffffn, footer + 512 + 56)),
    "vmdk",
    /footer/,
  );
  await refuses(changed(() => undefined).subarray(0, footer + 700), "vmdk", /footer/);
});

test("vdi, vhd, vhdx: none with a parent, or of another kind", async () => {
  await refuses(
    but(craftVdi(), (image) => image.fill(1, 430, 431)),
    "vdi",
    /parent/,
  );
  await refuses(
    but(craftVdi(), (image) => image.fill(1, 455, 456)),
    "vdi",
    /parent/,
  );
  await refuses(
    but(craftVdi(), (image) => image.writeUInt32LE(4, 76)),
    "vdi",
    /stand alone/,
  );
  await refuses(
    but(craftVdi(), (image) => image.writeUInt32LE(512, 376)),
    "vdi",
    /1 MiB/,
  );
  await refuses(
    but(craftVhd("dynamic"), (image) => image.writeUInt32BE(4, 60)),
    "vhd",
    /stand alone/,
  );
  await refuses(
    but(craftVhd("dynamic"), (image) => image.fill(1, 552, 553)),
    "vhd",
    /parent/,
  );
  await refuses(
    but(craftVhd("dynamic"), (image) => image.writeBigUInt64BE(2n ** 40n, 16)),
    "vhd",
    /outside/,
  );
  await refuses(
    but(craftVhd("fixed"), (image) => image.writeUInt32BE(3, craftedSizeBytes + 60)),
    "vhd",
    /stand alone/,
  );
  await refuses(Buffer.alloc(2048), "vhd", /no VHD image/);
  await refuses(craftVhdx(2), "vhdx", /parent/);
  const metadata = 1024 * 1024;
  const locator = "2d5fd3a80bb34d45abf7d3d84834ab0c";
  await refuses(
    but(craftVhdx(), (image) => image.write(locator, metadata + 32, "hex")),
    "vhdx",
    /parent/,
  );
  await refuses(
    but(craftVhdx(), (image) => image.copy(image, metadata + 64, metadata + 32, metadata + 48)),
    "vhdx",
    /contradict/,
  );
  await refuses(
    but(craftVhdx(), (image) => image.writeUInt32LE(2 ** 31, 192 * 1024 + 8)),
    "vhdx",
    /regions/,
  );
});

test("a geometry larger than the size counts", async () => {
  const image = but(craftVhd("fixed"), (bytes) => {
    bytes.writeUInt16BE(1000, craftedSizeBytes + 56);
    bytes.fill(16, craftedSizeBytes + 58, craftedSizeBytes + 60);
  });
  assert.equal((await inspect(image, "vhd")).virtualSizeBytes, 1000 * 16 * 16 * 512);
});

test("formats and containers that are not supported", () => {
  assert.deepEqual(
    [wayOf("raw", "bare"), wayOf("iso", null), wayOf("qcow2", "bare"), wayOf("vmdk", "ovf")],
    ["copied", "copied", "converted", "converted"],
  );
  for (const [disk, container] of [
    ["raw", "compressed"],
    ["qcow2", "docker"],
    ["ploop", "bare"],
    [null, "bare"],
    ["toString", "bare"],
  ] as const) {
    assert.throws(() => wayOf(disk, container), refusal(/not supported/));
  }
});

test("whatever is changed in an image, it is judged within bounds", async () => {
  const flips = fc.array(fc.tuple(fc.nat(1200), fc.nat(255)), { minLength: 1, maxLength: 12 });
  const image = fc.constantFrom(...honest.map(([format, , make]) => [format, make] as const));
  await fc.assert(
    fc.asyncProperty(image, flips, fc.nat(3), fc.nat(2000), async ([format, make], changes, place, length) => {
      const whole = make();
      const starts = [0, 512, 192 * 1024, whole.length - 1600];
      for (const [at, value] of changes) {
        const offset = Math.min(Math.max(0, starts[place]! + at), whole.length - 1);
        whole[offset] = value;
      }
      const bytes = length < 200 ? whole.subarray(0, length * 10) : whole;
      let readBytes = 0;
      const source = {
        sizeBytes: bytes.length,
        read: async (offset: number, lengthBytes: number) => {
          assert.ok(offset >= 0 && lengthBytes >= 0 && offset + lengthBytes <= bytes.length, `${offset} ${lengthBytes}`);
          readBytes += lengthBytes;
          return bytes.subarray(offset, offset + lengthBytes);
        },
      };
      try {
        const { virtualSizeBytes } = await inspectImage(source, format, rules);
        assert.ok(Number.isSafeInteger(virtualSizeBytes) && virtualSizeBytes > 0);
      } catch (error) {
        refusal(/./)(error);
      }
      assert.ok(readBytes <= 1024 * 1024);
    }),
    { numRuns: 400 },
  );
});
