// The header of a qcow2 image: nothing in it may lead QEMU to another file. Its tables are not read, only that the first one is
// in the file: whether they make sense is QEMU's to find out, under limits.

import { type BoundedSource, smallEnough, unacceptable } from "./image-source.ts";

const magic = 0x514649fb;
const headerV2Bytes = 72;
const headerV3BytesMin = 104;
const clusterBitsMin = 9;
const clusterBitsMax = 21;
const firstTableBytesMax = 32 * 1024 * 1024;
const extensionsMax = 64;

/** Dirty (refcounts may be wrong, which reading does not need), compression type, and extended second-level entries. */
const knownFeatures = 0b11001n;
const corruptFeature = 0b10n;
const dataFileFeature = 0b100n;

/** Header extensions that a stand-alone image has no use for. */
const refusedExtensions: ReadonlyMap<number, string> = new Map([
  [0xe2792aca, "it names the format of a backing file"],
  [0x44415441, "it names an external data file"],
  [0x0537be77, "it is encrypted"],
]);

/** Its virtual size; throws image_unacceptable. */
export async function inspectQcow2(source: BoundedSource): Promise<number> {
  const header = await source.readSome(0, headerV3BytesMin + 8);
  if (header.length < headerV2Bytes || header.readUInt32BE(0) !== magic) throw unacceptable("it is no qcow2 image");
  const version = header.readUInt32BE(4);
  if (version !== 2 && version !== 3) throw unacceptable(`it is of version ${version} of qcow`);
  if (header.readBigUInt64BE(8) !== 0n || header.readUInt32BE(16) !== 0) throw unacceptable("it has a backing file");
  if (header.readUInt32BE(32) !== 0) throw unacceptable("it is encrypted");
  const clusterBits = header.readUInt32BE(20);
  if (clusterBits < clusterBitsMin || clusterBits > clusterBitsMax) throw unacceptable("its clusters have no size of qcow2");
  const headerLengthBytes = version === 2 ? headerV2Bytes : checkFeatures(header);
  const clusterBytes = 2 ** clusterBits;
  if (headerLengthBytes > clusterBytes) throw unacceptable("its header is too long");
  await checkExtensions(source, headerLengthBytes, clusterBytes);
  checkFirstTable(source, header, clusterBytes);
  const virtualSizeBytes = smallEnough(header.readBigUInt64BE(24), "its virtual size");
  if (virtualSizeBytes === 0) throw unacceptable("the disk in it is empty");
  return virtualSizeBytes;
}

/** Of version 3: resolves with the length of the header. */
function checkFeatures(header: Buffer): number {
  if (header.length < headerV3BytesMin + 8) throw unacceptable("its header is cut off");
  const features = header.readBigUInt64BE(72);
  if ((features & dataFileFeature) !== 0n) throw unacceptable("it has an external data file");
  if ((features & corruptFeature) !== 0n) throw unacceptable("it is marked as corrupt");
  if ((features & ~knownFeatures) !== 0n) throw unacceptable("it has features that are not known here");
  const lengthBytes = header.readUInt32BE(100);
  if (lengthBytes < headerV3BytesMin || lengthBytes % 8 !== 0) throw unacceptable("its header has no length of qcow2");
  if (lengthBytes > headerV3BytesMin && header[104]! > 1) throw unacceptable("it is compressed in a way that is not known here");
  return lengthBytes;
}

async function checkExtensions(source: BoundedSource, start: number, end: number): Promise<void> {
  let at = start;
  for (let count = 0; at + 8 <= Math.min(end, source.sizeBytes); count++) {
    if (count >= extensionsMax) throw unacceptable("its header is too long");
    const entry = await source.read(at, 8);
    const type = entry.readUInt32BE(0);
    if (type === 0) return;
    const refused = refusedExtensions.get(type);
    if (refused !== undefined) throw unacceptable(refused);
    const lengthBytes = entry.readUInt32BE(4);
    if (at + 8 + lengthBytes > end) throw unacceptable("its header is too long");
    at += 8 + Math.ceil(lengthBytes / 8) * 8;
  }
}

function checkFirstTable(source: BoundedSource, header: Buffer, clusterBytes: number): void {
  const sizeBytes = header.readUInt32BE(36) * 8;
  const offset = smallEnough(header.readBigUInt64BE(40), "the place of its first table");
  const isInside = offset % clusterBytes === 0 && offset + sizeBytes <= source.sizeBytes;
  if (sizeBytes > firstTableBytesMax || !isInside) throw unacceptable("its first table is not in the file");
}
