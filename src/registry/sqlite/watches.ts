// The server's side of watches: each one is a position in the revision log, moved up one revision at a time.
//
// - What is sent and not yet taken by the reader is bounded; a watch that is full stands still, and goes on from the log.
// - A turn moves a watch over at most `revisionsPerTurnMax` revisions, so that one that starts far back does not hold
//   up transactions.
// - Whether own or foreign, new or old, a change is delivered by the same code from the same log.

import { AndironError } from "../../common/errors.ts";
import { registryLimits } from "../registry.ts";
import type { WatchEvent, WatchRequest } from "../registry.ts";
import { toWire } from "./protocol.ts";
import type { Reply } from "./protocol.ts";
import type { Store } from "./store.ts";

const revisionsPerTurnMax = 256;

interface Position {
  readonly prefix: string;
  readonly progress: boolean;
  next: number;
  /** Last revision that was sent, as changes or as a progress mark. */
  shown: number;
  pendingBatches: number;
  pendingBytes: number;
}

function below(prefix: string, events: readonly WatchEvent[]): readonly WatchEvent[] {
  return prefix === "" ? events : events.filter((event) => event.key.startsWith(prefix));
}

function isFull(position: Position): boolean {
  return (
    position.pendingBatches >= registryLimits.watchBacklogBatchesMax ||
    position.pendingBytes >= registryLimits.watchBacklogBytesMax
  );
}

export class Watches {
  readonly #store: Store;
  readonly #reply: (reply: Reply) => void;
  readonly #positions = new Map<number, Position>();

  constructor(store: Store, reply: (reply: Reply) => void) {
    this.#store = store;
    this.#reply = reply;
  }

  open(watchId: number, request: WatchRequest): void {
    const next = request.fromRevision;
    const position = {
      prefix: request.prefix,
      progress: request.progress === true,
      next,
      shown: next - 1,
      pendingBatches: 0,
      pendingBytes: 0,
    };
    this.#positions.set(watchId, position);
    if (next < this.#store.firstRevision()) this.#fail(watchId, position);
  }

  taken(watchId: number, batches: number, sizeBytes: number): void {
    const position = this.#positions.get(watchId);
    if (position === undefined) return;
    position.pendingBatches -= batches;
    position.pendingBytes -= sizeBytes;
  }

  close(watchId: number): void {
    this.#positions.delete(watchId);
  }

  /** Sends what there is up to the store's head. True when there is more to do in another turn. */
  deliver(): boolean {
    if (this.#positions.size === 0) return false;
    const head = this.#store.revision();
    let unfinished = false;
    for (const [watchId, position] of this.#positions) {
      this.#advance(watchId, position, head);
      unfinished ||= position.next <= head && !isFull(position) && this.#positions.has(watchId);
    }
    return unfinished;
  }

  #advance(watchId: number, position: Position, head: number): void {
    const end = Math.min(head, position.next + revisionsPerTurnMax - 1);
    while (position.next <= end && !isFull(position)) {
      const batch = this.#store.changesAt(position.next);
      if (batch === undefined) {
        this.#fail(watchId, position);
        return;
      }
      const events = below(position.prefix, batch.events);
      if (events.length > 0) this.#send(watchId, position, events, batch.sizeBytes);
      position.next++;
    }
    if (position.progress && position.next > head && position.shown < head && !isFull(position)) {
      position.next = head + 1;
      this.#mark(watchId, position, head);
    }
  }

  #send(watchId: number, position: Position, events: readonly WatchEvent[], sizeBytes: number): void {
    position.pendingBatches++;
    position.pendingBytes += sizeBytes;
    position.shown = position.next;
    this.#reply({ kind: "changes", watchId, batch: { revision: position.next, events }, sizeBytes });
  }

  #mark(watchId: number, position: Position, revision: number): void {
    position.pendingBatches++;
    position.shown = revision;
    this.#reply({ kind: "changes", watchId, batch: { revision, events: [] }, sizeBytes: 0 });
  }

  #fail(watchId: number, position: Position): void {
    this.#positions.delete(watchId);
    const error = new AndironError("watch_compacted", `the changes of revision ${position.next} have been compacted away`);
    this.#reply({ kind: "watch-failed", watchId, error: toWire(error) });
  }
}
