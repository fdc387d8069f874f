// Loaded into a service before anything else (--import): what its file backend asks of the file system takes longer by this
// much, as if it were on the other side of a network. The journal's disk is left as it is.

import { promises } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const delayMs = 30;
const isBackend = (path: unknown): boolean => typeof path === "string" && path.includes("/state/backend/");

const { link, open } = promises;
promises.link = async (existing, path) => {
  if (isBackend(path)) await sleep(delayMs);
  return link(existing, path);
};
promises.open = async (path, ...rest) => {
  if (isBackend(path)) await sleep(delayMs);
  return open(path, ...rest);
};
syncBuiltinESMExports();
