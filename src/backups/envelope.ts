// What is around the body of every object of a backup: what it is a part of, how it was compressed, under which key it was
// encrypted. docs/design/backups.md has the layout. An object is opened for what it is expected to be; any other, a damaged one
// and one that was put in its place are backup_damaged.
//
//   body ──► compressed, if that is smaller ──► AES-256-GCM with the header as additional data, if there is a key ──► object
//
// Ledger: version 1 is the first; it is part of the magic.

import { createCipheriv, createDecipheriv } from "node:crypto";
import { promisify } from "node:util";
import { deflate, inflate, zstdCompress, zstdDecompress } from "node:zlib";
import { crc32 } from "../common/crc32.ts";
import { AndironError } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import { type EncryptionKeys, keyMissing } from "./encryption-keys.ts";

export const compressions = ["none", "zlib", "zstd"] as const;
export type Compression = (typeof compressions)[number];

export interface ObjectIdentity {
  readonly backupId: string;
  readonly kind: "chunk" | "head";
  readonly generation: number;
  /** Of a chunk; a head has 0. */
  readonly number: number;
}

export interface SealOptions {
  readonly compression: Compression;
  /** Undefined: not encrypted. */
  readonly keys: EncryptionKeys | undefined;
  readonly random: Random;
}

export interface Opened {
  readonly body: Buffer;
  readonly keyId: string | null;
}

const magic = Buffer.from("andiron backup 1");
const kinds = ["", "chunk", "head"] as const;
const headerBytes = 96;
const tagBytes = 16;
const nonceBytes = 12;
const keyIdBytes = 32;
const at = { backup: 16, generation: 32, number: 36, kind: 40, compression: 41, encryption: 42 } as const;
const then = { bodyBytes: 44, crc: 48, keyId: 52, nonce: 84 } as const;

const deflated = promisify<Buffer, Buffer>(deflate);
const zstandard = promisify<Buffer, Buffer>(zstdCompress);
const inflated = promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate);
const unpacked = promisify<Buffer, { maxOutputLength: number }, Buffer>(zstdDecompress);

export async function sealObject(identity: ObjectIdentity, body: Buffer, options: SealOptions): Promise<Buffer> {
  const { keys, random } = options;
  const packed = await compress(body, options.compression);
  const isSmaller = packed !== undefined && packed.length < body.length;
  const payload = isSmaller ? packed : body;
  const header = Buffer.alloc(headerBytes);
  magic.copy(header);
  identityOf(identity).copy(header, at.backup);
  header[at.compression] = compressions.indexOf(isSmaller ? options.compression : "none");
  header.writeUInt32LE(body.length, then.bodyBytes);
  if (keys === undefined) {
    header.writeUInt32LE(crc32(body, crc32(header)), then.crc);
    return Buffer.concat([header, payload]);
  }
  header[at.encryption] = 1;
  header.write(keys.firstId, then.keyId, keyIdBytes, "latin1");
  const nonce = random.bytes(nonceBytes);
  nonce.copy(header, then.nonce);
  const cipher = createCipheriv("aes-256-gcm", keys.keyOf(keys.firstId, identity.backupId), nonce, { authTagLength: tagBytes });
  cipher.setAAD(header);
  return Buffer.concat([header, cipher.update(payload), cipher.final(), cipher.getAuthTag()]);
}

/** Rejects with backup_damaged, and backup_key_missing. `bodyBytesMax`: of what it may become. */
export async function openObject(
  identity: ObjectIdentity,
  object: Buffer,
  { keys, bodyBytesMax }: { readonly keys: EncryptionKeys | undefined; readonly bodyBytesMax: number },
): Promise<Opened> {
  const what = `${identity.kind} ${identity.number} of backup ${identity.backupId}`;
  if (object.length < headerBytes || !object.subarray(0, magic.length).equals(magic)) {
    throw damaged(what, "it is no object of a backup, or one of a format that is not known here");
  }
  const header = object.subarray(0, headerBytes);
  const wanted = identityOf(identity);
  if (!header.subarray(at.backup, at.backup + wanted.length).equals(wanted)) throw damaged(what, "it is another object");
  const bodyBytes = header.readUInt32LE(then.bodyBytes);
  if (bodyBytes > bodyBytesMax) throw damaged(what, `it says that it has ${bodyBytes} bytes`);
  const isEncrypted = header[at.encryption] === 1;
  const keyId = header.toString("latin1", then.keyId, then.keyId + keyIdBytes).replace(/\0+$/, "");
  const payload = isEncrypted ? decrypt(what, identity, object, keyId, keys) : object.subarray(headerBytes);
  const body = await expand(what, payload, header[at.compression] ?? 0, bodyBytes);
  if (isEncrypted) return { body, keyId };
  const unsummed = Buffer.from(header);
  unsummed.writeUInt32LE(0, then.crc);
  if (crc32(body, crc32(unsummed)) !== header.readUInt32LE(then.crc)) throw damaged(what, "its checksum does not match");
  return { body, keyId: null };
}

/** The fields that say which object it is, as they lie in the header. */
function identityOf({ backupId, kind, generation, number }: ObjectIdentity): Buffer {
  const fields = Buffer.alloc(at.kind + 1 - at.backup);
  fields.write(backupId.replaceAll("-", ""), 0, 16, "hex");
  fields.writeUInt32LE(generation, at.generation - at.backup);
  fields.writeUInt32LE(number, at.number - at.backup);
  fields[at.kind - at.backup] = kinds.indexOf(kind);
  return fields;
}

function compress(body: Buffer, compression: Compression): Promise<Buffer | undefined> {
  if (compression === "none") return Promise.resolve(undefined);
  return compression === "zlib" ? deflated(body) : zstandard(body);
}

async function expand(what: string, payload: Buffer, compression: number, bodyBytes: number): Promise<Buffer> {
  const name = compressions[compression];
  if (name === undefined) throw damaged(what, `compression ${compression} is not known here`);
  let body: Buffer;
  try {
    // A limit of 0 is none.
    const limit = { maxOutputLength: Math.max(bodyBytes, 1) };
    body = name === "none" ? payload : await (name === "zlib" ? inflated : unpacked)(payload, limit);
  } catch (cause) {
    throw damaged(what, "it cannot be decompressed", cause);
  }
  if (body.length !== bodyBytes) throw damaged(what, `it has ${body.length} bytes, and says ${bodyBytes}`);
  return body;
}

function decrypt(
  what: string,
  { backupId }: ObjectIdentity,
  object: Buffer,
  keyId: string,
  keys: EncryptionKeys | undefined,
): Buffer {
  if (keys === undefined) throw keyMissing(keyId);
  if (object.length < headerBytes + tagBytes) throw damaged(what, "it is cut off");
  const header = object.subarray(0, headerBytes);
  const nonce = header.subarray(then.nonce, then.nonce + nonceBytes);
  const decipher = createDecipheriv("aes-256-gcm", keys.keyOf(keyId, backupId), nonce, { authTagLength: tagBytes });
  decipher.setAAD(header);
  decipher.setAuthTag(object.subarray(object.length - tagBytes));
  try {
    return Buffer.concat([decipher.update(object.subarray(headerBytes, object.length - tagBytes)), decipher.final()]);
  } catch (cause) {
    throw damaged(what, "it was changed, or its key is another", cause);
  }
}

function damaged(what: string, why: string, cause?: unknown): AndironError {
  return new AndironError("backup_damaged", `${what}: ${why}`, { cause });
}
