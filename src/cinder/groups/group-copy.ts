// A group made of a group snapshot, or of another group. One transaction makes the group and its volumes, charges the quota, and
// leaves the job that fills them (jobs/group-from-source.ts).
//
//   of a group snapshot: group, volumes `creating` ──► each volume a clone of its snapshot ──► all available
//   of a group: the same of cuts of its volumes, which are asked for in this very transaction, at one instant
//
// Those cuts have the ids of the new volumes, are shown by no API, and go when the volumes are there. The source's record is
// written: it is not deleted meanwhile.

import type { PoolInfo } from "../../engine/control.ts";
import type { Tx } from "../../registry/atomic.ts";
import type { RequestContext } from "../context.ts";
import { invalid, invalidGroup } from "../faults.ts";
import { isConsistencyGroup, readGroup, readGroupSnapshot, readMembers, readMemberSnapshots } from "./group-records.ts";
import { checkSnapshotOfSource, checkVolumeOfSource, reserved } from "./group-status.ts";
import type { CopyGroup } from "./group-verbs.ts";
import type { GroupFromSource } from "../jobs/group-from-source.ts";
import type { JobQueue } from "../jobs/job-queue.ts";
import { checkTexts } from "../metadata-rules.ts";
import type { Group, Snapshot, Volume } from "../model.ts";
import { ownTarget } from "../policy.ts";
import { isPoolDisabled, type CinderPorts } from "../ports.ts";
import { groupKind, groupSnapshotKind, readRecord, volumeKind, writeRecord } from "../records.ts";
import { choosePool, poolOfHost } from "../scheduler.ts";
import { commitWithKey, type KeyFor } from "../volume-keys.ts";

export interface CopyingJobs {
  readonly queue: JobQueue;
  readonly fromSource: GroupFromSource;
}

/** What a new volume is made of. */
interface Original {
  readonly volume: Volume;
  readonly snapshot?: Snapshot;
}

interface Source {
  /** Of which types, zone and pool are taken. */
  readonly group: Group;
  readonly originals: readonly Original[];
}

interface Circumstances {
  readonly tx: Tx;
  readonly keyFor: KeyFor;
  readonly context: RequestContext;
  readonly pools: readonly PoolInfo[];
  readonly ids: { readonly group: string; readonly job: string };
}

export class GroupCopying {
  readonly #ports: CinderPorts;
  readonly #jobs: CopyingJobs;

  constructor(ports: CinderPorts, jobs: CopyingJobs) {
    this.#ports = ports;
    this.#jobs = jobs;
  }

  /** `isOlder`: by the consistencygroups API. */
  async copy(context: RequestContext, request: CopyGroup, isOlder: boolean): Promise<Group> {
    const { policy, control, random } = this.#ports;
    policy.enforce(context, "group:create", ownTarget(context));
    if (context.projectId === "") throw invalid("A group needs a project, and the token is of none.");
    checkTexts(request);
    const pools = await control.pools();
    const ids = { group: random.uuid(), job: random.uuid() };
    const group = await commitWithKey(this.#ports, context, (tx, keyFor) =>
      this.#copy({ tx, keyFor, context, pools, ids }, request, isOlder),
    );
    this.#jobs.queue.wake();
    return group;
  }

  async #copy({ tx, keyFor, context, pools, ids }: Circumstances, request: CopyGroup, isOlder: boolean): Promise<Group> {
    const { ledger, notices, clock, random } = this.#ports;
    const { group: origin, originals } = await this.#readSource(tx, context, request, isOlder, ids.group);
    const host = this.#checkedHost(origin, originals, pools, ids.group);
    this.#enforceMembers(context, originals);
    await ledger.charge(tx, { projectId: context.projectId, typeId: null, groups: 1 });
    const members = originals.map((original) => ({ original, id: random.uuid() }));
    const group: Group = {
      v: 1,
      id: ids.group,
      projectId: context.projectId,
      userId: context.userId,
      name: request.name,
      description: request.description,
      status: "creating",
      groupTypeId: origin.groupTypeId,
      volumeTypeIds: origin.volumeTypeIds,
      host,
      availabilityZone: origin.availabilityZone,
      volumeIds: members.map((member) => member.id),
      snapshotCount: 0,
      groupSnapshotId: request.groupSnapshotId ?? null,
      sourceGroupId: request.sourceGroupId ?? null,
      createdAtMs: clock.wallMs(),
      updatedAtMs: null,
      jobId: ids.job,
    };
    for (const { original } of members) {
      const { projectId } = group;
      const { typeId, sizeGib } = original.snapshot ?? original.volume;
      await ledger.charge(tx, { projectId, typeId, volumes: 1, gigabytes: sizeGib });
    }
    for (const { original, id } of members) writeRecord(tx, volumeKind, id, newMember(group, original, id, context, keyFor));
    writeRecord(tx, groupKind, group.id, group);
    const isOwn = request.groupSnapshotId === undefined;
    if (isOwn) await this.#cut(tx, group, members);
    const copies = members.map(({ original, id }) => ({ id, snapshotId: original.snapshot?.id ?? id }));
    const { queue, fromSource } = this.#jobs;
    await queue.enqueue(tx, fromSource, fromSource.request(group, copies, isOwn, context.requestId));
    await notices.group(tx, context, "copyBegins", group);
    return group;
  }

  async #cut(tx: Tx, group: Group, members: readonly { original: Original; id: string }[]): Promise<void> {
    const wishes = members.map(({ original, id }) => ({ id, vdiskId: original.volume.id, name: `copy-${id}` }));
    await this.#ports.control.createSnapshots(tx, group.id, wishes);
  }

  async #readSource(tx: Tx, context: RequestContext, request: CopyGroup, isOlder: boolean, id: string): Promise<Source> {
    const check = (group: Pick<Group, "groupTypeId">): void => {
      if (!isOlder && isConsistencyGroup(this.#ports, group)) throw reserved(group.groupTypeId);
    };
    if (request.groupSnapshotId === undefined) {
      const group = await readGroup(tx, context, request.sourceGroupId ?? "");
      check(group);
      const volumes = await readMembers(tx, group);
      if (volumes.length === 0) throw invalidGroup("Source Group is empty. No group will be created.");
      for (const volume of volumes) checkVolumeOfSource(id, volume);
      writeRecord(tx, groupKind, group.id, group);
      return { group, originals: volumes.map((volume) => ({ volume })) };
    }
    const groupSnapshot = await readGroupSnapshot(tx, context, request.groupSnapshotId);
    check(groupSnapshot);
    const snapshots = await readMemberSnapshots(tx, groupSnapshot);
    if (snapshots.length === 0) throw invalidGroup("Group snapshot is empty. No group will be created.");
    const originals: Original[] = [];
    for (const snapshot of snapshots) {
      checkSnapshotOfSource(id, snapshot);
      const volume = await readRecord(tx, volumeKind, snapshot.volumeId);
      if (volume !== undefined) originals.push({ volume, snapshot });
    }
    writeRecord(tx, groupSnapshotKind, groupSnapshot.id, groupSnapshot);
    return { group: await readGroup(tx, { ...context, isAdmin: true }, groupSnapshot.groupId), originals };
  }

  /** The source's, when it has room. */
  #checkedHost(
    { host, availabilityZone }: Group,
    originals: readonly Original[],
    pools: readonly PoolInfo[],
    id: string,
  ): string {
    const sizeGib = originals.reduce((sum, { volume, snapshot }) => sum + (snapshot ?? volume).sizeGib, 0);
    const demand = { sizeGib, extraSpecs: {}, availabilityZone, pool: poolOfHost(host ?? "") };
    const choice = choosePool(this.#ports.settings, pools, demand, (pool) => isPoolDisabled(this.#ports, pool));
    if (host === null || "reasons" in choice) throw invalidGroup(`No valid host to create group ${id}.`);
    return host;
  }

  #enforceMembers(context: RequestContext, originals: readonly Original[]): void {
    const { policy } = this.#ports;
    policy.enforce(context, "volume:create", ownTarget(context));
    if (originals.some(({ volume }) => volume.multiattach)) policy.enforce(context, "volume:multiattach", ownTarget(context));
  }
}

function newMember(group: Group, { volume, snapshot }: Original, id: string, holder: RequestContext, keyFor: KeyFor): Volume {
  const { projectId, userId, host, availabilityZone, createdAtMs, jobId } = group;
  const { typeId, sizeGib, encryptionKeyId: keyId } = snapshot ?? volume;
  const { bootable, multiattach, imageMetadata } = volume;
  return {
    v: 1,
    id,
    projectId,
    userId,
    name: null,
    description: null,
    sizeGib,
    status: "creating",
    attachStatus: "detached",
    migrationStatus: null,
    previousStatus: null,
    typeId,
    host,
    availabilityZone,
    createdAtMs,
    updatedAtMs: null,
    bootable,
    multiattach,
    snapshotId: snapshot?.id ?? null,
    sourceVolumeId: snapshot === undefined ? volume.id : null,
    groupId: group.id,
    consumesQuota: true,
    metadata: {},
    adminMetadata: {},
    imageMetadata,
    snapshotCount: 0,
    attachmentIds: [],
    ...(jobId === undefined ? {} : { jobId }),
    ...(keyId === undefined ? {} : { encryptionKeyId: keyFor({ kind: "copy", keyId, from: holder, to: holder }) }),
  };
}
