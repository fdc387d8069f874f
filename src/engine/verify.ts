// Checking what the engine keeps, against itself: records, maps, segments, checksums. Reads only; what a router owns and is
// writing is checked as far as it is committed. The cleaner works meanwhile, on logs with an owner and on those without: what
// it drops between two reads is no finding.
//
// - vDisk: name, log, exports agree. Snapshot: its cut is pinned. Log: ended epochs have all their segments, sequences follow on.
// - A record that cannot be read is a finding, and what hangs on it is left out: with an epoch or a cut all of its log.
// - Every view that something needs (head, snapshots, clones): each page reads and checks, each entry is in the index of its
//   segment with the same checksum; and with `data`, each cluster is read and checked.
// Findings are sentences for people; an empty list means clean.

import { AndironError } from "../common/errors.ts";
import { readAll, readLogState } from "./cleaner/log-state.ts";
import type { LogState } from "./cleaner/log-state.ts";
import type { PoolContext } from "./engine-context.ts";
import { diskClustersMax, engineLimits, pageFanout } from "./limits.ts";
import { BlockMap } from "./map/block-map.ts";
import type { Delta } from "./map/delta.ts";
import { PageSweep } from "./map/page-sweep.ts";
import type { Tree } from "./map/tree.ts";
import type { SegmentId } from "./names.ts";
import type { EpochRecord, LogRecord, NameRecord, RelocationRecord, SnapshotRecord, VdiskRecord } from "./records.ts";
import { keys, parseRecord, readableRecords } from "./records.ts";
import { ClusterCheck } from "./verify-clusters.ts";
import type { OpenedView } from "./view.ts";
import { openBase, openView } from "./view.ts";

export interface VerifyResult {
  findings: string[];
  logs: number;
  segments: number;
  views: number;
  /** Those that were found right, each once. */
  clusters: number;
  /** Views whose end only a living owner has, in its journal. */
  unchecked: number;
}

export type VerifyContext = Pick<PoolContext, "registry" | "backend" | "pages" | "segments" | "live" | "pool">;

const findingsMax = 1000;
const looksMax = 3;

export class Verifier {
  readonly #context: VerifyContext;
  readonly result: VerifyResult = { findings: [], logs: 0, segments: 0, views: 0, clusters: 0, unchecked: 0 };
  readonly #clusters: ClusterCheck;

  constructor(context: VerifyContext, options: { readonly readData: boolean }) {
    this.#context = context;
    const find = (finding: string): void => this.#find(finding);
    const { segments } = context;
    this.#clusters = new ClusterCheck({
      segments,
      readData: options.readData,
      find,
      gatheredMax: engineLimits.verifiedTogetherMax,
    });
  }

  /** Everything of the pool, or what one vDisk is made of. */
  async run(vdiskId?: string): Promise<VerifyResult> {
    const { registry, pool } = this.#context;
    const damaged = ({ message }: AndironError, key: string): void => {
      // Of a snapshot nobody knows whose it was.
      if (vdiskId === undefined || !key.startsWith(keys.vdisks) || key === keys.vdisk(vdiskId)) this.#find(message);
    };
    const vdisks = readableRecords<VdiskRecord>(await readAll(registry, keys.vdisks), damaged);
    const chosen = vdisks.filter((vdisk) => vdisk.pool === pool && (vdiskId === undefined || vdisk.id === vdiskId));
    for (const vdisk of chosen) await this.#attempt(`vDisk ${vdisk.id}`, () => this.#verifyVdisk(vdisk));
    for (const snapshot of readableRecords<SnapshotRecord>(await readAll(registry, keys.snapshots), damaged)) {
      if (snapshot.pool === pool && (vdiskId === undefined || snapshot.vdisk === vdiskId)) await this.#verifySnapshot(snapshot);
    }
    const logs =
      vdiskId === undefined
        ? readableRecords<LogRecord>(await readAll(registry, keys.logs), damaged)
            .filter((log) => log.pool === pool)
            .map((log) => log.id)
        : await this.#lineage(chosen.map((vdisk) => vdisk.log));
    for (const log of logs) await this.#lookAt(log);
    return this.result;
  }

  /** Looks at a log again before anything is said of it: the cleaner may have moved it under the looks before. */
  async #lookAt(log: string): Promise<void> {
    for (let look = 1; ; look++) {
      const before = { ...this.result, findings: [...this.result.findings] };
      await this.#attempt(`log ${log}`, () => this.#verifyLog(log));
      if (this.result.findings.length === before.findings.length || look === looksMax) return;
      Object.assign(this.result, { ...before, clusters: this.result.clusters });
      this.#clusters.lookAgain();
    }
  }

  async #verifyVdisk(vdisk: VdiskRecord): Promise<void> {
    const { registry } = this.#context;
    await this.#attempt(`vDisk ${vdisk.id}`, async () => {
      const name = await registry.get(keys.name(vdisk.pool, vdisk.name));
      if (name === undefined || parseRecord<NameRecord>(name.key, name.value).vdisk !== vdisk.id)
        this.#find(`vDisk ${vdisk.id}: its name ${vdisk.name} is not reserved for it`);
    });
    const log = await registry.get(keys.log(vdisk.log));
    if (log === undefined) return this.#find(`vDisk ${vdisk.id}: its log ${vdisk.log} has no record`);
    if (parseRecord<LogRecord>(log.key, log.value).vdisk !== vdisk.id)
      this.#find(`vDisk ${vdisk.id}: its log ${vdisk.log} is the head of another`);
    for (const id of vdisk.exports) {
      if ((await registry.get(keys.export(id))) === undefined) this.#find(`vDisk ${vdisk.id}: export ${id} has no record`);
    }
  }

  async #verifySnapshot(snapshot: SnapshotRecord): Promise<void> {
    const { view, id } = snapshot;
    if (snapshot.state !== "ready" || view === null) return;
    const cut = await this.#context.registry.get(keys.cut(view.log, view.cut, id));
    if (cut === undefined) this.#find(`snapshot ${id}: its cut ${view.cut} of log ${view.log} is not pinned`);
  }

  async #verifyLog(log: string): Promise<void> {
    if ((await this.#context.registry.get(keys.log(log))) === undefined) return; // deleted since it was listed
    const state = await readLogState(this.#context.registry, log);
    if (state.record.dead === true) return;
    this.result.logs++;
    await this.#verifySegments(state);
    const { checkpoint, vdisk } = state.record;
    if (vdisk !== null) {
      // What a cut beyond the checkpoint overwrites is dead, although the checkpoint's tree still names it.
      const overlaid = state.cuts.some(({ view }) => view.cut > (checkpoint?.sequence ?? 0));
      if (!overlaid) await this.#verifyView(`head of log ${log}`, () => openBase(this.#context, state.record, checkpoint));
      if (state.record.owner === null) {
        const view = { log, checkpoint, cut: state.record.sequence };
        await this.#verifyView(`end of log ${log}`, () => openView(this.#context, view));
      }
    }
    for (const { view, holder } of state.cuts) {
      if (state.record.owner !== null && !(await this.#isCommitted(state, view.cut))) continue;
      await this.#verifyView(`cut ${view.cut} of log ${log} (${holder.kind} ${holder.id})`, () => openView(this.#context, view));
    }
  }

  /** True when replay up to the cut needs nothing that only the owner has. */
  async #isCommitted(state: LogState, cut: number): Promise<boolean> {
    return state.record.checkpoint !== null && cut <= state.record.checkpoint.sequence;
  }

  /** Segments of ended epochs: there, whole, and their sequences follow on. */
  async #verifySegments(state: LogState): Promise<void> {
    for (const epoch of state.epochs) {
      if (epoch.last === undefined || (state.record.owner !== null && state.record.checkpoint === null)) continue;
      let previous: number | undefined;
      for (let number = epoch.first ?? 1; number <= epoch.last; number++) {
        const segment = { log: state.record.id, epoch: epoch.epoch, number };
        if (state.record.owner !== null && !this.#isBelowCheckpoint(state, segment)) break;
        previous = await this.#verifySegment(segment, previous);
      }
    }
  }

  #isBelowCheckpoint({ record }: LogState, segment: SegmentId): boolean {
    const next = record.checkpoint?.next;
    return next !== undefined && (segment.epoch < next.epoch || (segment.epoch === next.epoch && segment.number < next.number));
  }

  async #verifySegment(segment: SegmentId, previous: number | undefined): Promise<number | undefined> {
    const name = `segment ${segment.epoch}-${segment.number} of log ${segment.log}`;
    const findingsBefore = this.result.findings.length;
    let last: number | undefined;
    const look = async (): Promise<void> => {
      const index = await this.#context.segments.loadIndex(segment);
      if (index === undefined) return this.#find(`${name} is missing`);
      this.result.segments++;
      if (previous !== undefined && index.header.firstSequence !== previous + 1)
        this.#find(`${name} begins at record ${index.header.firstSequence}, after ${previous}`);
      last = index.footer.lastSequence;
    };
    await this.#attempt(name, async () => {
      if (await this.#isDropped(segment)) return;
      await this.#attempt(name, look);
      if (last === undefined && (await this.#isDropped(segment))) this.result.findings.length = findingsBefore;
    });
    return last;
  }

  /** True when the registry says that nobody needs the segment: its relocation does, or its epoch begins after it. */
  async #isDropped(segment: SegmentId): Promise<boolean> {
    const { registry } = this.#context;
    const relocation = await registry.get(keys.relocation(segment));
    if (relocation !== undefined) return parseRecord<RelocationRecord>(relocation.key, relocation.value).dropped === true;
    const epoch = await registry.get(keys.epoch(segment.log, segment.epoch));
    return epoch === undefined || (parseRecord<EpochRecord>(epoch.key, epoch.value).first ?? 1) > segment.number;
  }

  async #verifyView(what: string, open: () => Promise<OpenedView>): Promise<void> {
    await this.#attempt(what, async () => {
      const { tree, delta } = await open();
      this.result.views++;
      const sweep = new PageSweep(this.#context.pages);
      try {
        await this.#gather(what, tree, delta, sweep);
      } finally {
        sweep.end();
      }
    });
    // Also what was gathered before a page that is damaged.
    await this.#attempt(what, () => this.#clusters.check(what));
    this.result.clusters = this.#clusters.count;
  }

  async #gather(what: string, tree: Tree, delta: Delta, sweep: PageSweep): Promise<void> {
    const map = new BlockMap(tree, delta);
    for (let next = 0; ; next += pageFanout) {
      const first = Math.min(await tree.nextLeafWithData(next, sweep), delta.nextEntry(next));
      if (first >= diskClustersMax) break;
      next = first - (first % pageFanout);
      const { handles, offsets, crcs } = await map.resolveLoading(next, pageFanout, sweep);
      for (let i = 0; i < pageFanout; i++) {
        const place = { cluster: next + i, handle: handles[i]!, offset: offsets[i]!, crc: crcs[i]! };
        if (place.handle !== 0 && this.#clusters.add(place)) await this.#clusters.check(what);
      }
    }
  }

  async #lineage(heads: readonly string[]): Promise<string[]> {
    const logs: string[] = [];
    for (const head of heads) {
      for (let id: string | undefined = head; id !== undefined && !logs.includes(id);) {
        const entry = await this.#context.registry.get(keys.log(id));
        if (entry === undefined) break;
        logs.push(id); // what is wrong with its record is found with it
        id = readableRecords<LogRecord>([entry], () => undefined)[0]?.parent?.log;
      }
    }
    return logs;
  }

  async #attempt(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof AndironError)) throw error;
      if (error.code === "owner_unreachable") this.result.unchecked++;
      else this.#find(`${what}: ${error.message}`);
    }
  }

  #find(finding: string): void {
    if (this.result.findings.length < findingsMax) this.result.findings.push(finding);
  }
}
