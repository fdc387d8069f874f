// Started by state-lock.test.ts: takes the lock on the directory given, says so, and holds it until it is killed.
// With "contend" it takes and releases the lock again and again instead, entering what only one may enter at a time: a
// file made exclusively. It says "broken" when somebody else was inside.

import { closeSync, openSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { lockState } from "./state-lock.ts";

const [directory = "", mode = "hold", rounds = "0"] = process.argv.slice(2);

if (mode === "hold") {
  lockState(directory);
  globalThis.gc?.(); // nobody has the handle any more: the lock must not go with it
  process.stdout.write("locked\n");
  setInterval(() => undefined, 1000);
} else {
  for (let round = 0; round < Number(rounds);) {
    try {
      const lock = lockState(directory);
      const inside = join(directory, "inside");
      closeSync(openSync(inside, "wx"));
      await new Promise((resolve) => setImmediate(resolve));
      unlinkSync(inside);
      lock.release();
      round++;
    } catch (error) {
      if ((error as { code?: string }).code !== "state_locked") {
        process.stdout.write(`broken: ${String(error)}\n`);
        process.exit(1);
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}
