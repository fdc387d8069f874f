// Cuts of several logs at one instant, for snapshots that were wished for together (docs/design/groups.md).
//
//     records of all members read ──► those of ours opened ──► THE INSTANT: their sequences, in one turn of the event loop
//        ──► flushed ──► one transaction: all snapshots ready      (a member changed meanwhile: nothing; again from the start)
//
// - What nobody owned before the instant, and at the same epoch nobody owns in the transaction, was not written in between.
// - What is acknowledged is in its log's sequence: a write issued after that is in no cut unless the first one is.
// - Nothing is recorded before that transaction: after a death whoever comes next begins again, at a later instant.
// - A member whose snapshot was deleted is left out. Disks that several living routers own are refused.

import type { Clock } from "../common/clock.ts";
import type { Random } from "../common/random.ts";
import { atomically, type Tx } from "../registry/atomic.ts";
import type { Registry } from "../registry/registry.ts";
import type { LogUse, OpenLogs } from "./open-logs.ts";
import { findSnapshot, fulfilWish, getLog, viewOfReleased } from "./record-edits.ts";
import type { LogRecord, View, WishMember } from "./records.ts";
import { keys } from "./records.ts";
import { readLog } from "./view.ts";
import type { OpenLog } from "./vdisk/open-log.ts";

export interface GroupCutParts {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly router: string;
  readonly openLogs: Pick<OpenLogs, "use">;
}

/** "again": something changed, or it is another router's business. "scattered": no one router has all of them. */
export type GroupCutOutcome = "done" | "again" | "scattered";

/** A log as it is at the instant: open here with its last sequence, or released and therefore at rest. */
type Member = { readonly open: OpenLog; readonly cut: number } | { readonly released: LogRecord };

export async function cutTogether(parts: GroupCutParts, wishes: readonly WishMember[]): Promise<GroupCutOutcome> {
  const uses: LogUse[] = [];
  try {
    const released = new Map<string, LogRecord>();
    const others = new Set<string>();
    for (const { log } of wishes) {
      const record = await readLog(parts.registry, log);
      if (record.owner === null) released.set(log, record);
      else if (await isForeign(parts, record.owner)) others.add(record.owner);
      else uses.push(await parts.openLogs.use(log));
    }
    if (others.size > 0) return others.size > 1 || uses.length > 0 ? "scattered" : "again";
    const members = takeInstant(uses, released);
    await Promise.all(uses.map((use) => use.log.flush()));
    const { value } = await atomically(parts.registry, parts, (tx) => record(tx, parts.router, wishes, members));
    for (const { log } of uses) log.assertOwned();
    return value ? "done" : "again";
  } finally {
    for (const use of uses) use.done();
  }
}

async function isForeign(parts: GroupCutParts, owner: string): Promise<boolean> {
  return owner !== parts.router && (await parts.registry.get(keys.router(owner))) !== undefined;
}

/** Not async: nothing else runs between the first sequence and the last. */
function takeInstant(uses: readonly LogUse[], released: ReadonlyMap<string, LogRecord>): ReadonlyMap<string, Member> {
  const members = new Map<string, Member>();
  for (const [id, record] of released) members.set(id, { released: record });
  for (const { log } of uses) members.set(log.id, { open: log, cut: log.sequence });
  return members;
}

/** False, and nothing is written, when a member is not any more what it was at the instant. */
async function record(
  tx: Tx,
  router: string,
  wishes: readonly WishMember[],
  members: ReadonlyMap<string, Member>,
): Promise<boolean> {
  const views = new Map<WishMember, View | null>();
  for (const wish of wishes) {
    if ((await findSnapshot(tx, wish.target)) === undefined) continue;
    const view = viewOf(members.get(wish.log)!, await getLog(tx, wish.log), router);
    if (view === undefined) return false;
    views.set(wish, view);
  }
  for (const wish of wishes) {
    const view = views.get(wish);
    if (view === undefined) tx.delete(keys.wish(wish.log, wish.target));
    else await fulfilWish(tx, wish.log, { v: 1, kind: "snapshot", target: wish.target }, view);
  }
  return true;
}

/** The member at the instant; null when that is all zeroes, undefined when it can't be told any more. */
function viewOf(member: Member, now: LogRecord, router: string): View | null | undefined {
  if ("released" in member) {
    const { epoch, sequence } = member.released;
    return now.owner === null && now.epoch === epoch && now.sequence === sequence ? viewOfReleased(now) : undefined;
  }
  const { open, cut } = member;
  if (now.owner !== router || now.epoch !== open.epoch) return undefined;
  if (now.checkpoint !== null && now.checkpoint.sequence > cut) return undefined;
  return cut === 0 ? now.parent : { log: now.id, checkpoint: now.checkpoint, cut };
}
