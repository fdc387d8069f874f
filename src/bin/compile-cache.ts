// Keeps what Node makes of our modules from one start to the next: types stripped, code compiled. A start after a crash has
// clients waiting, and half of its time goes there.
//
// - It lies in node_modules, which belongs to whoever installed this checkout: code is run that was found there.
// - Without it, or where it can't be written, a start only takes longer.
// - Modules that are imported before this one, or along with it, are not in it.

import { enableCompileCache } from "node:module";
import { join } from "node:path";

const folder = join(import.meta.dirname, "../../node_modules/.cache/andiron");
process.env["NODE_COMPILE_CACHE"] ??= folder; // what worker threads go by
enableCompileCache(folder);
