// A journal on the fault disk, and recovery from what it left there: what the tests of both share.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { systemClock } from "../../common/clock.ts";
import { seededRandom } from "../../common/random.ts";
import { FaultDisk } from "../fault-disk.fixture.ts";
import { entriesOf, recordKinds } from "../format/segment.ts";
import { clusterBytes, KiB } from "../limits.ts";
import type { SegmentId } from "../names.ts";
import { journalFileName } from "../names.ts";
import type { JournalCounts } from "./journal-counts.ts";
import { newJournalCounts } from "./journal-counts.ts";
import { Journal } from "./journal.ts";
import type { RecoveredEpoch } from "./recovery.ts";
import { recoverEpoch } from "./recovery.ts";

export const log = "6f1b6c1e-3f0f-4a59-9d0f-0a53b7e6a001";
export const epoch = 3;
/** Last sequence before the epoch. */
export const before = 100;
const root = mkdtempSync(join(tmpdir(), "andiron-recovery-"));
after(() => rmSync(root, { recursive: true, force: true }));

export interface Written {
  readonly directory: string;
  readonly disk: FaultDisk;
  readonly journal: Journal;
  readonly counts: JournalCounts;
  /** Last sequence and file of each append, in order. */
  readonly appends: { readonly sequence: number; readonly number: number; readonly end: number }[];
  write(clusters: number): Promise<void>;
}

let directories = 0;

/** A journal of small files, still open. Abandon it before its files are read. */
export async function begin(segmentBytes = 64 * KiB): Promise<Written> {
  const directory = join(root, String(++directories));
  const disk = new FaultDisk();
  await disk.makeDirectory(`${directory}/${log}`);
  let handles = 0;
  const counts = newJournalCounts();
  const journal = new Journal({
    disk,
    directory,
    log,
    epoch,
    sequence: before,
    segmentBytes,
    handles: { handleOf: () => ++handles, segmentOf: (): SegmentId => ({ log, epoch, number: 1 }) },
    clock: { ...systemClock, after: () => ({ cancel: () => undefined }) },
    random: seededRandom(directories),
    counts,
    onCreated: () => undefined,
    onFull: () => undefined,
    onSealed: () => undefined,
    onDiscarded: () => undefined,
  });
  await journal.begin();
  const appends: Written["appends"] = [];
  const write = async (clusters: number): Promise<void> => {
    const data = Buffer.alloc(clusters * clusterBytes, appends.length + 1);
    const { file } = await journal.append([
      { kind: recordKinds.data, firstCluster: appends.length, clusterCount: clusters, data },
    ]);
    appends.push({ sequence: journal.sequence, number: file.segment.number, end: file.length });
  };
  return { directory, disk, journal, counts, appends, write };
}

export const pathOf = (written: Written, number: number): string =>
  `${written.directory}/${journalFileName({ log, epoch, number })}`;

export const recover = (written: Written): Promise<RecoveredEpoch> =>
  recoverEpoch({ disk: written.disk, directory: written.directory, log, epoch, first: 1, sequence: before });

export const sequencesOf = (recovered: RecoveredEpoch): number[] =>
  recovered.segments.flatMap((segment) => entriesOf(segment.index).map((entry) => entry.sequence));

/** What recovery found must be found by a second one too, from what the first left. */
export async function assertRepeatable(written: Written, first: RecoveredEpoch): Promise<void> {
  const second = await recover(written);
  assert.deepEqual(sequencesOf(second), sequencesOf(first));
  assert.deepEqual([second.last, second.lastSequence], [first.last, first.lastSequence]);
}
