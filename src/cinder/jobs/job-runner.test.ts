// Long jobs in a running Cinder: a cascade that ends, is cancelled, fails; the bounds of the queue; a delete that another
// job makes way for; what another process left, and what a newer build left.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { AndironError } from "../../common/errors.ts";
import { admin, member, openFixture, type CinderFixture, type FixtureOptions } from "../cinder-fixture.ts";
import { invalid } from "../faults.ts";
import { defaultListQuery } from "../list-query.ts";
import type { CinderPorts } from "../ports.ts";
import { deleteRecord, jobKind, jobRunnerKind, keyOf, parseRecord, readRecord, volumeKind, writeRecord } from "../records.ts";
import { defaultSettings } from "../settings.ts";
import type { JobKind, JobRun } from "./job-kind.ts";
import { cancelJob } from "./job-queue.ts";
import { newJob } from "./job-states.ts";
import type { Job } from "./job.ts";

interface JobFixture extends CinderFixture {
  readonly ports: CinderPorts;
}

async function open(t: TestContext, options: FixtureOptions = {}, kinds: readonly JobKind[] = []): Promise<JobFixture> {
  let ports: CinderPorts | undefined;
  const fixture = await openFixture(t, {
    ...options,
    jobKinds: (given) => {
      ports ??= given;
      return kinds;
    },
  });
  return { ...fixture, ports: ports! };
}

async function makeVolume({ cinder }: CinderFixture, snapshots: number): Promise<string> {
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  for (let i = 0; i < snapshots; i++) await cinder.snapshots.create(member, { volumeId: volume.id, allowInUse: false });
  return volume.id;
}

async function jobsIn({ registry }: CinderFixture): Promise<Job[]> {
  const { entries } = await registry.range({ prefix: jobKind.prefix });
  return entries.map((entry) => parseRecord(jobKind, entry.key, entry.value));
}

async function usageIn({ cinder }: CinderFixture): Promise<(number | undefined)[]> {
  const set = await cinder.quotas.show(member, "demo");
  return ["volumes", "snapshots", "gigabytes"].map((key) => set[key]?.inUse);
}

const cascade = { cascade: true, force: false } as const;

test("a cascade is a job that ends with the volume, and says how much it did", async (t) => {
  const fixture = await open(t);
  const id = await makeVolume(fixture, 6);
  await fixture.cinder.volumes.delete(member, id, cascade);
  await fixture.cinder.idle();
  const [job] = await jobsIn(fixture);
  assert.deepEqual([job?.phase, job?.verdict?.outcome, job?.generation], ["ended", "done", 1]);
  assert.deepEqual(job?.progress, { unit: "snapshots", done: 6, total: 6 });
  assert.deepEqual(await usageIn(fixture), [0, 0, 0]);
  const { byState, oldestMs } = fixture.cinder.jobCounts();
  assert.deepEqual([byState.done, byState.running, oldestMs], [1, 0, 0]);
  assert.deepEqual(fixture.troubles, []);
});

test("a job that cannot be done ends in error with a message, and the rest of the volume is whole", async (t) => {
  const fixture = await open(t);
  const { cinder, control } = fixture;
  const id = await makeVolume(fixture, 5);
  const { deleteSnapshot } = control;
  let calls = 0;
  t.mock.method(control, "deleteSnapshot", (tx: Parameters<typeof deleteSnapshot>[0], snapshot: string) => {
    if (++calls > 4) throw new AndironError("record_damaged", "the log is lost");
    return deleteSnapshot.call(control, tx, snapshot);
  });
  await cinder.volumes.delete(member, id, cascade);
  await cinder.idle();
  const { volume } = await cinder.volumes.show(member, id);
  assert.deepEqual([volume.status, volume.jobId, volume.snapshotCount], ["error_deleting", undefined, 1]);
  assert.deepEqual(await usageIn(fixture), [1, 1, 2]);
  const [message] = (await cinder.messages.list(member, defaultListQuery)).items;
  assert.deepEqual([message?.eventId, message?.resourceId], ["VOLUME_VOLUME_010_001", id]);
  assert.match(message?.userMessage ?? "", /the log is lost/);
  assert.deepEqual(
    (await jobsIn(fixture)).map((job) => [job.phase, job.verdict?.outcome]),
    [["ended", "failed"]],
  );
});

test("a failure that may pass is tried again later, and by then it is cancelled", async (t) => {
  const fixture = await open(t);
  const { cinder, control, ports } = fixture;
  const id = await makeVolume(fixture, 5);
  t.mock.method(control, "deleteSnapshot", () => {
    throw new AndironError("backend_unavailable", "away");
  });
  await cinder.volumes.delete(member, id, cascade);
  await cinder.idle();
  const [waiting] = await jobsIn(fixture);
  assert.deepEqual([waiting?.phase, waiting?.runner, waiting?.failures, waiting?.lastError], ["work", null, 1, "away"]);
  assert.ok(waiting!.notBeforeMs! > waiting!.updatedAtMs);
  assert.equal(cinder.jobCounts().byState.waiting, 1);
  await ports.store.commit("x", (tx) => cancelJob(tx, waiting!.id, "a test", 1));
  await cinder.idle();
  const { volume } = await cinder.volumes.show(member, id);
  assert.deepEqual([volume.status, volume.jobId, volume.snapshotCount], ["available", undefined, 5]);
  const [ended] = await jobsIn(fixture);
  assert.deepEqual(ended?.verdict, { outcome: "cancelled", reason: "cancelled by a test" });
});

test("a request that finds the queue full is refused, and changes nothing", async (t) => {
  const jobs = { ...defaultSettings.jobs, waitingPerProjectMax: 1 };
  const fixture = await open(t, { settings: { jobs } });
  const [first, second] = [await makeVolume(fixture, 2), await makeVolume(fixture, 2)];
  const strange = { name: "of-a-newer-build", version: 1, unit: "x", deadlineMs: 1 } as unknown as JobKind;
  const request = { id: "strange", projectId: "demo", requestId: "r", resource: { type: "x", id: "x" }, params: {}, total: 1 };
  await fixture.ports.store.commit("x", async (tx) => writeRecord(tx, jobKind, "strange", newJob(strange, request, Date.now())));
  const isFull = (error: unknown): boolean => error instanceof AndironError && error.code === "limit_exceeded";
  await assert.rejects(fixture.cinder.volumes.delete(member, first, cascade), isFull);
  assert.equal((await fixture.cinder.volumes.show(member, first)).volume.status, "available");
  await fixture.cinder.idle();
  assert.equal(fixture.cinder.jobCounts().byState.unknown, 1);
  assert.match(fixture.troubles.join("\n"), /job strange is left alone/);
  await fixture.ports.store.commit("x", async (tx) => deleteRecord(tx, jobKind, "strange"));
  await fixture.cinder.volumes.delete(member, second, cascade);
  await fixture.cinder.idle();
  assert.deepEqual(await usageIn(fixture), [1, 2, 3]);
});

test("the job of a process whose record is gone is taken over, that of one that is there is not", async (t) => {
  const fixture = await open(t);
  const { cinder, ports } = fixture;
  const id = await makeVolume(fixture, 2);
  const dead = { v: 1, id: "dead", host: "h", startedAtMs: 0 } as const;
  await ports.store.commit("x", async (tx) => {
    const volume = (await readRecord(tx, volumeKind, id))!;
    const request = { id: "left", projectId: "demo", requestId: "r", resource: { type: "volume", id }, params: {}, total: 2 };
    const kind = { name: "volume-delete-cascade", version: 1, unit: "snapshots", deadlineMs: 1e9 } as JobKind;
    const job = { ...newJob(kind, request, Date.now()), runner: "dead", generation: 7 };
    writeRecord(tx, jobKind, "left", job);
    writeRecord(tx, volumeKind, id, { ...volume, status: "deleting", jobId: "left" });
    writeRecord(tx, jobRunnerKind, "dead", dead);
  });
  await cinder.idle();
  assert.deepEqual(
    (await jobsIn(fixture)).map((job) => [job.runner, job.generation]),
    [["dead", 7]],
  );
  await fixture.registry.transact({ compares: [], success: [{ kind: "delete", key: keyOf(jobRunnerKind, "dead") }] });
  await ports.store.commit("x", async (tx) => deleteRecord(tx, jobRunnerKind, "nobody")); // moves the index on
  await cinder.idle();
  assert.deepEqual(
    (await jobsIn(fixture)).map((job) => [job.phase, job.generation]),
    [["ended", 8]],
  );
  assert.deepEqual(await usageIn(fixture), [0, 0, 0]);
});

test("a forced delete cancels another job that works on the volume, waits for its end, and goes on", async (t) => {
  const seen: string[] = [];
  const slow: JobKind = {
    name: "slow",
    version: 1,
    unit: "x",
    runningMax: 1,
    stepTimeoutMs: 60_000,
    deadlineMs: 1e9,
    async work(_job, run) {
      seen.push("work");
      await new Promise<void>((resolve) => run.signal.addEventListener("abort", () => resolve()));
      throw invalid("broken off");
    },
    advance: () => Promise.resolve({ next: "done" }),
    async undo() {
      seen.push("undo");
      return "done";
    },
    async settle(tx, job) {
      const { jobId: _ended, ...volume } = (await readRecord(tx, volumeKind, job.resource.id))!;
      writeRecord(tx, volumeKind, volume.id, { ...volume, status: "error" });
    },
  };
  const fixture = await open(t, {}, [slow]);
  const id = await makeVolume(fixture, 0);
  await fixture.ports.store.commit("x", async (tx) => {
    const volume = (await readRecord(tx, volumeKind, id))!;
    const request = { id: "slow", projectId: "demo", requestId: "r", resource: { type: "volume", id }, params: {}, total: 1 };
    writeRecord(tx, jobKind, "slow", newJob(slow, request, Date.now()));
    writeRecord(tx, volumeKind, id, { ...volume, status: "downloading", jobId: "slow" });
  });
  while (seen.length === 0) await fixture.clock.sleep(20);
  await assert.rejects(fixture.cinder.volumes.delete(member, id, { cascade: false, force: false }), /Volume status must be/);
  await fixture.cinder.volumeActions.forceDelete(admin, id);
  assert.deepEqual(seen, ["work", "undo"]);
  assert.deepEqual(await usageIn(fixture), [0, 0, 0]);
  assert.equal((await jobsIn(fixture))[0]?.verdict?.outcome, "cancelled");
});

test("a step that goes on after it was given up may do nothing any more, while what it did is undone", async (t) => {
  const runs: JobRun[] = [];
  let seen: unknown;
  const deaf: JobKind = {
    name: "deaf",
    version: 1,
    unit: "x",
    runningMax: 1,
    triesMax: 1,
    stepTimeoutMs: 50,
    deadlineMs: 1e9,
    work(_job, run) {
      runs.push(run);
      return new Promise(() => undefined);
    },
    advance: () => Promise.resolve({ next: "done" }),
    async undo(_job, run) {
      const [old] = runs;
      seen = [old!.signal.aborted, old!.mayAct(), old!.shouldYield(), run.signal.aborted, run.mayAct(), run.shouldYield()];
      return "done";
    },
    settle: () => Promise.resolve(),
  };
  const fixture = await open(t, {}, [deaf]);
  const id = await makeVolume(fixture, 0);
  await fixture.ports.store.commit("x", async (tx) => {
    const request = { id: "deaf", projectId: "demo", requestId: "r", resource: { type: "volume", id }, params: {}, total: 1 };
    writeRecord(tx, jobKind, "deaf", newJob(deaf, request, Date.now()));
  });
  await fixture.cinder.idle();
  assert.deepEqual(seen, [true, false, true, false, true, false]);
  assert.equal((await jobsIn(fixture))[0]?.verdict?.outcome, "failed");
});
