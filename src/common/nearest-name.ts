// The name that was probably meant. For messages only. Edit distance, bounded by the length of option names.

const nameCharactersMax = 64;

/** The one of `names` nearest to `wrong`, when it is near enough to be a slip; undefined otherwise. */
export function nearestName(wrong: string, names: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(wrong.length / 3));
  let best: { name: string; distance: number } | undefined;
  for (const name of names) {
    const distance = editDistance(wrong.slice(0, nameCharactersMax), name.slice(0, nameCharactersMax));
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { name, distance };
  }
  return best?.name;
}

/** Insertions, deletions and replacements of one character that lead from one text to the other. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (const [i, character] of left.split("").entries()) {
    const next = [i + 1];
    for (let j = 0; j < right.length; j++) {
      const replaced = row[j]! + (right[j] === character ? 0 : 1);
      next.push(Math.min(replaced, row[j + 1]! + 1, next[j]! + 1));
    }
    row = next;
  }
  return row[right.length]!;
}
