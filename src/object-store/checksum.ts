// Digests of objects. A hash of 64 MiB would hold up the event loop for a tenth of a second: it is made in slices of a MiB,
// with everybody else's work between them. The bytes may not change meanwhile.

import { createHash } from "node:crypto";
import { nextTurn } from "../common/turn.ts";

const sliceBytes = 1024 * 1024;

export interface Digests {
  /** Hexadecimal, as all here. */
  readonly sha256: string;
  readonly md5: string;
}

export async function sha256Of(bytes: Buffer): Promise<string> {
  const [sha256 = ""] = await digest(bytes, ["sha256"]);
  return sha256;
}

/** Swift compares what it was sent by its MD5. */
export async function digestsOf(bytes: Buffer): Promise<Digests> {
  const [sha256 = "", md5 = ""] = await digest(bytes, ["sha256", "md5"]);
  return { sha256, md5 };
}

async function digest(bytes: Buffer, algorithms: readonly string[]): Promise<string[]> {
  const hashes = algorithms.map((name) => createHash(name));
  for (let start = 0; start < bytes.length; start += sliceBytes) {
    if (start > 0) await nextTurn();
    for (const hash of hashes) hash.update(bytes.subarray(start, start + sliceBytes));
  }
  return hashes.map((hash) => hash.digest("hex"));
}
