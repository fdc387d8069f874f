// What goes when a group without volumes goes: its record and its quota. A step of somebody's transaction.

import type { Tx } from "../../registry/atomic.ts";
import type { RequestContext } from "../context.ts";
import type { Group } from "../model.ts";
import type { CinderPorts } from "../ports.ts";
import { deleteRecord, groupKind } from "../records.ts";

export async function removeGroup(ports: CinderPorts, tx: Tx, context: RequestContext, group: Group): Promise<void> {
  deleteRecord(tx, groupKind, group.id);
  await ports.ledger.release(tx, { projectId: group.projectId, typeId: null, groups: 1 });
  await ports.notices.group(tx, context, "deleteEnds", { ...group, volumeIds: [] });
}
