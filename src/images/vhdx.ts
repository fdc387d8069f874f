// The metadata of a VHDX image: no parent, and a virtual size. They are found by the region table that QEMU goes by.

import { type BoundedSource, smallEnough, unacceptable } from "./image-source.ts";

const regionTableOffset = 192 * 1024;
const regionsMax = 2047;
const metadataEntriesMax = 2047;
const regionEntryBytes = 32;
const metadataEntryBytes = 32;

/** As they lie in the file: the first three groups little-endian. */
const guid = {
  metadataRegion: "06a27c8b90479a4bb8fe575f050f886e",
  fileParameters: "3767a1ca36fa434db3b633f0aa44e76b",
  virtualSize: "2442a52f1bcd7648b2115dbed83bf4b8",
  parentLocator: "2d5fd3a80bb34d45abf7d3d84834ab0c",
} as const;

const hasParentFlag = 2;

/** Its virtual size; throws image_unacceptable. */
export async function inspectVhdx(source: BoundedSource): Promise<number> {
  const mark = await source.readSome(0, 8);
  if (mark.toString("latin1") !== "vhdxfile") throw unacceptable("it is no VHDX image");
  const metadataOffset = await findMetadata(source);
  const items = await readItems(source, metadataOffset);
  if (items.has(guid.parentLocator)) throw unacceptable("it has a parent");
  const readItem = async (id: string, lengthBytes: number): Promise<Buffer> => {
    const offset = items.get(id);
    if (offset === undefined) throw unacceptable("its metadata are not complete");
    return source.read(metadataOffset + offset, lengthBytes);
  };
  const parameters = await readItem(guid.fileParameters, 8);
  if ((parameters.readUInt32LE(4) & hasParentFlag) !== 0) throw unacceptable("it has a parent");
  const virtualSizeBytes = smallEnough((await readItem(guid.virtualSize, 8)).readBigUInt64LE(0), "its virtual size");
  if (virtualSizeBytes === 0) throw unacceptable("the disk in it is empty");
  return virtualSizeBytes;
}

async function findMetadata(source: BoundedSource): Promise<number> {
  const head = await source.read(regionTableOffset, 16);
  const count = head.readUInt32LE(8);
  if (head.toString("latin1", 0, 4) !== "regi" || count > regionsMax) throw unacceptable("its regions cannot be read");
  const table = await source.read(regionTableOffset + 16, count * regionEntryBytes);
  const found = entriesOf(table, count, regionEntryBytes).filter((entry) => guidOf(entry) === guid.metadataRegion);
  if (found.length !== 1) throw unacceptable("its metadata are not there, or there twice");
  return smallEnough(found[0]!.readBigUInt64LE(16), "the place of its metadata");
}

/** Offsets within the metadata region, by GUID. */
async function readItems(source: BoundedSource, metadataOffset: number): Promise<Map<string, number>> {
  const head = await source.read(metadataOffset, 32);
  const count = head.readUInt16LE(10);
  if (head.toString("latin1", 0, 8) !== "metadata" || count > metadataEntriesMax)
    throw unacceptable("its metadata cannot be read");
  const table = await source.read(metadataOffset + 32, count * metadataEntryBytes);
  const items = new Map<string, number>();
  for (const entry of entriesOf(table, count, metadataEntryBytes)) {
    if (items.has(guidOf(entry))) throw unacceptable("its metadata contradict themselves");
    items.set(guidOf(entry), entry.readUInt32LE(16));
  }
  return items;
}

function entriesOf(table: Buffer, count: number, entryBytes: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => table.subarray(index * entryBytes, (index + 1) * entryBytes));
}

const guidOf = (entry: Buffer): string => entry.toString("hex", 0, 16);
