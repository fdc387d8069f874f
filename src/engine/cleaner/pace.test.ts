// How long the cleaner rests between two compactions, by a clock that is set by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../common/manual-clock.fixture.ts";
import { nextTurn } from "../../common/turn.ts";
import { MiB } from "../limits.ts";
import { Pace } from "./pace.ts";

interface Load {
  /** Of each millisecond. */
  readonly guestBytes: number;
  readonly threadShare: number;
}

class Rig {
  readonly clock = new ManualClock();
  readonly guests = { bytes: 0, threadMs: (): number => this.#usedMs };
  readonly pace = new Pace(this);
  #usedMs = 0;
  #begun = 0;

  /** Milliseconds from the end of a compaction of `bytes`, which took `workMs`, until the next one begins; at most `maxMs`. */
  async restMs(bytes: number, workMs: number, load: Load, maxMs = 100_000): Promise<number> {
    const work = async (): Promise<number> => {
      this.#begun++;
      await this.clock.sleep(workMs);
      return bytes;
    };
    const before = this.#begun;
    const both = Promise.all([this.pace.inTurn(work), this.pace.inTurn(work)]);
    for (let ms = 0; ms <= workMs + maxMs; ms++) {
      for (let turn = 0; turn < 5; turn++) await nextTurn();
      if (this.#begun === before + 2) {
        await this.#run(workMs + 1, load);
        this.pace.stop();
        await Promise.all([both, this.#run(100, load)]);
        return ms - workMs;
      }
      await this.#run(1, load);
    }
    throw new Error(`no second compaction within ${maxMs} ms`);
  }

  async #run(ms: number, { guestBytes, threadShare }: Load): Promise<void> {
    for (let i = 0; i < ms; i++) {
      this.guests.bytes += guestBytes;
      this.#usedMs += threadShare;
      await this.clock.advance(1);
    }
  }
}

const busy: Load = { guestBytes: MiB / 8, threadShare: 0.95 };

test("without guests one compaction follows the other, however busy the thread is", async () => {
  assert.equal(await new Rig().restMs(64 * MiB, 100, { guestBytes: 0, threadShare: 1 }), 0);
});

test("guests that leave the thread time are not waited for", async () => {
  const restMs = await new Rig().restMs(64 * MiB, 100, { guestBytes: MiB / 8, threadShare: 0.5 });
  assert.ok(restMs <= 60, `${restMs} ms`);
});

test("guests that keep the thread busy move sixteen bytes for each that is compacted", async () => {
  const restMs = await new Rig().restMs(8 * MiB, 1000, busy);
  assert.ok(restMs > 0 && restMs <= 60, `${restMs} ms: 16 * 8 MiB take 1024 ms, of which the compaction itself had 1000`);
});

test("a rest is at most ten times the work", async () => {
  const restMs = await new Rig().restMs(64 * MiB, 100, busy);
  assert.ok(restMs >= 1000 && restMs <= 1030, `${restMs} ms`);
});

test("the more is kept for what lives the more is compacted", async () => {
  const restMs: number[] = [];
  for (const stored of [100, 300, 400, 500]) {
    const rig = new Rig();
    rig.pace.keeps("one", { stored: stored - 50, live: 50 });
    rig.pace.keeps("other", { stored: 50, live: 50 });
    rig.pace.keeps("gone", { stored: 1000, live: 1 });
    rig.pace.keepsOnly(new Set(["one", "other"]));
    restMs.push(await rig.restMs(64 * MiB, 100, busy));
  }
  const [little, some, more, much] = restMs as [number, number, number, number];
  assert.ok(little === some && some > more && more > much, restMs.join(", "));
  assert.ok(much <= 50, `${much} ms`);
});

test("what fails is told to who asked, and the next one is done", async () => {
  const { pace } = new Rig();
  const failed = pace.inTurn(() => Promise.reject(new Error("no backend")));
  const next = pace.inTurn(async () => 0);
  await assert.rejects(failed, /no backend/);
  await next;
});
