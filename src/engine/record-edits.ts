// Changes to the engine's records inside somebody's transaction: the verbs of control.ts, made of these, and the same steps when
// a router carries out what was pending. Nothing here waits for a router.
//
// - Adding a cut bumps cutsVersion of its log: the cleaner asserts that number.
// - Asking an owner for a cut (a wish) bumps it too: a release that is under way then fails and sees the wish.

import { AndironError } from "../common/errors.ts";
import type { Tx } from "../registry/atomic.ts";
import { engineLimits } from "./limits.ts";
import type { CutRecord, LogRecord, NameRecord, SnapshotRecord, VdiskRecord, View, WishGroup, WishRecord } from "./records.ts";
import { keys, parseRecord } from "./records.ts";
import { clashingVdiskName, safeVdiskName } from "./vdisk-names.ts";

export async function getVdisk(tx: Tx, id: string): Promise<VdiskRecord> {
  const text = await tx.get(keys.vdisk(id));
  if (text === undefined) throw new AndironError("vdisk_not_found", `vDisk ${id} does not exist`);
  return parseRecord<VdiskRecord>(keys.vdisk(id), text);
}

export async function getLog(tx: Tx, id: string): Promise<LogRecord> {
  const text = await tx.get(keys.log(id));
  if (text === undefined) throw new AndironError("record_damaged", `log ${id} has no record, although something refers to it`);
  return parseRecord<LogRecord>(keys.log(id), text);
}

export async function getSnapshot(tx: Tx, id: string): Promise<SnapshotRecord> {
  const snapshot = await findSnapshot(tx, id);
  if (snapshot === undefined) throw new AndironError("snapshot_not_found", `snapshot ${id} does not exist`);
  return snapshot;
}

export async function findSnapshot(tx: Tx, id: string): Promise<SnapshotRecord | undefined> {
  const text = await tx.get(keys.snapshot(id));
  return text === undefined ? undefined : parseRecord<SnapshotRecord>(keys.snapshot(id), text);
}

export function refuseUnready(vdisk: VdiskRecord): void {
  if (vdisk.state !== "ready") throw new AndironError("vdisk_busy", `vDisk ${vdisk.id} is ${vdisk.state}`);
}

export const putVdisk = (tx: Tx, record: VdiskRecord): void => tx.put(keys.vdisk(record.id), JSON.stringify(record));
export const putLog = (tx: Tx, record: LogRecord): void => tx.put(keys.log(record.id), JSON.stringify(record));
export const putSnapshot = (tx: Tx, record: SnapshotRecord): void => tx.put(keys.snapshot(record.id), JSON.stringify(record));

/** A free name like the wish, reserved for the disk in this transaction. */
export async function takeName(tx: Tx, pool: string, wish: string, vdiskId: string): Promise<string> {
  const safe = safeVdiskName(wish);
  for (const name of [safe, clashingVdiskName(safe, vdiskId)]) {
    const key = keys.name(pool, name);
    const holder = await tx.get(key);
    if (holder === undefined || (JSON.parse(holder) as { vdisk: string }).vdisk === vdiskId) {
      tx.put(key, JSON.stringify({ v: 1, vdisk: vdiskId } satisfies NameRecord));
      return name;
    }
  }
  throw new AndironError("vdisk_name_taken", `a vDisk named ${safe} exists in pool ${pool}`);
}

/** The view of a log that nobody owns, as it is now; null when it is all zeroes and stands on nothing. */
export function viewOfReleased(log: LogRecord): View | null {
  return viewOf(log, log.sequence);
}

/** The view at a cut; of a log in which nothing was written it is its parent's: chains of untouched clones stay short. */
export function viewOf(log: LogRecord, cut: number): View | null {
  return cut === 0 ? log.parent : { log: log.id, checkpoint: log.checkpoint, cut };
}

/** Notes that `holder` needs the cut of `view`. */
export async function addCut(tx: Tx, view: View, holder: CutRecord["holder"]): Promise<void> {
  const log = await getLog(tx, view.log);
  putLog(tx, { ...log, cutsVersion: log.cutsVersion + 1 });
  const cut: CutRecord = { v: 1, holder, view };
  tx.put(keys.cut(view.log, view.cut, holder.id), JSON.stringify(cut));
}

export function removeCut(tx: Tx, view: View, holderId: string): void {
  tx.delete(keys.cut(view.log, view.cut, holderId));
}

/** Asks the owner of `log` to take a cut for a snapshot or a clone's log. */
export function addWish(tx: Tx, log: LogRecord, kind: WishRecord["kind"], target: string, together?: WishGroup): void {
  putLog(tx, { ...log, cutsVersion: log.cutsVersion + 1 });
  const wish: WishRecord = together === undefined ? { v: 1, kind, target } : { v: 2, kind, target, together };
  tx.put(keys.wish(log.id, target), JSON.stringify(wish));
}

/** Gives the waiting snapshot or clone its view (null: all zeroes) and removes the wish. What is deleted stays deleted. */
export async function fulfilWish(tx: Tx, logId: string, wish: WishRecord, view: View | null): Promise<void> {
  tx.delete(keys.wish(logId, wish.target));
  if (wish.kind === "snapshot") {
    const text = await tx.get(keys.snapshot(wish.target));
    if (text === undefined) return;
    const snapshot = parseRecord<SnapshotRecord>(keys.snapshot(wish.target), text);
    if (snapshot.state !== "pending") return;
    putSnapshot(tx, { ...snapshot, state: "ready", view });
    if (view !== null) await addCut(tx, view, { kind: "snapshot", id: snapshot.id });
    return;
  }
  const text = await tx.get(keys.log(wish.target));
  if (text === undefined) return;
  const log = parseRecord<LogRecord>(keys.log(wish.target), text);
  if (!log.parentPending || log.dead === true) return;
  if (view !== null) await addCut(tx, view, { kind: "log", id: log.id });
  const depth = view === null ? 0 : (await getLog(tx, view.log)).depth + 1;
  putLog(tx, { ...log, parent: view, parentPending: false, depth });
  if (log.vdisk === null) return;
  const vdisk = await getVdisk(tx, log.vdisk);
  putVdisk(tx, { ...vdisk, state: "ready" });
}

/** A wish that cannot be carried out: what waits for it goes to error with a reason. */
export async function failWish(tx: Tx, logId: string, wish: WishRecord, message: string): Promise<void> {
  tx.delete(keys.wish(logId, wish.target));
  if (wish.kind === "snapshot") {
    const text = await tx.get(keys.snapshot(wish.target));
    if (text !== undefined)
      putSnapshot(tx, { ...parseRecord<SnapshotRecord>(keys.snapshot(wish.target), text), state: "error", message });
    return;
  }
  const text = await tx.get(keys.log(wish.target));
  const log = text === undefined ? undefined : parseRecord<LogRecord>(keys.log(wish.target), text);
  if (log?.vdisk === undefined || log.vdisk === null) return;
  const vdisk = await getVdisk(tx, log.vdisk);
  putVdisk(tx, { ...vdisk, state: "error", message });
}

/** A new log that nobody owns. With a view it shares everything the view sees. */
export async function createLog(
  tx: Tx,
  request: { id: string; pool: string; vdisk: string; parent: View | null; parentPending: boolean },
): Promise<void> {
  const depth = request.parent === null ? 0 : (await getLog(tx, request.parent.log)).depth + 1;
  if (depth >= engineLimits.lineageDepthMax) throw new AndironError("limit_exceeded", "the disk has too many ancestors");
  const { id, pool, vdisk, parent, parentPending } = request;
  const state = { epoch: 0, owner: null, checkpoint: null, sequence: 0, cutsVersion: 0 };
  putLog(tx, { v: 1, id, pool, vdisk, depth, parent, parentPending, ...state });
  if (parent !== null) await addCut(tx, parent, { kind: "log", id });
}
