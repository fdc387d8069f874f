// Keeps what Node makes of our modules from one start to the next: types stripped, code compiled. A start after a crash has
// clients waiting, and half of its time goes there.
//
// - It lies in node_modules, which belongs to whoever installed this checkout: code is run that was found there.
// - Without it, or where it can't be written, a start only takes longer.
// - `npm start` names it in the environment, so that it counts from the first module on: one that is not found there has the
//   stripper of types loaded, which takes 30 ms and 7 MiB of each thread. Here it is named for those who start us otherwise.

import { enableCompileCache } from "node:module";
import { join } from "node:path";

const folder = join(import.meta.dirname, "../../node_modules/.cache/andiron");
process.env["NODE_COMPILE_CACHE"] ??= folder; // what worker threads go by
enableCompileCache(folder);
