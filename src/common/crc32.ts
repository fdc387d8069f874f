// CRC-32 (polynomial 0x04C11DB7, reflected, as in zlib, gzip and PNG) of what is written and read. The package computes it by
// vectors, two to three times as fast as Node's zlib; where it has no build for the machine, or was not installed, zlib does.
//
// - Both give the same for every input: what one wrote, the other checks.
// - Short inputs go to zlib, whose call costs less.

import { createRequire } from "node:module";
import { crc32 as crc32OfZlib } from "node:zlib";

type Crc32 = (data: Buffer, seed: number) => number;

const vectorBytesMin = 128;
const crc32OfVectors = loadVectors();

/** The CRC-32 of data; of what came before and data when that one's is given as seed. Unsigned. */
export const crc32 = (data: Buffer, seed = 0): number =>
  data.length < vectorBytesMin ? crc32OfZlib(data, seed) : crc32OfVectors(data, seed);

function loadVectors(): Crc32 {
  try {
    return (createRequire(import.meta.url)("@node-rs/crc32") as { readonly crc32: Crc32 }).crc32;
  } catch {
    return crc32OfZlib;
  }
}
