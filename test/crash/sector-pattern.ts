// The bytes of a sector, so that any sector tells on its own who wrote it, where, and whether it is whole: the stamp of the
// write, the number of the sector, then 126 words that follow from both. Stamp 0 is a sector of zeroes.
//
//   word  0      1       2 ... 127
//         stamp  sector  mix(stamp, sector, i)

export const sectorBytes = 512;
const sectorWords = sectorBytes / 4;

/** What is found where no write can have left it: torn, of another sector, or foreign bytes. */
export const brokenStamp = -1;

/** `count` sectors from `firstSector` on, written by the write `stamp`. */
export function sectorsOf(stamp: number, firstSector: number, count: number): Buffer {
  const words = new Uint32Array(count * sectorWords);
  for (let index = 0; index < count; index++) {
    const sector = firstSector + index;
    const base = index * sectorWords;
    words[base] = stamp;
    words[base + 1] = sector;
    for (let word = 2; word < sectorWords; word++) words[base + word] = mix(stamp, sector, word);
  }
  return Buffer.from(words.buffer);
}

/** The stamps of the sectors in `bytes`, which were read from `firstSector` on; brokenStamp for what is not whole. */
export function stampsOf(bytes: Buffer, firstSector: number): Int32Array {
  const words = new Uint32Array(new Uint8Array(bytes).buffer); // a copy, for its alignment
  const count = bytes.length / sectorBytes;
  const stamps = new Int32Array(count);
  for (let index = 0; index < count; index++) stamps[index] = stampOf(words, index * sectorWords, firstSector + index);
  return stamps;
}

function stampOf(words: Uint32Array, base: number, sector: number): number {
  const stamp = words[base]!;
  if (stamp === 0) {
    for (let word = 1; word < sectorWords; word++) if (words[base + word] !== 0) return brokenStamp;
    return 0;
  }
  if (words[base + 1] !== sector) return brokenStamp;
  for (let word = 2; word < sectorWords; word++) if (words[base + word] !== mix(stamp, sector, word)) return brokenStamp;
  return stamp;
}

function mix(stamp: number, sector: number, word: number): number {
  const mixed = Math.imul(stamp ^ Math.imul(sector, 0x9e3779b1), 0x85ebca6b) + Math.imul(word, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
