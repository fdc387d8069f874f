// One pass over the segments of a log: which to look at, what to do with each.
//
//     cuts that are gone ──► what only they held is counted (freed-space.ts)
//     covered by the checkpoint, and (unknown, doubted | hinted dead enough) ──► exact liveness
//        ├─ too much dead ─► compacted     ├─ nothing live, nobody replays it ─► dropped     └─ else left
//
// - Segments that the head still replays are left alone: they are young, and may be local.
// - A pass looks at a bounded number of segments, and compacts fewer; the next one goes on with the others (look-choice.ts).
//   So it does when the log changed under a pass that had got somewhere.
// - Indexes are read a few segments ahead of the one that is looked at.
// - What may have killed much of the log at once (a rescan, a lost head) makes all its segments doubted.
// - Dropped segments at the beginning of an epoch move its `first`, and their relocation records go.

import { AndironError } from "../../common/errors.ts";
import { backgroundTurn } from "../../common/turn.ts";
import { WorkAhead } from "../../common/work-ahead.ts";
import { atomically } from "../../registry/atomic.ts";
import type { CleanerContext } from "../engine-context.ts";
import { engineLimits } from "../limits.ts";
import type { SegmentId } from "../names.ts";
import type { EpochRecord, LogPosition, RelocationRecord } from "../records.ts";
import { comparePositions, keys, parseRecord } from "../records.ts";
import type { SegmentIndex } from "../segments.ts";
import { Findings } from "./findings.ts";
import { FreedSpace } from "./freed-space.ts";
import { JudgeViews } from "./judge-views.ts";
import { Liveness } from "./liveness.ts";
import { LookChoice } from "./look-choice.ts";
import { Pace } from "./pace.ts";
import type { LogState } from "./log-state.ts";
import { assertHolds, firstReplayed, hasHead, readLogState } from "./log-state.ts";

export interface SegmentPass {
  compacted: number;
  dropped: number;
  examined: number;
  /** Nothing is left to look at. */
  complete: boolean;
}

const examinedPerPassMax = 256;
const trimmedPerPassMax = 40;
/** Segments that are passed over in one turn of the event loop. */
const segmentsPerTurn = 1000;

export class SegmentCleaner {
  readonly #context: CleanerContext;
  readonly #freed: FreedSpace;
  /** Logs that had no head when they were last cleaned. */
  readonly #headless = new Set<string>();
  /** By log: up to where its doubtful segments have been looked at. */
  readonly #doubtedUpTo = new Map<string, LogPosition>();
  readonly #pace: Pace;

  constructor(context: CleanerContext) {
    this.#context = context;
    this.#freed = new FreedSpace(context);
    this.#pace = new Pace(context);
  }

  /** A pass that counts what was freed ends soon, and rejects; one that waits for its turn to compact is refused it. */
  stop(): void {
    this.#freed.stop();
    this.#pace.stop();
  }

  /** Logs that this cleaner cleans: what others keep is not its business. */
  cleansOnly(logs: ReadonlySet<string>): void {
    this.#pace.keepsOnly(logs);
  }

  /** The log is gone. */
  forget(log: string): void {
    this.#headless.delete(log);
    this.#doubtedUpTo.delete(log);
    this.#freed.forget(log);
  }

  /** `deaths`: as the hints had them before the state was read. */
  async clean(state: LogState, deaths: Uint32Array): Promise<SegmentPass> {
    const pass: SegmentPass = { compacted: 0, dropped: 0, examined: 0, complete: true };
    const views = new JudgeViews(this.#context, state);
    await this.#freed.count(state, views, deaths);
    if (this.#mayHaveDied(state)) await this.#doubtAll(state);
    const liveness = new Liveness(state, views, this.#context.pages);
    const replayed = firstReplayed(state);
    const choice = await this.#choose(state, replayed);
    const wanted = choice.taken();
    pass.complete = wanted.length === choice.count;
    const looks = new WorkAhead(wanted.length, engineLimits.cleanerOperationsMax, (at) => this.#look(wanted[at]!));
    const findings = new Findings(this.#context, state, deaths, this.#pace);
    try {
      for (const segment of wanted) {
        if (findings.isFull) {
          pass.complete = false;
          break;
        }
        const index = await looks.take();
        if (index === undefined) this.#context.hints.dropped(this.#context.segments.handleOf(segment));
        else await this.#judge({ segment, index }, liveness, replayed, findings, deaths);
        if (index !== undefined) pass.examined++;
        choice.looked(segment);
      }
      await findings.finish();
      if (findings.dropped > 0) await this.#trim(state);
    } catch (error) {
      // What was found before another segment was found to be damaged is so. (A backend that is away is not asked for more.)
      if (isDamage(error)) await findings.finish().catch(() => undefined);
      if (!isConflict(error) || findings.compacted + findings.dropped === 0) throw error;
      pass.complete = false;
      await this.#trim(await readLogState(this.#context.registry, state.record.id)).catch(unlessConflict);
    } finally {
      await looks.settled();
    }
    return { ...pass, compacted: findings.compacted, dropped: findings.dropped };
  }

  async #choose(state: LogState, replayed: LogPosition): Promise<LookChoice> {
    const { hints, segments, settings } = this.#context;
    const choice = new LookChoice(state.record.id, this.#doubtedUpTo, examinedPerPassMax);
    let [seen, stored, live] = [0, 0, 0];
    for (const segment of cleanableSegments(state)) {
      if (++seen % segmentsPerTurn === 0) await backgroundTurn();
      const handle = segments.handleOf(segment);
      if (hints.isDropped(handle)) continue;
      const worth = hints.worthOf(handle, settings.cleanerDeadShare);
      const counts = hints.countsOf(handle);
      stored += counts.clusters;
      live += counts.live;
      // What is empty already can only be dropped.
      if (worth === undefined || (hints.isEmpty(handle) && comparePositions(segment, replayed) >= 0)) continue;
      choice.offer(segment, worth, counts.live / counts.clusters);
    }
    this.#pace.keeps(state.record.id, { stored, live });
    return choice;
  }

  #mayHaveDied(state: LogState): boolean {
    const { record } = state;
    const isHeadless = !hasHead(state);
    const lostHead = isHeadless && !this.#headless.has(record.id);
    if (isHeadless) this.#headless.add(record.id);
    return this.#context.hints.takeRescan(record.id) || lostHead;
  }

  async #doubtAll(state: LogState): Promise<void> {
    let seen = 0;
    for (const segment of cleanableSegments(state)) {
      if (++seen % segmentsPerTurn === 0) await backgroundTurn();
      this.#context.hints.doubt(this.#context.segments.handleOf(segment));
    }
  }

  async #judge(
    { segment, index }: { readonly segment: SegmentId; readonly index: SegmentIndex },
    liveness: Liveness,
    replayed: LogPosition,
    findings: Findings,
    deaths: Uint32Array,
  ): Promise<void> {
    const handle = this.#context.segments.handleOf(segment);
    const found = await liveness.of(index.encoded, handle);
    const { dataClusters, liveClusters } = found;
    const dead = dataClusters - liveClusters;
    const isEmpty = liveClusters === 0 && comparePositions(segment, replayed) < 0;
    if (!isEmpty && dead > 0 && dead >= dataClusters * this.#context.settings.cleanerDeadShare) {
      return findings.sparse({ segment, index, live: await found.whole(), handle });
    }
    index.giveBack();
    if (isEmpty) return findings.empty({ segment, generation: index.generation, handle });
    return this.#context.hints.looked(handle, dataClusters, liveClusters, deaths);
  }

  /** Its index, lent; undefined when it is dropped. */
  async #look(segment: SegmentId): Promise<SegmentIndex | undefined> {
    if (await this.#isDropped(segment)) return undefined;
    const index = await this.#context.segments.lendIndex(segment);
    if (index !== undefined) return index;
    throw new AndironError(
      "segment_damaged",
      `segment ${segment.epoch}-${segment.number} of log ${segment.log} is missing from the backend`,
    );
  }

  /** Whether the record says so; if not, its generation is read from now on, although an older one may still be there. */
  async #isDropped(segment: SegmentId): Promise<boolean> {
    const key = keys.relocation(segment);
    const entry = await this.#context.registry.get(key);
    if (entry === undefined) return false;
    const { dropped, generation } = parseRecord<RelocationRecord>(key, entry.value);
    if (dropped !== true) this.#context.segments.setGeneration(segment, generation);
    return dropped === true;
  }

  async #trim(state: LogState): Promise<void> {
    for (const epoch of state.epochs) await this.#trimEpoch(state, epoch);
  }

  /** Moves the epoch's `first` past what is dropped, and removes the relocation records of that. */
  async #trimEpoch(state: LogState, epoch: EpochRecord): Promise<void> {
    await atomically(this.#context.registry, this.#context, async (tx) => {
      await assertHolds(tx, state);
      const key = keys.epoch(state.record.id, epoch.epoch);
      const text = await tx.get(key);
      if (text === undefined) return;
      const present = parseRecord<EpochRecord>(key, text);
      const start = present.first ?? 1;
      let first = start;
      while (first - start < trimmedPerPassMax && (present.last === undefined || first <= present.last)) {
        const relocationKey = keys.relocation({ log: state.record.id, epoch: epoch.epoch, number: first });
        const relocation = await tx.get(relocationKey);
        if (relocation === undefined || parseRecord<RelocationRecord>(relocationKey, relocation).dropped !== true) break;
        tx.delete(relocationKey);
        first++;
      }
      if (first > start) tx.put(key, JSON.stringify({ ...present, first } satisfies EpochRecord));
    });
  }
}

const isConflict = (error: unknown): boolean => error instanceof AndironError && error.code === "transaction_conflict";

const isDamage = (error: unknown): boolean => error instanceof AndironError && error.kind === "data" && !isConflict(error);

/** What changed meanwhile is left to the next pass. */
function unlessConflict(error: unknown): void {
  if (!isConflict(error)) throw error;
}

/** Segments that are on the backend for certain and that the head does not replay. */
export function* cleanableSegments(state: LogState): Generator<SegmentId> {
  const { record, epochs } = state;
  const end = hasHead(state) || record.owner !== null ? (record.checkpoint?.next ?? { epoch: 0, number: 0 }) : undefined;
  for (const epoch of epochs) {
    for (let number = epoch.first ?? 1; epoch.last === undefined || number <= epoch.last; number++) {
      const segment = { log: record.id, epoch: epoch.epoch, number };
      if (end === undefined ? epoch.last === undefined : comparePositions(segment, end) >= 0) break;
      yield segment;
    }
  }
}
