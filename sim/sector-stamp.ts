// What a simulated write puts into a sector: every sector tells which operation wrote it, and for which place, in all of its
// bytes. So a read can be judged by numbers instead of bytes, and a torn or misplaced sector is known as such.

export const sectorBytes = 512;

/** The operation number of a sector that holds zeroes. */
export const zeroes = 0;
const wordsPerSector = sectorBytes / 4;
const zeroSector = Buffer.alloc(sectorBytes);

/** The bytes that operation `operation` (above 0) writes from sector `first` on. */
export function stampSectors(operation: number, first: number, count: number): Buffer {
  const bytes = Buffer.alloc(count * sectorBytes);
  for (let i = 0; i < count; i++) {
    const start = i * sectorBytes;
    bytes.writeUInt32LE(operation, start);
    bytes.writeUInt32LE(first + i, start + 4);
    for (let word = 2; word < wordsPerSector; word++) {
      bytes.writeUInt32LE(((Math.imul(operation, 0x9e3779b1) ^ Math.imul(first + i, 0x85ebca6b)) + word) >>> 0, start + word * 4);
    }
  }
  return bytes;
}

/** Which operation wrote each sector; -1 for one that no single operation can have left like that. */
export function readStamps(bytes: Buffer, first: number): number[] {
  const operations: number[] = [];
  for (let at = 0; at < bytes.length; at += sectorBytes) {
    const sector = bytes.subarray(at, at + sectorBytes);
    const operation = sector.readUInt32LE(0);
    const place = first + at / sectorBytes;
    const expected = operation === zeroes ? zeroSector : stampSectors(operation, place, 1);
    operations.push(sector.equals(expected) ? operation : -1);
  }
  return operations;
}
