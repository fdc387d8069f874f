// What lies in a pool, whoever made it: for those who take a vDisk or a snapshot in that no one above the engine knows of.
// Reads records only.

import { AndironError } from "../common/errors.ts";
import type { Tx } from "../registry/atomic.ts";
import type { Registry } from "../registry/registry.ts";
import type { SnapshotRow, VdiskName, VdiskRow } from "./control.ts";
import * as edits from "./record-edits.ts";
import { keys, type NameRecord, parseRecord, type SnapshotRecord, type VdiskRecord } from "./records.ts";

/** At most `countMax`, in the order of their ids. */
export async function listVdisks(registry: Registry, pool: string, countMax: number): Promise<VdiskRow[]> {
  const rows: VdiskRow[] = [];
  for await (const record of scan<VdiskRecord>(registry, keys.vdisks)) {
    if (record.pool !== pool) continue;
    const { id, name, sizeBytes, state, exports } = record;
    rows.push({ id, name, sizeBytes, state, exported: exports.length > 0 });
    if (rows.length >= countMax) break;
  }
  return rows;
}

/** At most `countMax`, in the order of their ids. */
export async function listSnapshots(registry: Registry, pool: string, countMax: number): Promise<SnapshotRow[]> {
  const rows: SnapshotRow[] = [];
  for await (const record of scan<SnapshotRecord>(registry, keys.snapshots)) {
    if (record.pool !== pool) continue;
    const { id, vdisk, name, sizeBytes, state } = record;
    rows.push({ id, vdiskId: vdisk, name, sizeBytes, state });
    if (rows.length >= countMax) break;
  }
  return rows;
}

/** The vDisk that is called so, guarded by `tx`. Throws vdisk_not_found, and vdisk_busy unless it is ready and not exported. */
export async function findVdisk(tx: Tx, pool: string, called: VdiskName): Promise<VdiskRow> {
  const id = "id" in called ? called.id : await findByName(tx, pool, called.name);
  const record = await edits.getVdisk(tx, id);
  if (record.pool !== pool) throw new AndironError("vdisk_not_found", `vDisk ${id} is in pool ${record.pool}, not in ${pool}`);
  if (record.state !== "ready") throw new AndironError("vdisk_busy", `vDisk ${id} is ${record.state}`);
  if (record.exports.length > 0) throw new AndironError("vdisk_busy", `vDisk ${id} is exported`);
  return { id, name: record.name, sizeBytes: record.sizeBytes, state: record.state, exported: false };
}

/**
 * Gives the vDisk another id. Refused while a router has it open: the router knows it by the old one. Its snapshots are looked
 * for outside of the transaction; one that is made meanwhile reads the vDisk's record, which is gone afterwards.
 */
export async function rekeyVdisk(tx: Tx, registry: Registry, vdiskId: string, newId: string): Promise<void> {
  if ((await tx.get(keys.vdisk(newId))) !== undefined) throw new AndironError("vdisk_exists", `vDisk ${newId} exists`);
  const vdisk = await edits.getVdisk(tx, vdiskId);
  const log = await edits.getLog(tx, vdisk.log);
  if (vdisk.exports.length > 0 || log.owner !== null) throw new AndironError("vdisk_busy", `vDisk ${vdiskId} is open`);
  for await (const { id, vdisk: of } of scan<SnapshotRecord>(registry, keys.snapshots)) {
    if (of !== vdiskId) continue;
    const snapshot = await edits.findSnapshot(tx, id);
    if (snapshot !== undefined) edits.putSnapshot(tx, { ...snapshot, vdisk: newId });
  }
  tx.delete(keys.vdisk(vdiskId));
  edits.putVdisk(tx, { ...vdisk, id: newId });
  edits.putLog(tx, { ...log, vdisk: newId });
  tx.put(keys.name(vdisk.pool, vdisk.name), JSON.stringify({ v: 1, vdisk: newId } satisfies NameRecord));
}

async function findByName(tx: Tx, pool: string, name: string): Promise<string> {
  const key = keys.name(pool, name);
  const text = isKeyPart(name) ? await tx.get(key) : undefined;
  if (text === undefined) throw new AndironError("vdisk_not_found", `no vDisk of pool ${pool} is called so`);
  return parseRecord<NameRecord>(key, text).vdisk;
}

/** Names of vDisks are made safe when they are taken: any other text names none. */
function isKeyPart(name: string): boolean {
  return /^[A-Za-z0-9._-]{1,255}$/.test(name);
}

async function* scan<T extends { readonly v: 1 }>(registry: Registry, prefix: string): AsyncGenerator<T> {
  let after: string | undefined;
  for (;;) {
    const page = await registry.range(after === undefined ? { prefix } : { prefix, after });
    for (const entry of page.entries) yield parseRecord<T>(entry.key, entry.value);
    after = page.entries.at(-1)?.key;
    if (!page.more || after === undefined) return;
  }
}
