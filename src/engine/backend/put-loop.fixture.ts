// A process for file.test.ts: puts objects whose bytes follow from their names, until it is killed. Says "ten" to its
// parent when it has put ten; ends with an error when a put fails.

import { seededRandom } from "../../common/random.ts";
import { openFileBackend } from "./file.ts";

const [root = "", prefix = ""] = process.argv.slice(2);
process.once("disconnect", () => process.exit(0));
const backend = await openFileBackend({ root });
for (let count = 1; ; count++) {
  const sizeBytes = 50_000 + count;
  const bytes = seededRandom(sizeBytes).bytes(sizeBytes);
  await backend.put(`${prefix}/object-${sizeBytes}`, [bytes.subarray(0, 1000), bytes.subarray(1000)]);
  if (count === 10) process.send?.("ten");
}
