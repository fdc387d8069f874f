// Groups of volumes: create, list, show, update, reset. Delete and the making of a group of another are in files of their own
// (group-delete.ts, group-copy.ts); docs/design/groups.md has the whole. Each verb here is one transaction.
//
// What changes a group's members writes its record, and so does what snapshots or deletes it: of two that must not meet one
// begins again. A new group writes its group type too, which the delete of that type reads.

import type { Tx } from "../../registry/atomic.ts";
import { runQuery } from "../collection-query.ts";
import type { RequestContext } from "../context.ts";
import { groupNotFound, invalid, invalidGroup, invalidInput, invalidVolume, typeNameNotFound, typeNotFound } from "../faults.ts";
import { GroupReplication } from "./group-replication.ts";
import { consistencyGroupTypeName, isConsistencyGroup, readGroup, readMembers } from "./group-records.ts";
import type { GroupCopying } from "./group-copy.ts";
import type { GroupDeletion } from "./group-delete.ts";
import { checkAdd, checkMembersChange, checkRemove, checkRoom, reserved, resetGroupTarget } from "./group-status.ts";
import type { CopyGroup, CreateGroup, Groups, GroupUpdate, ReplicationVerb } from "./group-verbs.ts";
import type { ListQuery, Page } from "../list-query.ts";
import { checkTexts } from "../metadata-rules.ts";
import { cinderLimits, type Group, type GroupType, type Volume, type VolumeType } from "../model.ts";
import { OrderedList } from "../ordered-list.ts";
import { ownTarget, type PolicyRule } from "../policy.ts";
import { isPoolDisabled, isVisible, searchedProject, type CinderPorts } from "../ports.ts";
import { groupKind, groupTypeKind, readRecord, volumeKind, writeRecord } from "../records.ts";
import { chooseCommonPool, volumeHost } from "../scheduler.ts";
import { groupShape } from "../shapes.ts";
import { isUuid, readGroupTypeByReference, readTypeByReference } from "../type-reference.ts";
import { isTypeUsable } from "../type-visibility.ts";
import { writeMessage } from "../user-messages.ts";

export interface GroupParts {
  readonly deletion: GroupDeletion;
  readonly copying: GroupCopying;
}

export class GroupService implements Groups {
  readonly #ports: CinderPorts;
  readonly #parts: GroupParts;
  readonly #isOlder: boolean;
  readonly #replication: GroupReplication;

  /** `isOlder`: as the consistencygroups API has them. */
  constructor(ports: CinderPorts, parts: GroupParts, isOlder: boolean) {
    this.#ports = ports;
    this.#parts = parts;
    this.#isOlder = isOlder;
    this.#replication = new GroupReplication(ports);
  }

  async create(context: RequestContext, request: CreateGroup): Promise<Group> {
    const { policy, control, random, store } = this.#ports;
    policy.enforce(context, "group:create", ownTarget(context));
    if (context.projectId === "") throw invalid("A group needs a project, and the token is of none.");
    checkTexts(request);
    const pools = await control.pools();
    const [id, messageId] = [random.uuid(), random.uuid()];
    return store.commit(context.projectId, async (tx) => {
      const type = await this.#groupType(tx, context, request.groupType);
      const volumeTypes = await readVolumeTypes(tx, context, request.volumeTypes);
      const availabilityZone = this.#zone(request.availabilityZone);
      await this.#ports.ledger.charge(tx, { projectId: context.projectId, typeId: null, groups: 1 });
      const demands = volumeTypes.map(({ extraSpecs }) => ({ sizeGib: 0, extraSpecs, availabilityZone }));
      const choice = chooseCommonPool(this.#ports.settings, pools, demands, (pool) => isPoolDisabled(this.#ports, pool));
      const group: Group = {
        v: 1,
        id,
        projectId: context.projectId,
        userId: context.userId,
        name: request.name,
        description: request.description,
        status: "pool" in choice ? "available" : "error",
        groupTypeId: type.id,
        volumeTypeIds: volumeTypes.map((one) => one.id),
        host: "pool" in choice ? volumeHost(this.#ports.settings, choice.pool) : null,
        availabilityZone,
        volumeIds: [],
        snapshotCount: 0,
        groupSnapshotId: null,
        sourceGroupId: null,
        createdAtMs: this.#ports.clock.wallMs(),
        updatedAtMs: null,
      };
      writeRecord(tx, groupKind, id, group);
      writeRecord(tx, groupTypeKind, type.id, type);
      if ("pool" in choice) await this.#ports.notices.group(tx, context, "create", group);
      else this.#tellUnplaced(tx, context, group, choice.reasons, messageId);
      return group;
    });
  }

  createFromSource(context: RequestContext, request: CopyGroup): Promise<Group> {
    return this.#parts.copying.copy(context, request, this.#isOlder);
  }

  async list(context: RequestContext, query: ListQuery): Promise<Page<Group>> {
    this.#ports.policy.enforce(context, "group:get_all", ownTarget(context));
    await this.#ports.index.fresh();
    const { groups } = this.#ports.index;
    const search = groups.search(query, searchedProject(context, query));
    const list = new OrderedList<Group>();
    for (const group of search.list) if (this.#shows(group)) list.append(group);
    return runQuery(list, groupShape, search.query, (id) => {
      const group = groups.get(id);
      return group !== undefined && isVisible(context, group) && this.#shows(group) ? group : undefined;
    });
  }

  async show(context: RequestContext, id: string): Promise<Group> {
    await this.#ports.index.fresh();
    const group = this.#ports.index.groups.get(id);
    if (group === undefined || !isVisible(context, group)) throw groupNotFound(id);
    this.#ports.policy.enforce(context, "group:get", group);
    this.#checkForm(group);
    return group;
  }

  async update(context: RequestContext, id: string, update: GroupUpdate): Promise<void> {
    checkTexts(update);
    await this.#change(context, id, "group:update", async (group, tx) => {
      this.#checkForm(group);
      const { addVolumes, removeVolumes } = update;
      const both = addVolumes.filter((one) => removeVolumes.includes(one));
      if (both.length > 0) {
        throw invalidVolume(`UUIDs [${both.map((one) => `'${one}'`).join(", ")}] are in both add and remove volume list.`);
      }
      const added = await this.#readAdded(tx, context, group, addVolumes);
      const removed = await this.#readRemoved(tx, group, removeVolumes);
      const name = update.name ?? group.name;
      const description = update.description ?? group.description;
      const isSame = name === group.name && description === group.description;
      if (isSame && added.length === 0 && removed.length === 0) {
        throw invalidGroup(
          `Cannot update group ${id} because no valid name, description, add_volumes, or remove_volumes were provided.`,
        );
      }
      const named = { ...group, name, description };
      if (added.length + removed.length === 0) return named;
      checkMembersChange(group);
      return this.#moveMembers(tx, context, named, added, removed);
    });
  }

  async delete(context: RequestContext, id: string, withVolumes: boolean): Promise<void> {
    await this.#parts.deletion.delete(context, id, withVolumes, (group) => this.#checkForm(group));
  }

  async resetStatus(context: RequestContext, id: string, status: string): Promise<void> {
    const target = resetGroupTarget(status);
    await this.#change(context, id, "group:reset_status", (group, tx) => {
      const told = { id, update: target };
      for (const event of ["groups.reset_status.start", "groups.reset_status.end"] as const) {
        this.#ports.notices.plain(tx, context, event, `group/${id}`, () => told);
      }
      return { ...group, status: target };
    });
  }

  replicate(context: RequestContext, id: string, verb: ReplicationVerb): Promise<never> {
    return this.#replication.refuse(context, id, verb);
  }

  replicationTargets(context: RequestContext, id: string): Promise<Group> {
    return this.#replication.targets(context, id);
  }

  #change(
    context: RequestContext,
    id: string,
    rule: PolicyRule,
    change: (group: Group, tx: Tx) => Group | Promise<Group>,
  ): Promise<void> {
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const group = await readGroup(tx, context, id);
      this.#ports.policy.enforce(context, rule, group);
      const next = { ...(await change(group, tx)), updatedAtMs: this.#ports.clock.wallMs() };
      writeRecord(tx, groupKind, id, next);
    });
  }

  async #moveMembers(
    tx: Tx,
    context: RequestContext,
    group: Group,
    added: readonly Volume[],
    removed: readonly Volume[],
  ): Promise<Group> {
    await this.#ports.notices.group(tx, context, "updateBegins", group);
    const updatedAtMs = this.#ports.clock.wallMs();
    for (const volume of added) writeRecord(tx, volumeKind, volume.id, { ...volume, groupId: group.id, updatedAtMs });
    for (const volume of removed) writeRecord(tx, volumeKind, volume.id, { ...volume, groupId: null, updatedAtMs });
    const gone = new Set(removed.map((volume) => volume.id));
    const kept = group.volumeIds.filter((one) => !gone.has(one));
    const next = { ...group, volumeIds: [...kept, ...added.map((volume) => volume.id)] };
    checkRoom({ ...next, volumeIds: kept }, added.length);
    await this.#ports.notices.group(tx, context, "updateEnds", next);
    return next;
  }

  /** Those that are not in it already. */
  async #readAdded(tx: Tx, context: RequestContext, group: Group, ids: readonly string[]): Promise<Volume[]> {
    const added: Volume[] = [];
    for (const id of new Set(ids)) {
      if (group.volumeIds.includes(id)) continue;
      const volume = await readRecord(tx, volumeKind, id);
      added.push(checkAdd(group, id, volume !== undefined && isVisible(context, volume) ? volume : undefined));
    }
    return added;
  }

  async #readRemoved(tx: Tx, group: Group, ids: readonly string[]): Promise<Volume[]> {
    const stranger = ids.find((id) => !group.volumeIds.includes(id));
    if (stranger !== undefined) {
      throw invalidVolume(`Cannot remove volume ${stranger} from group ${group.id} because it is not in the group.`);
    }
    const removed = await readMembers(tx, { volumeIds: [...new Set(ids)] });
    for (const volume of removed) checkRemove(group, volume);
    return removed;
  }

  async #groupType(tx: Tx, context: RequestContext, reference: string | undefined): Promise<GroupType> {
    if (!this.#isOlder) {
      const type = await readGroupTypeByReference(tx, context, reference ?? "");
      if (type.name === consistencyGroupTypeName) throw reserved(type.id);
      return type;
    }
    const type = await readGroupTypeByReference(tx, { ...context, isAdmin: true }, consistencyGroupTypeName).catch(
      () => undefined,
    );
    if (type !== undefined) return type;
    throw invalid(
      `Group type ${consistencyGroupTypeName} not found. Rerun migration script to create the default cgsnapshot type.`,
    );
  }

  #zone(given: string | undefined): string {
    const { availabilityZone: own, allowZoneFallback } = this.#ports.settings;
    if (given === undefined || given === own || allowZoneFallback) return own;
    throw invalidInput(`Availability zone '${given}' is invalid.`);
  }

  #tellUnplaced(tx: Tx, context: RequestContext, group: Group, reasons: readonly string[], messageId: string): void {
    writeMessage(this.#ports, tx, messageId, {
      action: "schedule-volume",
      detail: "no-backend",
      resourceType: "VOLUME_GROUP",
      resourceId: group.id,
      projectId: group.projectId,
      requestId: context.requestId,
      reason: reasons.join("; "),
    });
  }

  #shows(group: Group): boolean {
    return this.#isOlder || !isConsistencyGroup(this.#ports, group);
  }

  #checkForm(group: Group): void {
    if (!this.#shows(group)) throw reserved(group.groupTypeId);
  }
}

async function readVolumeTypes(tx: Tx, context: RequestContext, references: readonly string[]): Promise<VolumeType[]> {
  if (references.length > cinderLimits.groupVolumeTypesMax) {
    throw invalidInput(`A group's volumes can be of at most ${cinderLimits.groupVolumeTypesMax} types.`);
  }
  const types = new Map<string, VolumeType>();
  for (const reference of references) {
    const type = await readTypeByReference(tx, reference);
    if (type === undefined || !isTypeUsable(context, type)) {
      throw isUuid(reference) ? typeNotFound(reference) : typeNameNotFound(reference);
    }
    types.set(type.id, type);
  }
  return [...types.values()];
}
