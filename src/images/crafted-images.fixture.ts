// Small images of every format, made byte by byte, honest as they stand: tests change a field and see it noticed.

import type { ImageSource } from "./image-source.ts";

export const mebibyte = 1024 * 1024;
export const craftedSizeBytes = 5 * mebibyte;

export const sourceOf = (bytes: Buffer): ImageSource => ({
  sizeBytes: bytes.length,
  read: async (offset, lengthBytes) => Buffer.from(bytes.subarray(offset, offset + lengthBytes)),
});

/** `extensions`: type and data of each. */
export function craftQcow2(extensions: readonly (readonly [number, Buffer])[] = [], version = 3): Buffer {
  const image = Buffer.alloc(256 * 1024);
  image.writeUInt32BE(0x514649fb, 0);
  image.writeUInt32BE(version, 4);
  image.writeUInt32BE(16, 20);
  image.writeBigUInt64BE(BigInt(craftedSizeBytes), 24);
  image.writeUInt32BE(1, 36);
  image.writeBigUInt64BE(0x30000n, 40);
  image.writeBigUInt64BE(0x10000n, 48);
  image.writeUInt32BE(1, 56);
  if (version === 3) {
    image.writeUInt32BE(4, 96);
    image.writeUInt32BE(104, 100);
  }
  let at = version === 3 ? 104 : 72;
  for (const [type, data] of extensions) {
    image.writeUInt32BE(type, at);
    image.writeUInt32BE(data.length, at + 4);
    data.copy(image, at + 8);
    at += 8 + Math.ceil(data.length / 8) * 8;
  }
  return image;
}

export const vmdkDescriptor = [
  "# Disk DescriptorFile",
  "version=1",
  "CID=12345678",
  "parentCID=ffffffff",
  'createType="monolithicSparse"',
  "",
  "# Extent description",
  'RW 10240 SPARSE "disk.vmdk"',
  "",
  'ddb.adapterType = "ide"',
  "",
].join("\n");

/** With a footer when `footed`. */
export function craftVmdk(descriptor = vmdkDescriptor, footed = false): Buffer {
  const image = Buffer.alloc(64 * 1024);
  const writeHeader = (at: number, table: bigint): void => {
    image.write("KDMV", at, "latin1");
    image.writeUInt32LE(footed ? 3 : 1, at + 4);
    image.writeUInt32LE(3, at + 8);
    image.writeBigUInt64LE(BigInt(craftedSizeBytes / 512), at + 12);
    image.writeBigUInt64LE(128n, at + 20);
    image.writeBigUInt64LE(1n, at + 28);
    image.writeBigUInt64LE(20n, at + 36);
    image.writeUInt32LE(512, at + 44);
    image.writeBigUInt64LE(21n, at + 48);
    image.writeBigUInt64LE(table, at + 56);
    image.writeBigUInt64LE(128n, at + 64);
    image.write("\n \r\n", at + 73, "latin1");
  };
  writeHeader(0, footed ? 0xffffffffffffffffn : 26n);
  image.write(descriptor, 512, "latin1");
  if (footed) {
    const footer = image.length - 3 * 512;
    image.writeUInt32LE(3, footer + 12);
    writeHeader(footer + 512, 26n);
  }
  return image;
}

export function craftVdi(): Buffer {
  const image = Buffer.alloc(4096);
  image.writeUInt32LE(0xbeda107f, 64);
  image.writeUInt32LE(0x00010001, 68);
  image.writeUInt32LE(1, 76);
  image.writeBigUInt64LE(BigInt(craftedSizeBytes), 368);
  image.writeUInt32LE(mebibyte, 376);
  return image;
}

export function craftVhd(kind: "fixed" | "dynamic"): Buffer {
  const image = Buffer.alloc(kind === "fixed" ? craftedSizeBytes + 512 : 4096);
  const writeFooter = (at: number): void => {
    image.write("conectix", at, "latin1");
    image.writeBigUInt64BE(kind === "fixed" ? 0xffffffffffffffffn : 512n, at + 16);
    image.writeBigUInt64BE(BigInt(craftedSizeBytes), at + 48);
    image.writeUInt32BE(kind === "fixed" ? 2 : 3, at + 60);
  };
  writeFooter(image.length - 512);
  if (kind === "dynamic") {
    writeFooter(0);
    image.write("cxsparse", 512, "latin1");
  }
  return image;
}

export function craftVhdx(flags = 0): Buffer {
  const image = Buffer.alloc(mebibyte + 256 * 1024);
  const [regions, metadata] = [192 * 1024, mebibyte];
  image.write("vhdxfile", 0, "latin1");
  image.write("regi", regions, "latin1");
  image.writeUInt32LE(1, regions + 8);
  image.write("06a27c8b90479a4bb8fe575f050f886e", regions + 16, "hex");
  image.writeBigUInt64LE(BigInt(metadata), regions + 32);
  image.write("metadata", metadata, "latin1");
  image.writeUInt16LE(2, metadata + 10);
  image.write("3767a1ca36fa434db3b633f0aa44e76b", metadata + 32, "hex");
  image.writeUInt32LE(64 * 1024, metadata + 48);
  image.write("2442a52f1bcd7648b2115dbed83bf4b8", metadata + 64, "hex");
  image.writeUInt32LE(64 * 1024 + 8, metadata + 80);
  image.writeUInt32LE(flags, metadata + 64 * 1024 + 4);
  image.writeBigUInt64LE(BigInt(craftedSizeBytes), metadata + 64 * 1024 + 8);
  return image;
}
