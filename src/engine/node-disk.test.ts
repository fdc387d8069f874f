// The real disk under the contract.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localDiskContract } from "./local-disk-contract.ts";
import { cachedNodeDisk, nodeDisk } from "./node-disk.ts";

for (const [name, disk] of [
  ["node", nodeDisk],
  ["node, all in the page cache", cachedNodeDisk],
] as const) {
  localDiskContract(name, async () => {
    const directory = await mkdtemp(join(tmpdir(), "andiron-disk-"));
    return {
      disk,
      directory,
      settle: (promise) => promise,
      remove: () => rm(directory, { recursive: true, force: true }),
    };
  });
}
