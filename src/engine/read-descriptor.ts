// How files are read: at a place, until the target is full or the file ends. One promise and, nearly always, one call.

import { read } from "node:fs";

/** Resolves with the number of bytes, less than the target has only at the end of the file; rejects with the system's error. */
export function readDescriptor(descriptor: number, offset: number, target: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const readOn = (done: number): void =>
      read(descriptor, target, done, target.length - done, offset + done, (error, count) => {
        if (error !== null) reject(error);
        else if (count === 0 || done + count === target.length) resolve(done + count);
        else readOn(done + count);
      });
    readOn(0);
  });
}
