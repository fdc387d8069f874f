// What must be true when all faults have ended and everything has come to rest: no status in passing, records that agree with
// each other, with the engine, with what lies outside, and with the quotas.

import { defaultListQuery } from "../../src/cinder/list-query.ts";
import type { Volume } from "../../src/cinder/model.ts";
import type { CinderPorts } from "../../src/cinder/ports.ts";
import { volumeKind, writeRecord } from "../../src/cinder/records.ts";
import type { World } from "../world.ts";
import type { JobProcess } from "./job-process.ts";
import type { Outside } from "./outside.ts";
import { objectCountOf } from "./sim-backups.ts";
import { user, type Users } from "./users.ts";

/** Of what has no job any more. */
const ends = ["available", "error", "error_deleting"];

export class RestJudge {
  readonly #world: World;
  readonly #outside: Outside;
  readonly #users: Users;

  constructor(world: World, outside: Outside, users: Users) {
    this.#world = world;
    this.#outside = outside;
    this.#users = users;
  }

  /** What is wrong first. */
  async look(process: JobProcess): Promise<string | undefined> {
    const { ports } = process;
    // A write of our own: the index has then seen all that was done before.
    const last = this.#users.draft(process);
    await ports.store.commit("x", async (tx) => writeRecord(tx, volumeKind, last.id, last));
    await ports.index.fresh();
    const volumes = ports.index.volumes.select(({ id }) => id !== last.id);
    return (
      this.#ofVolumes(ports, volumes) ??
      this.#ofBackups(ports) ??
      this.#ofGroups(ports) ??
      (await this.#ofSnapshots(process)) ??
      (await this.#ofEngine(ports, volumes)) ??
      ofQuotas(ports, volumes)
    );
  }

  #ofVolumes({ index }: CinderPorts, volumes: readonly Volume[]): string | undefined {
    for (const { id, status, jobId, snapshotCount, groupId } of volumes) {
      if (jobId !== undefined || ![...ends, "error_restoring"].includes(status)) return `volume ${id} stays ${status}`;
      if (index.snapshots.ofVolume(id).size !== snapshotCount) return `volume ${id} counts its snapshots wrong`;
      if (groupId !== null && index.groups.get(groupId)?.volumeIds.includes(id) !== true)
        return `volume ${id} is in no group ${groupId}`;
      if (!this.#users.copies.has(id)) continue;
      const chunks = this.#outside.chunks.get(id)?.size ?? 0;
      if (status === "error" && chunks > 0 && !this.#outside.tainted.has(id))
        return `volume ${id} failed, and has ${chunks} chunks`;
      if (status === "available" && chunks === 0) return `volume ${id} is available without its content`;
    }
    return undefined;
  }

  #ofBackups({ index }: CinderPorts): string | undefined {
    for (const { id, status, jobId } of index.backups.all) {
      if (jobId !== undefined || !ends.includes(status)) return `backup ${id} stays ${status}`;
    }
    for (const [id, objects] of this.#outside.objects) {
      if (this.#outside.tainted.has(id)) continue;
      const backup = index.backups.get(id);
      const isWhole = objects.size === objectCountOf(id);
      if (backup?.status === "available" && !isWhole) return `backup ${id} is available, and not whole`;
      if ((backup?.location ?? null) === null && objects.size > 0)
        return `backup ${id} is ${backup?.status ?? "gone"}, and has ${objects.size} objects`;
    }
    return undefined;
  }

  #ofGroups({ index }: CinderPorts): string | undefined {
    for (const { id, status, jobId, volumeIds, snapshotCount } of index.groups.all) {
      if (jobId !== undefined || !ends.includes(status)) return `group ${id} stays ${status}`;
      const stranger = volumeIds.find((volumeId) => index.volumes.get(volumeId)?.groupId !== id);
      if (stranger !== undefined) return `group ${id} has volume ${stranger}, which is not in it`;
      const count = [...index.groupSnapshots.all].filter(({ groupId }) => groupId === id).length;
      if (count !== snapshotCount) return `group ${id} counts ${snapshotCount} snapshots, there are ${count}`;
    }
    for (const { id, status, snapshotIds } of index.groupSnapshots.all) {
      if (!["available", "error"].includes(status)) return `group snapshot ${id} stays ${status}`;
      const stranger = snapshotIds.find((snapshotId) => index.snapshots.get(snapshotId)?.groupSnapshotId !== id);
      if (stranger !== undefined) return `group snapshot ${id} has snapshot ${stranger}, which is not in it`;
    }
    return undefined;
  }

  async #ofSnapshots({ cinder, ports: { index } }: JobProcess): Promise<string | undefined> {
    for (const { id, volumeId, status } of (await cinder.snapshots.list(user, defaultListQuery)).items) {
      if (index.volumes.get(volumeId) === undefined) return `a snapshot of volume ${volumeId}, which is gone`;
      if (!ends.includes(status)) return `snapshot ${id} stays ${status}`;
    }
    return undefined;
  }

  async #ofEngine({ index }: CinderPorts, volumes: readonly Volume[]): Promise<string | undefined> {
    const snapshots = new Set([...index.snapshots.all].map(({ id }) => id));
    for (const { backupBaseId } of volumes) if (backupBaseId !== undefined) snapshots.add(backupBaseId);
    const vdisks = new Set(volumes.filter(({ host }) => host !== null).map(({ id }) => id));
    const expected = { vdisk: vdisks, snapshot: snapshots, export: new Set<string>() };
    for (const [what, ids] of Object.entries(expected)) {
      const { entries } = await this.#world.registry.range({ prefix: `${what}/` });
      const present = new Set(entries.map(({ key }) => key.slice(what.length + 1)));
      const left = [...present].find((id) => !ids.has(id));
      if (left !== undefined) return `${what} ${left} of the engine is left`;
      const absent = [...ids].find((id) => !present.has(id));
      if (absent !== undefined) return `${what} ${absent} of the engine is gone`;
    }
    return undefined;
  }
}

function ofQuotas({ index }: CinderPorts, volumes: readonly Volume[]): string | undefined {
  const size = (of: Iterable<{ readonly sizeGib: number }>): number => [...of].reduce((sum, { sizeGib }) => sum + sizeGib, 0);
  const { snapshots, backups, groups } = index;
  const sums = {
    volumes: volumes.length,
    snapshots: [...snapshots.all].length,
    gigabytes: size(volumes) + size(snapshots.all),
    backups: [...backups.all].length,
    backup_gigabytes: size(backups.all),
    groups: [...groups.all].length,
  };
  const usage = index.quotaUsages.get("demo")?.inUse ?? {};
  for (const [key, sum] of Object.entries(sums)) {
    if ((usage[key] ?? 0) !== sum) return `the quota says ${usage[key] ?? 0} ${key}, there are ${sum}`;
  }
  return undefined;
}
