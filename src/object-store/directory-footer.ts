// The 64 bytes behind the bytes of an object in a file: so a file that is cut off, half copied or of something else is found.
// Pure. Big-endian.
//
//   magic "andiron object 1" (16) │ length of the object (8) │ SHA-256 of the object (32) │ zeroes (4) │ CRC-32 of the rest (4)
//
// Format 1 is the first; the number is the last character of the magic. A reader refuses one that it does not know.

import { crc32 } from "../common/crc32.ts";
import { AndironError } from "../common/errors.ts";

export interface Footer {
  readonly sizeBytes: number;
  readonly sha256: string;
}

export const footerBytes = 64;
const magicStem = "andiron object ";
const magic = Buffer.from(`${magicStem}1`, "latin1");

export function encodeFooter({ sizeBytes, sha256 }: Footer): Buffer {
  const footer = Buffer.alloc(footerBytes);
  magic.copy(footer, 0);
  footer.writeBigUInt64BE(BigInt(sizeBytes), 16);
  footer.write(sha256, 24, "hex");
  footer.writeUInt32BE(crc32(footer.subarray(0, 60)), 60);
  return footer;
}

/** `footer` is the end of a file of `fileBytes`. Throws object_damaged when it does not belong to a whole object. */
export function decodeFooter(footer: Buffer, fileBytes: number, name: string): Footer {
  if (footer.length !== footerBytes || footer.toString("latin1", 0, magicStem.length) !== magicStem)
    throw damaged(name, "has no footer: it is cut off, or no object");
  if (footer.readUInt32BE(60) !== crc32(footer.subarray(0, 60))) throw damaged(name, "has a footer with a wrong checksum");
  if (!footer.subarray(0, magic.length).equals(magic)) throw damaged(name, "was written by a later version of Andiron");
  const sizeBytes = Number(footer.readBigUInt64BE(16));
  if (sizeBytes + footerBytes !== fileBytes) throw damaged(name, `has ${fileBytes - footerBytes} bytes, not ${sizeBytes}`);
  return { sizeBytes, sha256: footer.toString("hex", 24, 56) };
}

function damaged(name: string, what: string): AndironError {
  return new AndironError("object_damaged", `the object ${name} ${what}`);
}
