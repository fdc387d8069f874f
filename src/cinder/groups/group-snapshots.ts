// Group snapshots: snapshots of all volumes of a group at one instant (docs/design/groups.md). Each verb is one transaction.
// Where a router owns one of the disks, all members are `creating` until its cuts are there, and settle together.
//
// A member can't be deleted alone. The group counts its group snapshots: making or deleting one conflicts with its own delete.

import type { Tx } from "../../registry/atomic.ts";
import { runQuery } from "../collection-query.ts";
import type { RequestContext } from "../context.ts";
import { groupSnapshotNotFound } from "../faults.ts";
import {
  isConsistencyGroup,
  isSourceOfGroup,
  readGroup,
  readGroupSnapshot,
  readMembers,
  readMemberSnapshots,
} from "./group-records.ts";
import { checkGroupSnapshotDelete, checkMemberSnapshot, reserved, resetGroupSnapshotTarget } from "./group-status.ts";
import type { CreateGroupSnapshot, GroupSnapshots } from "./group-verbs.ts";
import type { ListQuery, Page } from "../list-query.ts";
import { checkTexts } from "../metadata-rules.ts";
import type { Group, GroupSnapshot, Snapshot } from "../model.ts";
import { OrderedList } from "../ordered-list.ts";
import { ownTarget } from "../policy.ts";
import { isVisible, searchedProject, type CinderPorts } from "../ports.ts";
import { deleteRecord, groupKind, groupSnapshotKind, readRecord, snapshotKind, volumeKind, writeRecord } from "../records.ts";
import { groupSnapshotShape } from "../shapes.ts";
import { newSnapshot, nextSnapshotTimeMs, removeSnapshot, snapshotCharge } from "../snapshot-records.ts";

export class GroupSnapshotService implements GroupSnapshots {
  readonly #ports: CinderPorts;
  readonly #isOlder: boolean;

  /** `isOlder`: as the cgsnapshots API has them. */
  constructor(ports: CinderPorts, isOlder: boolean) {
    this.#ports = ports;
    this.#isOlder = isOlder;
  }

  create(context: RequestContext, request: CreateGroupSnapshot): Promise<GroupSnapshot> {
    checkTexts(request);
    const id = this.#ports.random.uuid();
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const group = await readGroup(tx, context, request.groupId);
      this.#ports.policy.enforce(context, "group:create_group_snapshot", group);
      this.#checkForm(group, "group");
      const snapshots = await this.#cut(tx, context, group, { ...request, id });
      const groupSnapshot: GroupSnapshot = {
        v: 1,
        id,
        projectId: group.projectId,
        userId: context.userId,
        name: request.name,
        description: request.description,
        groupId: group.id,
        groupTypeId: group.groupTypeId,
        status: snapshots.some((one) => one.status === "creating") ? "creating" : "available",
        snapshotIds: snapshots.map((one) => one.id),
        createdAtMs: this.#ports.clock.wallMs(),
        updatedAtMs: null,
      };
      writeRecord(tx, groupSnapshotKind, id, groupSnapshot);
      writeRecord(tx, groupKind, group.id, { ...group, snapshotCount: group.snapshotCount + 1 });
      const told = groupSnapshot.status === "creating" ? "createBegins" : "create";
      await this.#ports.notices.groupSnapshot(tx, context, told, groupSnapshot, snapshots);
      return groupSnapshot;
    });
  }

  async list(context: RequestContext, query: ListQuery): Promise<Page<GroupSnapshot>> {
    this.#ports.policy.enforce(context, "group:get_all_group_snapshots", ownTarget(context));
    await this.#ports.index.fresh();
    const { groupSnapshots } = this.#ports.index;
    const search = groupSnapshots.search(query, searchedProject(context, query));
    const list = new OrderedList<GroupSnapshot>();
    for (const snapshot of search.list) if (this.#shows(snapshot)) list.append(snapshot);
    return runQuery(list, groupSnapshotShape, search.query, (id) => {
      const snapshot = groupSnapshots.get(id);
      return snapshot !== undefined && isVisible(context, snapshot) && this.#shows(snapshot) ? snapshot : undefined;
    });
  }

  async show(context: RequestContext, id: string): Promise<GroupSnapshot> {
    await this.#ports.index.fresh();
    const snapshot = this.#ports.index.groupSnapshots.get(id);
    if (snapshot === undefined || !isVisible(context, snapshot)) throw groupSnapshotNotFound(id);
    this.#ports.policy.enforce(context, "group:get_group_snapshot", snapshot);
    this.#checkForm(snapshot);
    return snapshot;
  }

  delete(context: RequestContext, id: string): Promise<void> {
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const groupSnapshot = await readGroupSnapshot(tx, context, id);
      this.#ports.policy.enforce(context, "group:delete_group_snapshot", groupSnapshot);
      this.#checkForm(groupSnapshot);
      // What is made of it writes its record, which was read here: what is seen now holds.
      await this.#ports.index.fresh();
      checkGroupSnapshotDelete(groupSnapshot, isSourceOfGroup(this.#ports, id));
      const snapshots = await readMemberSnapshots(tx, groupSnapshot);
      await this.#ports.notices.groupSnapshot(tx, context, "delete", groupSnapshot, snapshots);
      for (const snapshot of snapshots) await removeSnapshot(this.#ports, tx, snapshot);
      deleteRecord(tx, groupSnapshotKind, id);
      const group = await readRecord(tx, groupKind, groupSnapshot.groupId);
      if (group === undefined) return;
      writeRecord(tx, groupKind, group.id, { ...group, snapshotCount: group.snapshotCount - 1 });
    });
  }

  async resetStatus(context: RequestContext, id: string, status: string): Promise<void> {
    const target = resetGroupSnapshotTarget(status);
    await this.#ports.store.commit(context.projectId, async (tx) => {
      const snapshot = await readGroupSnapshot(tx, context, id);
      this.#ports.policy.enforce(context, "group:reset_group_snapshot_status", snapshot);
      const told = { id, update: target };
      for (const event of ["groupsnapshots.reset_status.start", "groupsnapshots.reset_status.end"] as const) {
        this.#ports.notices.plain(tx, context, event, `group_snapshot/${id}`, () => told);
      }
      writeRecord(tx, groupSnapshotKind, id, { ...snapshot, status: target, updatedAtMs: this.#ports.clock.wallMs() });
    });
  }

  /** A snapshot of each volume, all of one instant. */
  async #cut(
    tx: Tx,
    context: RequestContext,
    group: Group,
    request: CreateGroupSnapshot & { readonly id: string },
  ): Promise<readonly Snapshot[]> {
    const { control, ledger, policy, random, settings } = this.#ports;
    const volumes = await readMembers(tx, group);
    for (const volume of volumes) {
      policy.enforce(context, "volume:create_snapshot", volume);
      checkMemberSnapshot(volume);
      await ledger.charge(tx, snapshotCharge(settings, volume));
    }
    if (volumes.length === 0) return [];
    const members = volumes.map((volume) => ({ volume, id: random.uuid() }));
    const wishes = members.map(({ volume, id }) => ({ id, vdiskId: volume.id, name: request.name ?? `snapshot-${id}` }));
    const isReady = (await control.createSnapshots(tx, request.id, wishes)) === "ready";
    const snapshots: Snapshot[] = [];
    for (const { volume, id } of members) {
      const snapshot: Snapshot = {
        ...newSnapshot(context, volume, request, id, await nextSnapshotTimeMs(this.#ports, volume)),
        groupSnapshotId: request.id,
        status: isReady ? "available" : "creating",
        progress: isReady ? "100%" : "0%",
      };
      writeRecord(tx, snapshotKind, id, snapshot);
      writeRecord(tx, volumeKind, volume.id, { ...volume, snapshotCount: volume.snapshotCount + 1 });
      snapshots.push(snapshot);
    }
    return snapshots;
  }

  #shows(record: Pick<Group, "groupTypeId">): boolean {
    return this.#isOlder || !isConsistencyGroup(this.#ports, record);
  }

  #checkForm(record: Pick<Group, "groupTypeId">, what = "group snapshots"): void {
    if (!this.#shows(record)) throw reserved(record.groupTypeId, what);
  }
}
