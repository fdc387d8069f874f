// The record of a job: what is written is read again, whatever is in it; what is no job is refused; and whatever follows
// whatever, the states keep their promises.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { AndironError } from "../../common/errors.ts";
import { seededRandom } from "../../common/random.ts";
import { invalid } from "../faults.ts";
import { jobKind, parseRecord } from "../records.ts";
import { chooseExpired } from "./ended-jobs.ts";
import { chooseJobs, type ChoiceView } from "./job-choice.ts";
import type { JobKind } from "./job-kind.ts";
import { deadlyReason, decide, isDue, pauseMs, pauseMsMax } from "./job-policy.ts";
import * as states from "./job-states.ts";
import { jobBounds, jobOutcomes, jobPhases, type Job } from "./job.ts";

const kind: Pick<JobKind, "name" | "version" | "unit" | "deadlineMs"> = {
  name: "copy",
  version: 1,
  unit: "bytes",
  deadlineMs: 1000,
};

function job(change: Partial<Job> = {}): Job {
  const request = { id: "j", projectId: "p", requestId: "r", resource: { type: "volume", id: "v" }, params: {}, total: 9 };
  return { ...states.newJob(kind as JobKind, request, 0), ...change };
}

const count = fc.nat();
const time = fc.integer({ min: 0, max: 2 ** 45 });
const data = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 });
const anyJob: fc.Arbitrary<Job> = fc
  .record({
    id: fc.uuid(),
    kind: fc.string(),
    kindVersion: count,
    projectId: fc.string(),
    params: data,
    phase: fc.constantFrom(...jobPhases),
    generation: count,
    runner: fc.option(fc.uuid()),
    checkpoint: data,
    progress: fc.record({ unit: fc.string(), done: count, total: fc.option(count) }),
    failures: count,
    takeovers: count,
    retries: count,
    notBeforeMs: fc.option(time),
    deadlineMs: time,
    createdAtMs: time,
    startedAtMs: fc.option(time),
    updatedAtMs: time,
    reason: fc.string(),
    outcome: fc.constantFrom(...jobOutcomes),
  })
  .map(({ reason, outcome, ...rest }) => {
    const verdict = rest.phase === "work" ? {} : { verdict: { outcome, reason } };
    const end = rest.phase === "ended" ? { endedAtMs: 5, runner: null } : { endedAtMs: null };
    return { ...job(), ...rest, ...verdict, ...end };
  });

const isDamage = (error: unknown): boolean => error instanceof AndironError && error.code === "record_damaged";

test("what is written is read again, with fields of a later build", () => {
  fc.assert(
    fc.property(anyJob, data, (written, extra) => {
      const text = JSON.stringify({ ...extra, ...written });
      assert.deepEqual(JSON.parse(JSON.stringify(parseRecord(jobKind, "k", text))), JSON.parse(text));
    }),
  );
});

test("a record with any wrong field is refused as damaged", () => {
  const optional = new Set(["cancel", "verdict", "leftovers", "lastError"]);
  for (const field of [...Object.keys(job()), ...optional]) {
    for (const value of [undefined, [], true, -1, { wrong: 1 }]) {
      if (value === undefined && optional.has(field)) continue;
      if (field === "params" || field === "checkpoint") continue; // any object
      if (field === "leftovers" && value === true) continue;
      if (field.endsWith("Ms") && value === -1 && field !== "endedAtMs") continue; // before 1970
      const text = JSON.stringify({ ...job(), [field]: value });
      assert.throws(() => parseRecord(jobKind, "k", text), isDamage, `${field} ${JSON.stringify(value)}`);
    }
  }
  for (const wrong of [{ params: 1 }, { checkpoint: null }, { v: 2 }, { phase: "undo" }, { phase: "ended" }, { endedAtMs: 1 }]) {
    assert.throws(() => parseRecord(jobKind, "k", JSON.stringify({ ...job(), ...wrong })), isDamage, JSON.stringify(wrong));
  }
});

type Step = (job: Job, nowMs: number) => Job;
const steps: Readonly<Record<string, Step>> = {
  claim: (one, now) => states.claimed(one, `runner-${now}`, now),
  advance: (one, now) => states.advanced(one, { next: "more", checkpoint: { now }, done: one.progress.done + 1 }, now),
  linger: (one, now) => states.advanced(one, { next: "more", checkpoint: {}, done: one.progress.done }, now),
  postpone: (one, now) => states.postponed(one, "e".repeat(2000), now + 10, now),
  release: states.released,
  condemn: (one, now) => states.condemned(one, { outcome: "failed", reason: "\ud800" + "r".repeat(2000) }, now),
  leave: (one, now) => states.leavingBehind(one, "e", now),
  cancel: (one, now) => states.cancelAsked(one, "somebody", now),
  done: (one, now) => states.ended(one, "done", now),
  fail: (one, now) => states.ended(one, "failed", now),
};

test("whatever is tried in whatever order, each record is whole, phases go one way, and the end is the end", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...Object.keys(steps)), { maxLength: 30 }), (names) => {
      let one = job();
      names.forEach((name, nowMs) => {
        let next: Job;
        try {
          next = steps[name]!(one, nowMs);
        } catch (error) {
          assert.ok(error instanceof AndironError && error.code === "internal", String(error));
          return;
        }
        assert.notEqual(one.phase, "ended", `${name} after the end`);
        assert.ok(jobPhases.indexOf(next.phase) >= jobPhases.indexOf(one.phase), name);
        assert.equal(next.generation, one.generation + (name === "claim" ? 1 : 0));
        assert.ok(next.runner === null || next.runner === one.runner || name === "claim", name);
        assert.ok((next.verdict?.reason.length ?? 0) <= jobBounds.reasonLengthMax);
        assert.ok((next.lastError?.length ?? 0) <= jobBounds.reasonLengthMax);
        parseRecord(jobKind, "k", JSON.stringify(next));
        one = next;
      });
    }),
  );
});

test("a checkpoint that does not fit is refused", () => {
  const claimed = states.claimed(job(), "r", 1);
  const checkpoint = { text: "x".repeat(jobBounds.dataBytesMax) };
  assert.throws(() => states.advanced(claimed, { next: "more", checkpoint, done: 1 }, 2), /the most is/);
});

test("what may pass is tried again with growing pauses, what lasts is not, and tries and time are limited", () => {
  const ports = { random: seededRandom(1), nowMs: 0, triesMax: 3 };
  const passing = new AndironError("backend_unavailable", "away");
  assert.equal(decide(job(), passing, ports).again, true);
  assert.equal(decide(job({ failures: 2 }), passing, ports).again, false);
  assert.equal(decide(job(), passing, { ...ports, nowMs: 1000 }).again, false);
  for (const lasting of [invalid("no"), new AndironError("record_damaged", "no"), new AndironError("vdisk_not_found", "no")]) {
    assert.equal(decide(job(), lasting, ports).again, false, String(lasting));
  }
  fc.assert(
    fc.property(count, fc.nat(2 ** 32 - 1), (failures, seed) => {
      const wholeMs = Math.min(1000 * 2 ** Math.min(failures, 20), pauseMsMax);
      const ms = pauseMs(failures, seededRandom(seed), pauseMsMax);
      assert.ok(ms >= wholeMs / 2 && ms <= wholeMs, `${failures}: ${ms}`);
    }),
  );
  assert.equal(deadlyReason(job({ takeovers: 49 })), undefined);
  assert.match(deadlyReason(job({ takeovers: 50 })) ?? "", /died 50 times/);
});

test("nobody waits longer than the longest pause, whatever the wall clock does, and a cancelled one not at all", () => {
  assert.equal(isDue(job({ notBeforeMs: 1000 }), 999), false);
  assert.equal(isDue(job({ notBeforeMs: 1000 }), 1000), true);
  assert.equal(isDue(job({ notBeforeMs: 10_000_000 }), 0), true);
  assert.equal(isDue(job({ notBeforeMs: 1000, cancel: { atMs: 0, by: "x" } }), 0), true);
});

test("free jobs are chosen oldest first, cancelled ones before, within the places of process, project and kind", () => {
  const view: Omit<ChoiceView, "jobs"> = {
    runningHere: new Set(["here"]),
    runner: "me",
    isAlive: (runner) => runner === "other" || runner === "me",
    kindMax: (one) => (one.kind === "strange" ? undefined : one.kind === "rare" ? 1 : 10),
    runningMax: 6,
    runningPerProjectMax: 3,
    nowMs: 100,
  };
  const made = (id: string, change: Partial<Job>): Job => job({ id, createdAtMs: 50, ...change });
  const jobs = [
    made("here", { runner: "me", projectId: "a" }),
    made("elsewhere", { runner: "other", projectId: "b" }),
    made("ours, lost", { runner: "me", projectId: "c" }),
    made("of the dead", { runner: "dead", projectId: "d", createdAtMs: 9 }),
    made("cancelled", { cancel: { atMs: 1, by: "x" }, createdAtMs: 99, projectId: "e" }),
    made("later", { notBeforeMs: 101 }),
    made("unknown", { kind: "strange" }),
    made("rare 1", { kind: "rare", createdAtMs: 1, projectId: "f" }),
    made("rare 2", { kind: "rare", createdAtMs: 2, projectId: "f" }),
    made("ended", { phase: "ended" }),
    ...[1, 2, 3, 4].map((i) => made(`b${i}`, { projectId: "b", createdAtMs: 60 + i })),
  ];
  const ids = (change: Partial<ChoiceView>): string[] => chooseJobs({ ...view, jobs, ...change }).map(({ id }) => id);
  assert.deepEqual(ids({}), ["cancelled", "rare 1", "of the dead", "ours, lost", "b1"]);
  assert.deepEqual(ids({ runningMax: 20 }), ["cancelled", "rare 1", "of the dead", "ours, lost", "b1", "b2"]);
  assert.deepEqual(ids({ runningMax: 1 }), []);
});

test("ended jobs are kept by number and age, the living always", () => {
  const ended = (id: string, projectId: string, endedAtMs: number): Job => job({ id, projectId, phase: "ended", endedAtMs });
  const jobs = [ended("a1", "a", 10), ended("a2", "a", 20), ended("a3", "a", 30), ended("b1", "b", 5), job({ createdAtMs: 0 })];
  const expired = (keptMax: number, ttlMs: number): string[] => chooseExpired(jobs, keptMax, ttlMs, 30).map(({ id }) => id);
  assert.deepEqual(expired(2, 100), ["a1"]);
  assert.deepEqual(expired(9, 15), ["a1", "b1"]);
  assert.deepEqual(expired(0, 100), ["a3", "a2", "a1", "b1"]);
});
