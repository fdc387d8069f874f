// A process for directory-store.test.ts: puts objects whose bytes follow from their names, over and over, until it is killed.
// Says "ten" to its parent after ten; ends with an error when a put fails.

import { systemClock } from "../common/clock.ts";
import { seededRandom, systemRandom } from "../common/random.ts";
import { openDirectoryStore } from "./directory-store.ts";

const [root = "", prefix = ""] = process.argv.slice(2);
process.once("disconnect", () => process.exit(0));
const store = await openDirectoryStore({ root, create: true }, { clock: systemClock, random: systemRandom });
for (let count = 1; ; count++) {
  // A new name each time, and one that is put again and again.
  await store.put(`${prefix}/object-${count}`, seededRandom(count).bytes(300_000), { ifAbsent: true });
  await store.put(`${prefix}/again`, seededRandom(count).bytes(300_000));
  if (count === 10) process.send?.("ten");
}
