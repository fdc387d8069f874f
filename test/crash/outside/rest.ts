// Waits until a service is at rest: until the outside judge has nothing to say of it any more.

import { setTimeout as sleep } from "node:timers/promises";
import { findWrong } from "./findings.ts";
import { type Lookout, look } from "./look.ts";

/** Nothing may be under way when the service is at rest. */
const atRest = { passingMsMax: 0, graceMs: 0 };
const pauseMs = 200;

/** Resolves with how long it took; rejects with what is still wrong after `msMax`. */
export async function awaitRest(lookout: Lookout, msMax: number): Promise<number> {
  const beganMs = performance.now();
  for (;;) {
    const wrong = findWrong(await look(lookout), atRest);
    const tookMs = performance.now() - beganMs;
    if (wrong.length === 0) return tookMs;
    if (tookMs > msMax) {
      throw new Error(`after ${Math.round(msMax / 1000)} s:\n${wrong.map(({ rule, what }) => `${rule}: ${what}`).join("\n")}`);
    }
    await sleep(pauseMs);
  }
}
