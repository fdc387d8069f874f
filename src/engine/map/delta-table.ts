// The hash of a delta: from a cluster to its place, 16 bytes a slot. It grows in parts, so that no put ever waits for a whole
// table to be copied, and what is given back goes in small pieces.
//
//     first bits of the hash ──► directory ──► part: open addressing by the last bits, at most 4096 slots (64 KiB)
//
// - A full part doubles; at its largest it splits by the next bit of the hash, and the directory doubles when it must.
// - The hash is a permutation of the clusters: parts always split, whatever clusters a guest writes.
// - A position says part and slot, and is good until the next change.

/** Words of a slot, all in one line of the processor's cache: who looks for an entry waits for memory once. */
const fields = { handle: 0, cluster: 1, offset: 2, crc: 3 } as const;
const slotWords = 4;
const slotShift = 2;
const slotsMin = 64;
const slotBits = 12;
const slotsMax = 1 << slotBits;

const emptySlot = 0;
const deletedSlot = 0xffff_fffe;

interface Part {
  readonly number: number;
  /** Of so many slots; handle 0: never used. */
  readonly words: Uint32Array;
  readonly slots: number;
  /** Slots that are not empty, those of removed entries included. */
  used: number;
  count: number;
  /** How many bits of the hash its entries have in common. */
  readonly depth: number;
}

const newPart = (number: number, slots: number, depth: number): Part => ({
  number,
  words: new Uint32Array(slots * slotWords),
  slots,
  used: 0,
  count: 0,
  depth,
});

/** Of the part that is being split. */
const splitting = new Uint32Array(slotsMax * slotWords);

export class DeltaTable {
  #parts: Part[] = [newPart(0, slotsMin, 0)];
  /** Parts by the first bits of the hash. */
  #directory: Part[] = [this.#parts[0]!, this.#parts[0]!];
  /** The same, as find() wants it: the words of each part alone. */
  #words: Uint32Array[] = this.#directory.map(({ words }) => words);
  #depth = 1;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Slots that a pass over all of them looks at. */
  get slotCount(): number {
    return this.#parts.reduce((sum, part) => sum + part.slots, 0);
  }

  /** Makes room for as many entries as are to come, if there are none yet: then no part has to be split for them. */
  reserve(count: number): void {
    if (this.#count > 0 || count <= slotsMax / 2) return;
    this.#depth = Math.ceil(Math.log2(count / (slotsMax / 2)));
    this.#parts = Array.from({ length: 2 ** this.#depth }, (_, number) => newPart(number, slotsMax, this.#depth));
    this.#directory = [...this.#parts];
    this.#words = this.#directory.map(({ words }) => words);
  }

  /** Position of the cluster's entry, or -1. */
  find(cluster: number): number {
    const hash = hashOf(cluster);
    const words = this.#words[hash >>> (32 - this.#depth)]!;
    const mask = words.length - 1;
    for (let at = (hash << slotShift) & mask; ; at = (at + slotWords) & mask) {
      const handle = words[at]!;
      if (handle === emptySlot) return -1;
      if (words[at + fields.cluster] === cluster && handle !== deletedSlot)
        return (this.#partOf(hash).number << slotBits) | (at >>> slotShift);
    }
  }

  handleAt(position: number): number {
    return this.#word(position, fields.handle);
  }

  offsetAt(position: number): number {
    return this.#word(position, fields.offset);
  }

  crcAt(position: number): number {
    return this.#word(position, fields.crc);
  }

  /** Returns the handle that the cluster's entry had before, 0 for none. */
  put(cluster: number, handle: number, offset: number, crc: number): number {
    const hash = hashOf(cluster);
    let part = this.#partOf(hash);
    while ((part.used + 1) * 4 > part.slots * 3) {
      this.#grow(part, hash);
      part = this.#partOf(hash);
    }
    const { words } = part;
    const mask = words.length - 1;
    let free = -1;
    let at = (hash << slotShift) & mask;
    for (; ; at = (at + slotWords) & mask) {
      const present = words[at]!;
      if (present === emptySlot) break;
      if (present === deletedSlot) free = free < 0 ? at : free;
      else if (words[at + fields.cluster] === cluster) {
        setSlot(words, at, cluster, handle, offset, crc);
        return present;
      }
    }
    if (free < 0) part.used++;
    part.count++;
    this.#count++;
    setSlot(words, free < 0 ? at : free, cluster, handle, offset, crc);
    return 0;
  }

  removeAt(position: number): void {
    const part = this.#parts[position >>> slotBits]!;
    part.words[(position & (slotsMax - 1)) * slotWords] = deletedSlot;
    part.count--;
    this.#count--;
  }

  /** Calls with the position and cluster of each entry, which may be removed meanwhile. */
  each(visit: (cluster: number, position: number) => void): void {
    for (const { number, words, slots } of [...this.#parts]) {
      for (let slot = 0; slot < slots; slot++) {
        const handle = words[slot * slotWords]!;
        if (handle === emptySlot || handle === deletedSlot) continue;
        visit(words[slot * slotWords + fields.cluster]!, (number << slotBits) | slot);
      }
    }
  }

  #word(position: number, field: number): number {
    return this.#parts[position >>> slotBits]!.words[(position & (slotsMax - 1)) * slotWords + field]!;
  }

  #partOf(hash: number): Part {
    return this.#directory[hash >>> (32 - this.#depth)]!;
  }

  /** Room in the part, which is the one of the hash. */
  #grow(old: Part, hash: number): void {
    // Mostly removed entries: as many slots do without them.
    const slots = old.count * 2 < old.slots ? old.slots : old.slots * 2;
    if (slots <= slotsMax) {
      const part = newPart(old.number, slots, old.depth);
      moveEntries(old.words, () => part);
      this.#replace(old, hash, [part]);
      return;
    }
    if (old.depth === this.#depth) {
      this.#directory = this.#directory.flatMap((part) => [part, part]);
      this.#depth++;
    }
    // One half stays in the memory that is there: what is new has to be found by the system, and told to the garbage collector.
    // It is there before anything is emptied: when there is none, all is as it was.
    const second = newPart(this.#parts.length, slotsMax, old.depth + 1);
    const first: Part = { ...old, used: 0, count: 0, depth: second.depth };
    splitting.set(old.words);
    old.words.fill(emptySlot);
    const halves = [first, second];
    moveEntries(splitting, (entry) => halves[(entry >>> (31 - old.depth)) & 1]!);
    this.#replace(old, hash, halves);
  }

  /** Puts parts where `old` was, each into its share of the directory. */
  #replace(old: Part, hash: number, parts: readonly Part[]): void {
    const span = 2 ** (this.#depth - old.depth) / parts.length;
    const start = old.depth === 0 ? 0 : (hash >>> (32 - old.depth)) * span * parts.length;
    for (const [i, part] of parts.entries()) {
      this.#parts[part.number] = part;
      this.#directory.fill(part, start + i * span, start + (i + 1) * span);
    }
    this.#words = this.#directory.map(({ words }) => words);
  }
}

function setSlot(words: Uint32Array, at: number, cluster: number, handle: number, offset: number, crc: number): void {
  words[at] = handle;
  words[at + fields.cluster] = cluster;
  words[at + fields.offset] = offset;
  words[at + fields.crc] = crc;
}

function moveEntries(words: Uint32Array, partFor: (hash: number) => Part): void {
  for (let from = 0; from < words.length; from += slotWords) {
    const handle = words[from]!;
    if (handle === emptySlot || handle === deletedSlot) continue;
    const cluster = words[from + fields.cluster]!;
    const hash = hashOf(cluster);
    const part = partFor(hash);
    const mask = part.words.length - 1;
    let at = (hash << slotShift) & mask;
    while (part.words[at] !== emptySlot) at = (at + slotWords) & mask;
    setSlot(part.words, at, cluster, handle, words[from + fields.offset]!, words[from + fields.crc]!);
    part.used++;
    part.count++;
  }
}

// Neighbouring clusters must not pile up in neighbouring slots only: multiply, then fold the high bits down. Nothing is lost.
export function hashOf(cluster: number): number {
  const product = Math.imul(cluster, 0x9e3779b1);
  return (product ^ (product >>> 15)) >>> 0;
}
