// The simulator over a fixed set of seeds, its reproducibility, and canaries: the engine with one of its orders broken on
// purpose, which the simulator has to notice.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Journal } from "../src/engine/journal/journal.ts";
import { JournalFile } from "../src/engine/journal/journal-file.ts";
import { ChangedAreas } from "../src/engine/changed-areas.ts";
import { LocalSegments } from "../src/engine/vdisk/local-segments.ts";
import { WriteQueue } from "../src/engine/vdisk/write-queue.ts";
import { simulate } from "./simulation.ts";

const seeds = Array.from({ length: 20 }, (_, i) => i + 1);
const canarySeedsMax = 40;

test("no seed of the fixed set finds anything", async () => {
  let deaths = 0;
  let operations = 0;
  for (const seed of seeds) {
    const outcome = await simulate(seed);
    const last = outcome.events.slice(-25).join("\n");
    assert.equal(outcome.problem, undefined, `seed ${seed}: npm run sim -- --seed ${seed} --runs 1\n${last}`);
    deaths += outcome.deaths;
    operations += outcome.operations;
  }
  assert.ok(deaths >= seeds.length, `only ${deaths} deaths`);
  assert.ok(operations > 100 * seeds.length, `only ${operations} writes`);
});

test("the same seed is the same run, another seed another", async () => {
  const [first, again, other] = [await simulate(7), await simulate(7), await simulate(8)];
  assert.equal(again.traceHash, first.traceHash);
  assert.notEqual(other.traceHash, first.traceHash);
});

interface Canary {
  readonly title: string;
  /** Breaks the engine; returns what repairs it. */
  sabotage(): () => void;
}

function replaced<T extends object, K extends keyof T>(prototype: T, name: K, broken: T[K]): () => void {
  const whole = prototype[name];
  prototype[name] = broken;
  return () => {
    prototype[name] = whole;
  };
}

const canaries: readonly Canary[] = [
  {
    title: "checkpoints are committed and local files let go before the segments are uploaded",
    sabotage: () => replaced(LocalSegments.prototype, "uploadedBefore", async () => undefined),
  },
  {
    title: "a flush is acknowledged without a sync",
    sabotage: () => replaced(Journal.prototype, "flush", async () => undefined),
  },
  {
    title: "a sealed segment is handed on before it is synced",
    sabotage: () => {
      const { seal } = JournalFile.prototype;
      return replaced(JournalFile.prototype, "seal", async function withoutSync(this: JournalFile, final: boolean) {
        const { file } = this;
        const sync = file.sync.bind(file);
        file.sync = async () => undefined;
        await seal.call(this, final);
        file.sync = sync;
      });
    },
  },
  {
    title: "a disk moves to its copy while writes go on",
    sabotage: () => {
      const { hold } = WriteQueue.prototype;
      return replaced(WriteQueue.prototype, "hold", async function atOnceOver(this: WriteQueue) {
        await hold.call(this);
        this.letGo();
      });
    },
  },
  {
    title: "what was written while a disk is copied is not copied again",
    sabotage: () => replaced(ChangedAreas.prototype, "note", () => undefined),
  },
];

for (const { title, sabotage } of canaries) {
  test(`the simulator notices when ${title}`, async () => {
    const repair = sabotage();
    try {
      for (let seed = 1; seed <= canarySeedsMax; seed++) if ((await simulate(seed)).problem !== undefined) return;
      assert.fail(`${canarySeedsMax} seeds found nothing`);
    } finally {
      repair();
    }
  });
}
