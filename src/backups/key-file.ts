// The file of keys, read at start: what is wrong with it is told then. Nobody but its owner may read it.

import { readFile, stat } from "node:fs/promises";
import { AndironError } from "../common/errors.ts";
import { EncryptionKeys } from "./encryption-keys.ts";

const othersMask = 0o077;

/** Rejects with config_invalid. */
export async function readKeyFile(path: string): Promise<EncryptionKeys> {
  let text: string;
  try {
    const { mode } = await stat(path);
    if ((mode & othersMask) !== 0) {
      throw new AndironError("config_invalid", `others than its owner may use the keys of ${path}`, {
        hint: `chmod 600 ${path}`,
      });
    }
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof AndironError) throw cause;
    throw new AndironError("config_invalid", `cannot read the keys of ${path}`, { cause });
  }
  return EncryptionKeys.parse(text, path);
}
