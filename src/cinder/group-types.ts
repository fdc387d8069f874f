// Group types with their specs. Names are unique by a record at the name; a rename moves it.

import type { Tx } from "../registry/atomic.ts";
import { systemContext, type RequestContext } from "./context.ts";
import { runQuery } from "./collection-query.ts";
import { conflict, groupTypeNotFound, invalid, invalidInput, notFound, overLimit } from "./faults.ts";
import { consistencyGroupTypeName } from "./groups/group-records.ts";
import type { ListQuery, Page } from "./list-query.ts";
import { checkTexts, withoutKey } from "./metadata-rules.ts";
import { cinderLimits, type GroupType, type Metadata } from "./model.ts";
import type { CreateGroupType, GroupTypes } from "./operator-verbs.ts";
import type { PlainEvent } from "./notifications/event-table.ts";
import { groupTypePayload, type Payload } from "./notifications/payloads.ts";
import { OrderedList } from "./ordered-list.ts";
import type { PolicyRule } from "./policy.ts";
import type { CinderPorts } from "./ports.ts";
import { deleteRecord, groupTypeKind, groupTypeNameKind, readRecord, writeRecord } from "./records.ts";
import { groupTypeShape } from "./shapes.ts";
import { checkExtraSpecs } from "./type-specs.ts";

type GroupTypeUpdate = { readonly name?: string; readonly description?: string | null; readonly isPublic?: boolean };

export class GroupTypeService implements GroupTypes {
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  /** Makes the type that groups of the old consistencygroups API have, if its name is free. */
  async ensureDefault(): Promise<void> {
    const type = this.#newType({
      name: consistencyGroupTypeName,
      description: "Default group type for migrating cgsnapshot",
      groupSpecs: { consistent_group_snapshot_enabled: "<is> True" },
    });
    await this.#ports.store.commit(systemContext.projectId, async (tx) => {
      if ((await readRecord(tx, groupTypeNameKind, type.name)) === undefined) await this.#write(tx, type);
    });
  }

  async list(context: RequestContext, query: ListQuery, isPublic: boolean | undefined): Promise<Page<GroupType>> {
    await this.#ports.index.fresh();
    const list = new OrderedList<GroupType>();
    for (const type of this.#ports.index.groupTypes.values()) {
      const wanted = context.isAdmin ? isPublic : true;
      if (wanted === undefined || type.isPublic === wanted) list.append(type);
    }
    return runQuery(list, groupTypeShape, query, (id) => this.#ports.index.groupTypes.get(id));
  }

  async show(context: RequestContext, id: string): Promise<GroupType> {
    await this.#ports.index.fresh();
    const type = this.#ports.index.groupTypes.get(id);
    if (type === undefined || !(context.isAdmin || type.isPublic)) throw groupTypeNotFound(id);
    return type;
  }

  async create(context: RequestContext, request: CreateGroupType): Promise<GroupType> {
    this.#enforce(context, "group:group_types:create");
    checkGroupTypeTexts(request);
    checkExtraSpecs(request.groupSpecs ?? {});
    await this.#ports.index.fresh();
    if (this.#ports.index.groupTypes.size >= cinderLimits.groupTypesMax) {
      throw overLimit(`Maximum number of group types allowed (${cinderLimits.groupTypesMax}) exceeded`);
    }
    const type = this.#newType(request);
    return this.#ports.store.commit(systemContext.projectId, async (tx) => {
      await this.#write(tx, type);
      this.#tell(tx, context, "group_type.create", type, () => groupTypePayload(type));
      return type;
    });
  }

  #newType(request: CreateGroupType): GroupType {
    return {
      v: 1,
      id: this.#ports.random.uuid(),
      name: request.name,
      description: request.description ?? null,
      isPublic: request.isPublic ?? true,
      groupSpecs: request.groupSpecs ?? {},
      createdAtMs: this.#ports.clock.wallMs(),
      updatedAtMs: null,
    };
  }

  async #write(tx: Tx, type: GroupType): Promise<void> {
    await takeName(tx, type.name, type.id);
    writeRecord(tx, groupTypeKind, type.id, type);
  }

  async update(context: RequestContext, id: string, update: GroupTypeUpdate): Promise<GroupType> {
    this.#enforce(context, "group:group_types:update");
    checkGroupTypeTexts(update);
    return this.#change(id, async (type, tx) => {
      const name = update.name ?? type.name;
      if (name !== type.name) {
        await takeName(tx, name, id);
        deleteRecord(tx, groupTypeNameKind, type.name);
      }
      const description = update.description === undefined ? type.description : update.description;
      const next = { ...type, name, description, isPublic: update.isPublic ?? type.isPublic };
      this.#tell(tx, context, "group_type.update", type, () =>
        groupTypePayload({ ...next, updatedAtMs: this.#ports.clock.wallMs() }),
      );
      return next;
    });
  }

  async delete(context: RequestContext, id: string): Promise<void> {
    this.#enforce(context, "group:group_types:delete");
    await this.#ports.store.commit(systemContext.projectId, async (tx) => {
      const type = await readRecord(tx, groupTypeKind, id);
      if (type === undefined) throw groupTypeNotFound(id);
      // A new group writes the type's record, which was read here: what is seen now holds.
      await this.#ports.index.fresh();
      if (this.#ports.index.groups.select((group) => group.groupTypeId === id).length > 0) throw inUse(id);
      deleteRecord(tx, groupTypeKind, id);
      deleteRecord(tx, groupTypeNameKind, type.name);
      this.#tell(tx, context, "group_type.delete", type, () => groupTypePayload(type));
    });
  }

  visibleSpecs(context: RequestContext, type: GroupType): Metadata | undefined {
    const target = { projectId: context.projectId };
    return this.#ports.policy.allows(context, "group:access_group_types_specs", target) ? type.groupSpecs : undefined;
  }

  async showSpecs(context: RequestContext, id: string): Promise<Metadata> {
    this.#enforce(context, "group:group_types_specs:get_all");
    return (await this.show(context, id)).groupSpecs;
  }

  async showSpec(context: RequestContext, id: string, key: string): Promise<string> {
    this.#enforce(context, "group:group_types_specs:get");
    const { groupSpecs } = await this.show(context, id);
    const value = Object.hasOwn(groupSpecs, key) ? groupSpecs[key] : undefined;
    if (value === undefined) throw missingSpec(id, key);
    return value;
  }

  async setSpecs(context: RequestContext, id: string, specs: Metadata): Promise<void> {
    this.#enforce(context, "group:group_types_specs:create");
    const event = { name: "group_type_specs.create", told: { specs } } as const;
    await this.#changeSpecs(context, id, event, (present) => ({ ...present, ...specs }));
  }

  async setSpec(context: RequestContext, id: string, key: string, value: string): Promise<void> {
    this.#enforce(context, "group:group_types_specs:update");
    const event = { name: "group_type_specs.update", told: { id: key } } as const;
    await this.#changeSpecs(context, id, event, (present) => ({ ...present, [key]: value }));
  }

  async deleteSpec(context: RequestContext, id: string, key: string): Promise<void> {
    this.#enforce(context, "group:group_types_specs:delete");
    const event = { name: "group_type_specs.delete", told: { id: key } } as const;
    await this.#changeSpecs(context, id, event, (present) => {
      if (!Object.hasOwn(present, key)) throw notFound(`Group Type ${id} has no specs with key ${key}.`);
      return withoutKey(present, key);
    });
  }

  #tell(tx: Tx, context: RequestContext, event: PlainEvent, { id }: GroupType, payload: () => Payload): void {
    this.#ports.notices.plain(tx, context, event, `group_type/${id}`, payload);
  }

  #enforce(context: RequestContext, rule: PolicyRule): void {
    this.#ports.policy.enforce(context, rule, { projectId: context.projectId });
  }

  async #changeSpecs(
    context: RequestContext,
    id: string,
    event: { readonly name: PlainEvent; readonly told: Payload },
    change: (present: Metadata) => Metadata,
  ): Promise<void> {
    await this.#change(id, (type, tx) => {
      const groupSpecs = change(type.groupSpecs);
      checkExtraSpecs(groupSpecs);
      this.#tell(tx, context, event.name, type, () => ({ type_id: id, ...event.told }));
      return { ...type, groupSpecs };
    });
  }

  #change(id: string, change: (type: GroupType, tx: Tx) => GroupType | Promise<GroupType>): Promise<GroupType> {
    return this.#ports.store.commit(systemContext.projectId, async (tx) => {
      const type = await readRecord(tx, groupTypeKind, id);
      if (type === undefined) throw groupTypeNotFound(id);
      const next = { ...(await change(type, tx)), updatedAtMs: this.#ports.clock.wallMs() };
      writeRecord(tx, groupTypeKind, id, next);
      return next;
    });
  }
}

async function takeName(tx: Tx, name: string, id: string): Promise<void> {
  if ((await readRecord(tx, groupTypeNameKind, name)) !== undefined) throw conflict(`Group Type ${name} already exists.`);
  writeRecord(tx, groupTypeNameKind, name, { v: 1, typeId: id });
}

function inUse(id: string): Error {
  return invalid(
    `Target group type is still in use. Group Type ${id} deletion is not allowed with groups present with the type.`,
  );
}

function missingSpec(id: string, key: string): Error {
  return notFound(`Group Type ${id} has no extra spec with key ${key}.`);
}

function checkGroupTypeTexts(texts: { readonly name?: string; readonly description?: string | null }): void {
  if (texts.name?.trim() === "") throw invalidInput("Group type name can not be empty.");
  checkTexts(texts);
}
