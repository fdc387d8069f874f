// The footer of a VHD image (QEMU calls it vpc), which a dynamic one has at its start too: fixed or dynamic, never differencing.

import { type BoundedSource, smallEnough, unacceptable } from "./image-source.ts";

const footerBytes = 512;
const fixedType = 2;
const dynamicType = 3;
const cookie = "conectix";

/** Its virtual size; throws image_unacceptable. */
export async function inspectVhd(source: BoundedSource): Promise<number> {
  const start = await source.readSome(0, footerBytes);
  if (start.length < footerBytes) throw unacceptable("it is no VHD image");
  if (hasCookie(start)) {
    if (start.readUInt32BE(60) !== dynamicType) throw unacceptable("it is of a type of VHD that does not stand alone");
    await checkDynamicHeader(source, smallEnough(start.readBigUInt64BE(16), "the place of its header"));
    return virtualSizeOf(start);
  }
  const end = await source.read(source.sizeBytes - footerBytes, footerBytes);
  if (!hasCookie(end)) throw unacceptable("it is no VHD image");
  if (end.readUInt32BE(60) !== fixedType) throw unacceptable("it is of a type of VHD that does not stand alone");
  return virtualSizeOf(end);
}

const hasCookie = (footer: Buffer): boolean => footer.toString("latin1", 0, cookie.length) === cookie;

async function checkDynamicHeader(source: BoundedSource, offset: number): Promise<void> {
  const header = await source.read(offset, 1024);
  if (header.toString("latin1", 0, 8) !== "cxsparse") throw unacceptable("its header is not there");
  // parent_unique_id.
  if (header.subarray(40, 56).some((byte) => byte !== 0)) throw unacceptable("it has a parent");
}

/** QEMU goes by the size or by the geometry, depending on who made it: the larger counts. */
function virtualSizeOf(footer: Buffer): number {
  const sizeBytes = smallEnough(footer.readBigUInt64BE(48), "its virtual size");
  const geometryBytes = footer.readUInt16BE(56) * footer[58]! * footer[59]! * 512;
  // The largest geometry stands for everything above it.
  const isLargest = footer.readUInt16BE(56) === 65_535 && footer[58] === 16 && footer[59] === 255;
  const virtualSizeBytes = isLargest ? sizeBytes : Math.max(sizeBytes, geometryBytes);
  if (virtualSizeBytes === 0) throw unacceptable("the disk in it is empty");
  return virtualSizeBytes;
}
