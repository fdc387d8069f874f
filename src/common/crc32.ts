// CRC-32 (polynomial 0x04C11DB7, reflected, as in zlib, gzip and PNG) of what is written and read. The package computes it by
// vectors, two to three times as fast as Node's zlib; where it has no build for the machine, or was not installed, zlib does.
//
// - Both give the same for every input: what one wrote, the other checks.
// - Short inputs go to zlib, whose call costs less. What is as short as a record's header costs least byte by byte, here.

import { createRequire } from "node:module";
import { crc32 as crc32OfZlib } from "node:zlib";

type Crc32 = (data: Buffer, seed: number) => number;

const vectorBytesMin = 128;
const fewBytes = 64;
const crc32OfVectors = loadVectors();

/** The CRC-32 of data; of what came before and data when that one's is given as seed. Unsigned. */
export const crc32 = (data: Buffer, seed = 0): number =>
  data.length < vectorBytesMin ? crc32OfZlib(data, seed) : crc32OfVectors(data, seed);

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  return crc;
});

/** The same of the bytes `start` to `end` of data; of few of them without a view and without a call out of JavaScript. */
export function crc32OfPart(data: Buffer, start: number, end: number, seed = 0): number {
  if (end - start > fewBytes) return crc32(data.subarray(start, end), seed);
  let crc = ~seed;
  for (let at = start; at < end; at++) crc = table[(crc ^ data[at]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

function loadVectors(): Crc32 {
  try {
    return (createRequire(import.meta.url)("@node-rs/crc32") as { readonly crc32: Crc32 }).crc32;
  } catch {
    return crc32OfZlib;
  }
}
