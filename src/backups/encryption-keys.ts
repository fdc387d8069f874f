// The keys under which backups are encrypted: a file of lines "ID KEY", a key being 32 bytes in hex. The first one is used for
// new backups, all of them for those that are there. Each backup has a key of its own, derived from that. No key is ever in a
// message or in the log.

import { hkdfSync } from "node:crypto";
import { AndironError } from "../common/errors.ts";
import { backupLimits } from "./limits.ts";

const keyBytes = 32;
const derivation = "andiron backup 1";

export class EncryptionKeys {
  readonly #keys: ReadonlyMap<string, Buffer>;

  private constructor(keys: ReadonlyMap<string, Buffer>) {
    this.#keys = keys;
  }

  /** Throws config_invalid for text that is no such file; `path` names it. Empty lines and comments ("#") are left out. */
  static parse(text: string, path: string): EncryptionKeys {
    const keys = new Map<string, Buffer>();
    for (const [at, line] of text.split("\n").entries()) {
      const words = line.trim();
      if (words === "" || words.startsWith("#")) continue;
      const [, id, hex] = /^([A-Za-z0-9._-]{1,32})\s+([0-9A-Fa-f]{64})$/.exec(words) ?? [];
      if (id === undefined || hex === undefined) throw invalid(path, `line ${at + 1} is not "ID KEY", with 64 hex digits`);
      if (keys.has(id)) throw invalid(path, `line ${at + 1} has the id ${id} a second time`);
      keys.set(id, Buffer.from(hex, "hex"));
    }
    if (keys.size === 0 || keys.size > backupLimits.keysMax) throw invalid(path, `it has ${keys.size} keys`);
    return new EncryptionKeys(keys);
  }

  /** Of new backups. */
  get firstId(): string {
    return [...this.#keys.keys()][0]!;
  }

  /** Throws backup_key_missing. */
  keyOf(keyId: string, backupId: string): Buffer {
    const key = this.#keys.get(keyId);
    if (key === undefined) throw keyMissing(keyId);
    return Buffer.from(hkdfSync("sha256", key, backupId, derivation, keyBytes));
  }
}

export function keyMissing(keyId: string): AndironError {
  return new AndironError("backup_key_missing", `the backup is encrypted under key ${keyId}, which is not here`, {
    hint: "add it to the file of backup_encryption_key_file",
  });
}

function invalid(path: string, why: string): AndironError {
  return new AndironError("config_invalid", `the keys of ${path} cannot be used: ${why}`);
}
