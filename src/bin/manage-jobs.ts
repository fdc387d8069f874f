// andiron-manage jobs: what long jobs there are, one of them in full, and the end of one. It reads and writes the records, so
// that it works beside the running service and without it; without it a cancel waits for the next start.

import { cancelJob } from "../cinder/jobs/job-queue.ts";
import { shownState } from "../cinder/jobs/job-states.ts";
import type { Job } from "../cinder/jobs/job.ts";
import { RecordStore } from "../cinder/record-store.ts";
import { jobKind, jobRunnerKind, keyOf, parseRecord } from "../cinder/records.ts";
import { systemClock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import { systemRandom } from "../common/random.ts";
import { readAll } from "../engine/cleaner/log-state.ts";
import type { Entry, Registry } from "../registry/registry.ts";

type Row = Readonly<Record<string, unknown>>;

/** Those that have not ended, oldest first; with `all` the others too. A record that this build can't read is a row as well. */
export async function listJobs(registry: Registry, all: boolean, triesMax: number): Promise<Row[]> {
  const runners = await readRunners(registry);
  const rows: { row: Row; createdAtMs: number }[] = [];
  for (const entry of await readAll(registry, jobKind.prefix)) {
    const job = readJob(entry);
    if (job === undefined) rows.push({ row: unreadable(entry), createdAtMs: 0 });
    else if (all || job.phase !== "ended") rows.push({ row: rowOf(job, runners, triesMax), createdAtMs: job.createdAtMs });
  }
  return rows.sort((a, b) => a.createdAtMs - b.createdAtMs).map(({ row }) => row);
}

/** Throws job_not_found. */
export async function showJob(registry: Registry, id: string, triesMax: number): Promise<Row> {
  const entry = await registry.get(keyOf(jobKind, id));
  if (entry === undefined) throw new AndironError("job_not_found", `there is no job ${id}`);
  const job = parseRecord(jobKind, entry.key, entry.value);
  return { state: stateOf(job, await readRunners(registry), triesMax), ...job };
}

/** Asks for its end, and does not wait for it. Throws job_not_found when there is none, or it has ended. */
export async function askForEnd(registry: Registry, id: string): Promise<void> {
  const store = new RecordStore({ registry, clock: systemClock, random: systemRandom });
  const isAsked = await store.commit("jobs", (tx) => cancelJob(tx, id, "an operator", systemClock.wallMs()));
  if (!isAsked) throw new AndironError("job_not_found", `there is no job ${id}, or it has ended`);
}

function rowOf(job: Job, runners: ReadonlySet<string>, triesMax: number): Row {
  const { id, kind, projectId, resource, progress, retries, createdAtMs, cancel } = job;
  return {
    id,
    kind,
    state: stateOf(job, runners, triesMax),
    resource: `${resource.type} ${resource.id}`,
    project: projectId,
    progress: `${progress.done}/${progress.total ?? "?"} ${progress.unit}`,
    retries,
    cancelled: cancel === undefined ? "no" : "yes",
    since: new Date(createdAtMs).toISOString(),
  };
}

/** This program has no kinds: what the service does not know is not told apart from what waits. */
function stateOf(job: Job, runners: ReadonlySet<string>, triesMax: number): string {
  return shownState(job, { isKnown: true, isHeld: job.runner !== null && runners.has(job.runner), triesMax });
}

async function readRunners(registry: Registry): Promise<ReadonlySet<string>> {
  const entries = await readAll(registry, jobRunnerKind.prefix);
  return new Set(entries.map((entry) => parseRecord(jobRunnerKind, entry.key, entry.value).id));
}

function readJob(entry: Entry): Job | undefined {
  try {
    return parseRecord(jobKind, entry.key, entry.value);
  } catch {
    return undefined;
  }
}

function unreadable(entry: Entry): Row {
  const id = entry.key.slice(jobKind.prefix.length);
  const unread = { resource: "", project: "", progress: "", retries: "", cancelled: "", since: "" };
  return { id, kind: "", state: "unreadable", ...unread };
}
