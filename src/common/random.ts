// Chance as a parameter: production uses the operating system's generator, tests a seeded one.

import { randomBytes, randomUUID } from "node:crypto";

export interface Random {
  /** A version 4 UUID. */
  uuid(): string;
  /** Uniform integer in [0, bound); bound at most 2^32. */
  below(bound: number): number;
  /** `count` bytes; from the system generator they are fit for secrets. */
  bytes(count: number): Buffer;
}

export const systemRandom: Random = {
  uuid: () => randomUUID(),
  below: (bound) => Math.floor((randomBytes(6).readUIntBE(0, 6) / 2 ** 48) * bound),
  bytes: (count) => randomBytes(count),
};

/** A reproducible generator (xorshift-multiply, after splitmix32): for tests and simulation, never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  const bytes = (count: number): Buffer => {
    const buffer = Buffer.alloc(count);
    for (let i = 0; i < count; i++) buffer[i] = next() & 0xff;
    return buffer;
  };
  const uuid = (): string => {
    const raw = bytes(16);
    raw[6] = (raw[6]! & 0x0f) | 0x40;
    raw[8] = (raw[8]! & 0x3f) | 0x80;
    const hex = raw.toString("hex");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  };
  return { uuid, bytes, below: (bound) => Math.floor((next() / 2 ** 32) * bound) };
}
