// What the verbs and the jobs of backups have in common: reading one that the caller may see, what it counts for, who builds on
// it, and telling others of it.

import type { Tx } from "../../registry/atomic.ts";
import type { RequestContext } from "../context.ts";
import { backupNotFound, notFound } from "../faults.ts";
import type { backupEvents } from "../notifications/event-table.ts";
import { isVisible, type CinderPorts } from "../ports.ts";
import type { Charge } from "../quota-ledger.ts";
import { backupKind, readRecord } from "../records.ts";
import type { Backup } from "./backup.ts";

/** Of its rows among the services. */
export const backupBinary = "cinder-backup";

export async function readBackup(tx: Tx, context: RequestContext, id: string): Promise<Backup> {
  const backup = await readRecord(tx, backupKind, id);
  if (backup === undefined || !isVisible(context, backup)) throw backupNotFound(id);
  return backup;
}

/** From the index; the caller has waited for it to be fresh. */
export function findBackup(ports: CinderPorts, context: RequestContext, id: string): Backup {
  const backup = ports.index.backups.get(id);
  if (backup === undefined || !isVisible(context, backup)) throw backupNotFound(id);
  return backup;
}

/** Throws "not-found", as Cinder does, when there is no store, or an operator has turned the service off everywhere. */
export function checkBackupService({ backups, index }: CinderPorts): void {
  const enabled = [...index.services.values()].some(({ binary, disabled }) => binary === backupBinary && !disabled);
  if (!backups.isConfigured || !enabled) throw notFound(`Service ${backupBinary} could not be found.`);
}

/** How many build on it; the caller has waited for the index to be fresh. */
export function dependentsOf(ports: CinderPorts, backup: Pick<Backup, "id">): number {
  return ports.index.backups.ofText("parent_id", backup.id).size;
}

export function backupCharge({ projectId, sizeGib }: Pick<Backup, "projectId" | "sizeGib">): Charge {
  return { projectId, typeId: null, backups: 1, backupGigabytes: sizeGib };
}

/** `after`: undefined where nothing of it changes or it goes. */
export function tellOfBackup(
  ports: CinderPorts,
  tx: Tx,
  context: RequestContext,
  verb: keyof typeof backupEvents,
  before: Backup,
  after: Backup = before,
): void {
  ports.notices.backup(tx, context, verb, { before, after, dependents: dependentsOf(ports, before) });
}

/** How much of the volume has been looked at. */
export function tellOfProgress(ports: CinderPorts, tx: Tx, context: RequestContext, backup: Backup, percent: number): void {
  const extra = { backup_percent: percent };
  ports.notices.backup(tx, context, "createGoesOn", {
    before: backup,
    after: backup,
    dependents: dependentsOf(ports, backup),
    extra,
  });
}
