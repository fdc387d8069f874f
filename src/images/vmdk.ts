// The header of a VMDK image of one sparse file. QEMU takes three ways from such a header to other files, and all are closed:
//
// - a capacity of 0: the embedded descriptor is read as a list of files;
// - a footer, which replaces the header: it must say what the header says;
// - "parentFileNameHint" at byte 512, wherever the header says that the descriptor is: so it must be there.
//
// A descriptor that is a file of its own is never accepted.

import { type BoundedSource, smallEnough, unacceptable } from "./image-source.ts";

const sectorBytes = 512;
const headerBytes = 79;
const descriptorSectorsMax = 128;
/** What QEMU looks through for a parent. */
const parentSectors = 20;
const footerBytes = 3 * sectorBytes;
const atEnd = 0xffffffffffffffffn;
const footerMarker = 3;
/** Where the table of grains is: the one field that header and footer don't share. */
const tableField = { start: 56, end: 64 };

/** Its virtual size; throws image_unacceptable. */
export async function inspectVmdk(source: BoundedSource, allowedTypes: readonly string[]): Promise<number> {
  const header = await source.readSome(0, headerBytes);
  if (header.length < headerBytes || header.toString("latin1", 0, 4) !== "KDMV") {
    throw unacceptable("it is no VMDK image of one sparse file");
  }
  const version = header.readUInt32LE(4);
  if (version < 1 || version > 3) throw unacceptable(`it is of version ${version} of VMDK`);
  const capacity = smallEnough(header.readBigUInt64LE(12) * BigInt(sectorBytes), "its virtual size");
  if (capacity === 0) throw unacceptable("the disk in it is empty");
  if (header.readBigUInt64LE(28) !== 1n) throw unacceptable("its descriptor is not where it should be");
  const sectors = header.readBigUInt64LE(36);
  if (sectors < 1n || sectors > BigInt(descriptorSectorsMax)) throw unacceptable("its descriptor is too long, or not there");
  if (header.readBigUInt64LE(tableField.start) === atEnd) await checkFooter(source, header);
  const looked = Math.max(Number(sectors), parentSectors) * sectorBytes;
  checkDescriptor((await source.readSome(sectorBytes, looked)).toString("latin1"), Number(sectors), allowedTypes);
  return capacity;
}

async function checkFooter(source: BoundedSource, header: Buffer): Promise<void> {
  const differs = unacceptable("its footer is not that of its header");
  if (source.sizeBytes % sectorBytes !== 0 || source.sizeBytes < footerBytes + sectorBytes) throw differs;
  const footer = await source.read(source.sizeBytes - footerBytes, footerBytes);
  const copy = footer.subarray(sectorBytes, sectorBytes + headerBytes);
  const { start, end } = tableField;
  const isSame = copy.subarray(0, start).equals(header.subarray(0, start)) && copy.subarray(end).equals(header.subarray(end));
  if (footer.readUInt32LE(12) !== footerMarker || !isSame || copy.readBigUInt64LE(start) === atEnd) throw differs;
}

/** `text`: from the descriptor's place on, as far as QEMU looks. */
function checkDescriptor(text: string, sectors: number, allowedTypes: readonly string[]): void {
  if (/parentFileNameHint/i.test(text)) throw unacceptable("it has a parent");
  const lines = text
    .slice(0, sectors * sectorBytes)
    .replace(/\0[^]*$/, "")
    .split(/\r?\n/);
  const valuesOf = (key: RegExp): string[] => lines.flatMap((line) => key.exec(line)?.[1] ?? []);
  const parents = valuesOf(/^\s*parentCID\s*=\s*"?([^"]*?)"?\s*$/i);
  if (parents.some((parent) => parent.toLowerCase() !== "ffffffff")) throw unacceptable("it has a parent");
  const types = valuesOf(/^\s*createType\s*=\s*"([^"]*)"\s*$/i);
  if (types.length !== 1) throw unacceptable("its descriptor does not say of which type of VMDK it is");
  if (!allowedTypes.includes(types[0]!)) throw unacceptable("it is of a type of VMDK that is not allowed");
  const extents = valuesOf(/^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\S+)/i);
  if (extents.length !== 1 || extents[0] !== "SPARSE") throw unacceptable("it is not one sparse file");
}
