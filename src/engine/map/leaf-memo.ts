// Where leaves were found last, of all trees: four look-ups of pages in one of a few words.
//
// - A place is as good as the version of the pages it was found in: with any other it is forgotten.
// - Each leaf has one slot, which the next leaf that belongs there takes over.

/** Leaves: of 4 GiB that are read all over. */
const slots = 4096;
const slotWords = 4;

export class LeafMemo {
  readonly #words = new Uint32Array(slots * slotWords);
  #trees = 0;

  /** A number for a tree, never 0. */
  newTree(): number {
    this.#trees = (this.#trees % 0xffff_ffff) + 1;
    return this.#trees;
  }

  /** The position that was kept for this leaf of a tree, or -1. */
  find(tree: number, leafIndex: number, version: number): number {
    const words = this.#words;
    const at = slotOf(tree, leafIndex);
    return words[at] === tree && words[at + 1] === leafIndex && words[at + 2] === version >>> 0 ? words[at + 3]! : -1;
  }

  keep(tree: number, leafIndex: number, version: number, position: number): void {
    const at = slotOf(tree, leafIndex);
    this.#words[at] = tree;
    this.#words[at + 1] = leafIndex;
    this.#words[at + 2] = version;
    this.#words[at + 3] = position;
  }
}

const slotOf = (tree: number, leafIndex: number): number =>
  ((Math.imul(tree, 0x9e37_79b1) ^ leafIndex) & (slots - 1)) * slotWords;
