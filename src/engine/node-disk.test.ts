// The real disk under the contract.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localDiskContract } from "./local-disk-contract.ts";
import { nodeDisk } from "./node-disk.ts";

localDiskContract("node", async () => {
  const directory = await mkdtemp(join(tmpdir(), "andiron-disk-"));
  return {
    disk: nodeDisk,
    directory,
    settle: (promise) => promise,
    remove: () => rm(directory, { recursive: true, force: true }),
  };
});
