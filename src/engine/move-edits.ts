// What a move to another log does to records (disk-move.ts has the picture). Each is a part of somebody's transaction.
//
// - A permit is given by the router that has both logs open, and taken back by it before it lets a write through again. Whoever
//   moves the disk insists on it, and on both logs being owned as it says: so a move that comes late finds nothing to stand on.

import { AndironError } from "../common/errors.ts";
import type { Tx } from "../registry/atomic.ts";
import * as edits from "./record-edits.ts";
import type { LogRecord, MovePermit } from "./records.ts";
import { keys } from "./records.ts";

/** Both logs must be the router's as the permit says, and the disk's size that of the copy. */
export async function givePermit(tx: Tx, vdiskId: string, copyId: string, permit: MovePermit): Promise<void> {
  const [vdisk, copy] = [await edits.getVdisk(tx, vdiskId), await edits.getVdisk(tx, copyId)];
  refuseUnless(copy.log === permit.toLog && copy.sizeBytes === vdisk.sizeBytes, vdiskId);
  await refuseUnlessOwned(tx, vdisk.log, permit);
  edits.putVdisk(tx, { ...vdisk, permit });
}

/** True when the disk has moved. Else it writes the record, permit or not: one whose outcome was unknown can't come any more. */
export async function takePermitBack(tx: Tx, vdiskId: string, toLog: string): Promise<boolean> {
  const text = await tx.get(keys.vdisk(vdiskId));
  if (text === undefined) return false;
  const { permit: _taken, ...vdisk } = await edits.getVdisk(tx, vdiskId);
  if (vdisk.log === toLog) return true;
  edits.putVdisk(tx, vdisk);
  return false;
}

/** The disk keeps id and exports, and has the copy's log, pool and place. The log that it had loses its head. */
export async function moveVdisk(tx: Tx, vdiskId: string, copyId: string, name: string): Promise<void> {
  const [{ permit, ...vdisk }, copy] = [await edits.getVdisk(tx, vdiskId), await edits.getVdisk(tx, copyId)];
  if (copy.exports.length > 0) throw new AndironError("vdisk_busy", `vDisk ${copyId} is exported`);
  refuseUnless(copy.log === permit?.toLog && copy.sizeBytes === vdisk.sizeBytes, vdiskId);
  const [from, to] = await refuseUnlessOwned(tx, vdisk.log, permit!);
  tx.delete(keys.vdisk(copyId));
  tx.delete(keys.name(copy.pool, copy.name));
  tx.delete(keys.name(vdisk.pool, vdisk.name));
  const taken = await edits.takeName(tx, copy.pool, name, vdiskId);
  edits.putLog(tx, { ...from, vdisk: null });
  edits.putLog(tx, { ...to, vdisk: vdiskId });
  edits.putVdisk(tx, { ...vdisk, pool: copy.pool, log: copy.log, name: taken });
}

async function refuseUnlessOwned(tx: Tx, logId: string, permit: MovePermit): Promise<readonly [LogRecord, LogRecord]> {
  const [from, to] = [await edits.getLog(tx, logId), await edits.getLog(tx, permit.toLog)];
  const isOwned = (log: LogRecord, epoch: number): boolean => log.owner === permit.router && log.epoch === epoch;
  refuseUnless(isOwned(from, permit.epoch) && isOwned(to, permit.toEpoch), logId);
  return [from, to];
}

function refuseUnless(isTrue: boolean, what: string): void {
  if (!isTrue) throw new AndironError("vdisk_busy", `${what} can't move now: its router does not permit it`);
}
