// What it takes to read and clean disks without owning them: for tools beside a running service.

import { systemClock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import { systemRandom } from "../common/random.ts";
import type { ObjectBackend } from "../engine/backend/backend.ts";
import { CleanerHints } from "../engine/cleaner/hints.ts";
import type { CleanerContext, EngineLog, EngineSettings } from "../engine/engine-context.ts";
import { Pages } from "../engine/map/pages.ts";
import type { SegmentId } from "../engine/names.ts";
import type { RelocationRecord } from "../engine/records.ts";
import { comparePositions, keys, parseRecord } from "../engine/records.ts";
import { Segments } from "../engine/segments.ts";
import { readLog } from "../engine/view.ts";
import type { Registry } from "../registry/registry.ts";

export interface ViewerOptions {
  readonly pool: string;
  readonly registry: Registry;
  readonly backend: ObjectBackend;
  readonly settings: EngineSettings;
  readonly log: EngineLog;
}

export function openViewer({ pool, registry, backend, settings, log }: ViewerOptions): CleanerContext {
  const segments = new Segments(backend, async (segment) => {
    const entry = await registry.get(keys.relocation(segment));
    return entry === undefined ? 0 : parseRecord<RelocationRecord>(entry.key, entry.value).generation;
  });
  const pages = new Pages({ backend, handles: segments, bytesMax: settings.mapCacheBytes });
  const live = {
    // Only its owner has what is neither uploaded nor below the checkpoint.
    async liveSegment(segment: SegmentId): Promise<undefined> {
      const { owner, checkpoint } = await readLog(registry, segment.log);
      const isCommitted = checkpoint !== null && comparePositions(segment, checkpoint.next) < 0;
      if (owner === null || isCommitted || (await segments.loadIndex(segment)) !== undefined) return;
      throw new AndironError("owner_unreachable", "this part of the log is still in its owner's journal");
    },
  };
  const shared = { pool, registry, backend, pages, segments, live, settings, log };
  // No router's id: only what nobody owns is touched.
  const [hints, guests] = [new CleanerHints(), { bytes: 0, threadMs: () => 0 }];
  return { ...shared, hints, guests, clock: systemClock, random: systemRandom, router: "andiron-manage" };
}
