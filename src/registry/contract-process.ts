// The contract suite's part about several processes: lock contention, kill -9 at random instants, leases of processes
// that block or die. See contract.ts; the children run contract-child.ts.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { systemClock } from "../common/clock.ts";
import { systemRandom } from "../common/random.ts";
import { atomically } from "./atomic.ts";
import type { ContractStore, DefineTest } from "./contract-context.ts";
import { take } from "./contract-watch.ts";
import type { Registry } from "./registry.ts";

interface Child {
  readonly lines: string[];
  /** Resolves at the first line that equals `line`; rejects when the child ends before. */
  said(line: string): Promise<void>;
  kill(): Promise<void>;
  /** Resolves with the exit code. */
  ended(): Promise<number | null>;
}

const running = new Set<ChildProcess>();

/** So that a failed test leaves no child behind. */
function killRunning(): void {
  for (const child of running) child.kill("SIGKILL");
}

function start(store: ContractStore, ...job: string[]): Child {
  const script = fileURLToPath(new URL("./contract-child.ts", import.meta.url));
  const process_: ChildProcess = spawn(process.execPath, [script, store.childModule, store.location, ...job], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  running.add(process_);
  const closed = once(process_, "close").finally(() => running.delete(process_));
  const lines: string[] = [];
  const waiting = new Map<string, () => void>();
  assert.ok(process_.stdout);
  createInterface({ input: process_.stdout }).on("line", (line) => {
    lines.push(line);
    waiting.get(line)?.();
  });
  return {
    lines,
    said: async (line) => {
      if (lines.includes(line)) return;
      const early = closed.then(() => assert.ok(lines.includes(line), `the child ended without "${line}"`));
      await Promise.race([new Promise<void>((resolve) => waiting.set(line, resolve)), early]);
    },
    kill: async () => {
      process_.kill("SIGKILL");
      await closed;
    },
    ended: async () => {
      await closed;
      return process_.exitCode;
    },
  };
}

export function processContract(defineTest: DefineTest): void {
  const define: DefineTest = (title, body) => defineTest(title, (context) => body(context).finally(killRunning));

  define("processes that add to one counter lose no update", async ({ store, registry }) => {
    const times = 150;
    const children = [1, 2, 3].map(() => start(store, "count", "counter", `${times}`));
    const own = 50;
    for (let i = 0; i < own; i++) {
      await atomically(registry, { clock: systemClock, random: systemRandom, attemptsMax: 1000 }, async (tx) => {
        tx.put("counter", String(Number((await tx.get("counter")) ?? "0") + 1));
      });
    }
    for (const child of children) assert.equal(await child.ended(), 0);
    const total = children.length * times + own;
    assert.equal((await registry.get("counter"))?.value, `${total}`);
    const batches = await take(registry.watch({ prefix: "", fromRevision: 1 }), total);
    assert.deepEqual(
      batches.map((batch) => batch.events[0]?.entry?.value),
      Array.from({ length: total }, (_, i) => `${i + 1}`),
    );
  });

  define(
    "kill -9 of writers: what was acknowledged is there, nothing half, watches go on without gap or repetition",
    async (context) => {
      const { store, registry } = context;
      const seen = new Map<string, string>();
      let lastRevision = 0;
      for (let round = 1; round <= 12; round++) {
        const writers = ["x", "y"].map((name) => ({ name, child: start(store, "write", name) }));
        for (const { child } of writers) await child.said("ready");
        for (const { name, child } of writers) {
          await systemClock.sleep(systemRandom.below(60));
          await child.kill();
          await checkWriter(registry, name, child.lines);
        }
        const head = await registry.revision();
        for (const { revision, events } of await take(
          registry.watch({ prefix: "", fromRevision: lastRevision + 1 }),
          head - lastRevision,
        )) {
          assert.equal(revision, ++lastRevision);
          assert.equal(events.length, 3);
          for (const event of events) seen.set(event.key, event.entry?.value ?? "");
        }
      }
      assert.ok(lastRevision > 0, "the writers came to write");
      assert.deepEqual(seen, await everything(registry));
    },
  );

  define("a process with a blocked loop keeps its lease; killed, it loses it", async ({ store, registry }) => {
    const ttlMs = 1500;
    const child = start(store, "lease", "owner", `${ttlMs}`);
    await child.said("held");
    await systemClock.sleep(ttlMs * 1.5);
    const held = await registry.get("owner");
    await child.kill();
    assert.equal(held?.value, "held");
    const watch = registry.watch({ prefix: "owner", fromRevision: held.modRevision + 1 });
    assert.deepEqual((await take(watch, 1))[0]?.events, [{ kind: "delete", key: "owner" }]);
  });
}

/** Both keys of the pair equal, no acknowledged number missing, and the log complete up to the pair. */
async function checkWriter(registry: Registry, name: string, lines: readonly string[]): Promise<void> {
  const acknowledged = lines.slice(1).map(Number);
  const a = await registry.get(`${name}/a`);
  const b = await registry.get(`${name}/b`);
  assert.deepEqual([a?.value, a?.modRevision], [b?.value, b?.modRevision]);
  for (const n of acknowledged) {
    assert.equal((await registry.get(`${name}/log/${n}`))?.value.length, n % 3000, `${name}/log/${n} was acknowledged`);
  }
  assert.ok(Number(a?.value ?? 0) >= Math.max(0, ...acknowledged));
}

async function everything(registry: Registry): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  let after = "";
  for (;;) {
    const page = await registry.range({ prefix: "", after });
    for (const entry of page.entries) found.set(entry.key, entry.value);
    after = page.entries.at(-1)?.key ?? "";
    if (!page.more) return found;
  }
}
