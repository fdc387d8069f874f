// The end of a group snapshot that waited for a router's cuts: what the engine says of the members becomes their status, in one
// transaction for all of them. Idempotent: several processes may do it.

import { systemContext } from "../context.ts";
import { readMemberSnapshots } from "./group-records.ts";
import type { Snapshot } from "../model.ts";
import { ownersContext } from "../notifications/message-context.ts";
import type { CinderPorts } from "../ports.ts";
import { groupSnapshotKind, readRecord, snapshotKind, writeRecord } from "../records.ts";
import { writeMessage } from "../user-messages.ts";

/** Nothing when one of the cuts is still to come. */
export async function endGroupSnapshot(ports: CinderPorts, id: string): Promise<void> {
  await ports.index.fresh();
  const known = ports.index.groupSnapshots.get(id);
  const messageId = ports.random.uuid();
  const cuts = new Map<string, { readonly state: string; readonly message?: string } | undefined>();
  for (const member of known?.snapshotIds ?? []) cuts.set(member, await ports.control.snapshot(member));
  if (known === undefined || [...cuts.values()].some((cut) => cut?.state === "pending")) return;
  await ports.store.commit(known.projectId, async (tx) => {
    const groupSnapshot = await readRecord(tx, groupSnapshotKind, id);
    if (groupSnapshot === undefined) return;
    const updatedAtMs = ports.clock.wallMs();
    const ended: Snapshot[] = [];
    for (const snapshot of await readMemberSnapshots(tx, groupSnapshot)) {
      const isReady = cuts.get(snapshot.id)?.state === "ready";
      const now = isReady ? ({ status: "available", progress: "100%" } as const) : ({ status: "error" } as const);
      // An administrator's word stands.
      const next = snapshot.status === "creating" ? { ...snapshot, ...now, updatedAtMs } : snapshot;
      if (next !== snapshot) writeRecord(tx, snapshotKind, snapshot.id, next);
      ended.push(next);
    }
    if (groupSnapshot.status !== "creating") return;
    const failed = [...cuts.values()].find((cut) => cut?.state !== "ready");
    const isWhole = [...cuts.values()].every((cut) => cut?.state === "ready");
    const next = { ...groupSnapshot, status: isWhole ? "available" : "error", updatedAtMs } as const;
    writeRecord(tx, groupSnapshotKind, id, next);
    if (isWhole) {
      const context = ownersContext(groupSnapshot, systemContext.requestId);
      return ports.notices.groupSnapshot(tx, context, "createEnds", next, ended);
    }
    writeMessage(ports, tx, messageId, {
      action: "create-snapshot",
      detail: "unknown",
      resourceType: "VOLUME_GROUP_SNAPSHOT",
      resourceId: id,
      projectId: groupSnapshot.projectId,
      requestId: systemContext.requestId,
      ...(failed?.message === undefined ? {} : { reason: failed.message }),
    });
  });
}
