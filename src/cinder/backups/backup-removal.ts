// What goes when a backup's bytes are gone: its record, its quota, and the base of its volume. Steps of somebody's transaction.

import type { Tx } from "../../registry/atomic.ts";
import type { RequestContext } from "../context.ts";
import type { CinderPorts } from "../ports.ts";
import { backupKind, deleteRecord } from "../records.ts";
import { dropBaseOf } from "./backup-cuts.ts";
import type { Backup } from "./backup.ts";
import { backupCharge, tellOfBackup } from "./backup-records.ts";

/** `context`: of who is told to have asked for it. */
export async function removeBackup(ports: CinderPorts, tx: Tx, context: RequestContext, backup: Backup): Promise<void> {
  await dropBaseOf(ports.control, tx, backup);
  deleteRecord(tx, backupKind, backup.id);
  await ports.ledger.release(tx, backupCharge(backup));
  tellOfBackup(ports, tx, context, "deleteEnds", backup);
}
