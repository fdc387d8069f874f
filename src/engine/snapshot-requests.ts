// Asking for snapshots, of one vDisk or of several at one instant. What no router owns is snapshot here and now, and what is open
// in this process too, when it is asked for alone: the transaction guards the logs' records, so that they hold together. As soon
// as one of several is owned, all of them are wished for.

import { AndironError } from "../common/errors.ts";
import type { Tx } from "../registry/atomic.ts";
import type { RecordState, SnapshotRequest } from "./control.ts";
import { engineLimits } from "./limits.ts";
import { type LiveCuts, viewNow } from "./live-cuts.ts";
import * as edits from "./record-edits.ts";
import type { LogRecord, VdiskRecord, View, WishGroup } from "./records.ts";
import { keys } from "./records.ts";

interface Asked {
  readonly request: SnapshotRequest;
  readonly vdisk: VdiskRecord;
  readonly log: LogRecord;
}

export async function requestSnapshot(tx: Tx, request: SnapshotRequest, cuts: LiveCuts | undefined): Promise<RecordState> {
  const asked = await read(tx, request);
  const view = await viewNow(asked.log, cuts);
  return view === undefined ? wishFor(tx, asked, undefined) : takeNow(tx, asked, view);
}

export async function requestSnapshots(tx: Tx, id: string, requests: readonly SnapshotRequest[]): Promise<RecordState> {
  const vdisks = new Set(requests.map((request) => request.vdiskId));
  if (requests.length === 0 || requests.length > engineLimits.snapshotsTogetherMax || vdisks.size < requests.length) {
    throw new AndironError(
      "invalid_request",
      `snapshots at one instant are of 1 to ${engineLimits.snapshotsTogetherMax} different vDisks, not of ${requests.length}`,
    );
  }
  const asked: Asked[] = [];
  for (const request of requests) asked.push(await read(tx, request));
  if (asked.every(({ log }) => log.owner === null)) {
    for (const one of asked) await takeNow(tx, one, edits.viewOfReleased(one.log));
    return "ready";
  }
  const together: WishGroup = { id, members: asked.map(({ log, request }) => ({ log: log.id, target: request.id })) };
  for (const one of asked) wishFor(tx, one, together);
  return "pending";
}

/** The same view under another id: each of the two holds the cut for itself. */
export async function copySnapshot(tx: Tx, request: { id: string; snapshotId: string; name: string }): Promise<void> {
  const { id, snapshotId, name } = request;
  await refusePresent(tx, id);
  const snapshot = await edits.getSnapshot(tx, snapshotId);
  if (snapshot.state !== "ready") throw new AndironError("vdisk_busy", `snapshot ${snapshotId} is ${snapshot.state}`);
  edits.putSnapshot(tx, { ...snapshot, id, name });
  if (snapshot.view !== null) await edits.addCut(tx, snapshot.view, { kind: "snapshot", id });
}

async function refusePresent(tx: Tx, id: string): Promise<void> {
  if ((await tx.get(keys.snapshot(id))) !== undefined) throw new AndironError("snapshot_exists", `snapshot ${id} exists`);
}

async function read(tx: Tx, request: SnapshotRequest): Promise<Asked> {
  const { id, vdiskId } = request;
  await refusePresent(tx, id);
  const vdisk = await edits.getVdisk(tx, vdiskId);
  edits.refuseUnready(vdisk);
  return { request, vdisk, log: await edits.getLog(tx, vdisk.log) };
}

async function takeNow(tx: Tx, asked: Asked, view: View | null): Promise<RecordState> {
  edits.putSnapshot(tx, { ...recordOf(asked), state: "ready", view });
  if (view !== null) await edits.addCut(tx, view, { kind: "snapshot", id: asked.request.id });
  return "ready";
}

function wishFor(tx: Tx, asked: Asked, together: WishGroup | undefined): RecordState {
  edits.putSnapshot(tx, { ...recordOf(asked), state: "pending", view: null });
  edits.addWish(tx, asked.log, "snapshot", asked.request.id, together);
  return "pending";
}

function recordOf({ request, vdisk, log }: Asked) {
  const { id, name } = request;
  return { v: 1, id, vdisk: vdisk.id, pool: vdisk.pool, log: log.id, name, sizeBytes: vdisk.sizeBytes } as const;
}
