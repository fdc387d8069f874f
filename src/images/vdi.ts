// The header of a VDI image (VirtualBox): one file, dynamic or static, that is based on no other.

import { type BoundedSource, smallEnough, unacceptable } from "./image-source.ts";

const headerBytes = 456;
const signature = 0xbeda107f;
const version = 0x00010001;
const dynamicType = 1;
const staticType = 2;
const blockBytes = 1024 * 1024;
/** uuid_link and uuid_parent. */
const links = { start: 424, end: 456 };

/** Its virtual size; throws image_unacceptable. */
export async function inspectVdi(source: BoundedSource): Promise<number> {
  const header = await source.readSome(0, headerBytes);
  if (header.length < headerBytes || header.readUInt32LE(64) !== signature) throw unacceptable("it is no VDI image");
  if (header.readUInt32LE(68) !== version) throw unacceptable("it is of another version of VDI than 1.1");
  const type = header.readUInt32LE(76);
  if (type !== dynamicType && type !== staticType) throw unacceptable("it is of a type of VDI that does not stand alone");
  if (header.readUInt32LE(376) !== blockBytes) throw unacceptable("its blocks are not of 1 MiB");
  if (header.subarray(links.start, links.end).some((byte) => byte !== 0)) throw unacceptable("it has a parent");
  const virtualSizeBytes = smallEnough(header.readBigUInt64LE(368), "its virtual size");
  if (virtualSizeBytes === 0) throw unacceptable("the disk in it is empty");
  return virtualSizeBytes;
}
