// The child process of contract-process.ts: opens the store by the module and location it is given, and does one job.
// Speaks in lines on standard output, written at once: a line is out when the process is killed after it.
//
//   count KEY TIMES      adds one to KEY, TIMES times, by compare-and-swap
//   write NAME           for ever: NAME/a and NAME/b become n, n + 1, ... in one transaction; prints n when it is done
//   lease KEY TTL        holds a lease with KEY bound to it, prints "held", then blocks its event loop for ever

import { writeSync } from "node:fs";
import { systemClock } from "../common/clock.ts";
import { systemRandom } from "../common/random.ts";
import { atomically } from "./atomic.ts";
import { put, write } from "./contract-context.ts";
import type { Registry } from "./registry.ts";

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

async function count(registry: Registry, key: string, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await atomically(registry, { clock: systemClock, random: systemRandom, attemptsMax: 1000 }, async (tx) => {
      tx.put(key, String(Number((await tx.get(key)) ?? "0") + 1));
    });
  }
}

async function writeForEver(registry: Registry, name: string): Promise<void> {
  let done = Number((await registry.get(`${name}/a`))?.value ?? "0");
  const writeNext = async (): Promise<void> => {
    const n = ++done;
    await write(registry, put(`${name}/a`, `${n}`), put(`${name}/b`, `${n}`), put(`${name}/log/${n}`, "x".repeat(n % 3000)));
    say(`${n}`);
  };
  for (;;) await Promise.all([writeNext(), writeNext(), writeNext()]);
}

async function holdForEver(registry: Registry, key: string, ttlMs: number): Promise<void> {
  const lease = await registry.grantLease(ttlMs);
  await registry.holdLease(lease);
  await write(registry, put(key, "held", lease));
  say("held");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

const [childModule = "", location = "", job = "", name = "", amount = "0"] = process.argv.slice(2);
const { openContractRegistry } = (await import(childModule)) as { openContractRegistry(location: string): Promise<Registry> };
const registry = await openContractRegistry(location);
say("ready");
if (job === "count") await count(registry, name, Number(amount));
else if (job === "write") await writeForEver(registry, name);
else if (job === "lease") await holdForEver(registry, name, Number(amount));
else throw new TypeError(`unknown job: ${job}`);
await registry.close();
