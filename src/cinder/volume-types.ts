// Volume types with extra specs and access lists. Names are unique by a record at the name; a rename moves it.
//
// A type can't go while volumes have it. Volumes of all projects are not counted in its record (every create would fight for
// it), so a delete goes in two steps: `retiring` keeps new volumes away, then the index, as fresh as that, shows who is left:
//
//   in force ──► retiring ── used ──► in force     A process that dies in between is made good by finishRetiring().
//                   └─────── unused ─► gone
//
// The default type is made at the first start and stays.

import type { Tx } from "../registry/atomic.ts";
import { systemContext, type RequestContext } from "./context.ts";
import { runQuery } from "./collection-query.ts";
import { conflict, invalid, invalidInput, notFound, overLimit, typeNotFound } from "./faults.ts";
import type { ListQuery, Page } from "./list-query.ts";
import { checkTexts } from "./metadata-rules.ts";
import { cinderLimits, type Metadata, type VolumeType } from "./model.ts";
import type { PlainEvent } from "./notifications/event-table.ts";
import { changeTimes, type Payload, typePayload } from "./notifications/payloads.ts";
import { OrderedList } from "./ordered-list.ts";
import { ownTarget } from "./policy.ts";
import type { CinderPorts } from "./ports.ts";
import { deleteRecord, readRecord, typeKind, typeNameKind, writeRecord } from "./records.ts";
import { typeShape } from "./shapes.ts";
import { TypeAccess } from "./type-access.ts";
import { checkExtraSpecs, missingSpec, withoutSpec } from "./type-specs.ts";
import { isTypeVisible, userVisibleSpecs } from "./type-visibility.ts";
import type { CreateVolumeType, VolumeTypes } from "./verbs.ts";

type TypeUpdate = { readonly name?: string; readonly description?: string | null; readonly isPublic?: boolean };

export class VolumeTypeService implements VolumeTypes {
  readonly #ports: CinderPorts;
  readonly #access: TypeAccess;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
    this.#access = new TypeAccess(ports);
  }

  /** Makes the default type if its name is free. */
  async ensureDefault(): Promise<void> {
    const id = this.#ports.random.uuid();
    const name = this.#ports.settings.defaultVolumeType;
    await this.#ports.store.commit(systemContext.projectId, async (tx) => {
      if ((await readRecord(tx, typeNameKind, name)) !== undefined) return;
      this.#write(tx, id, { name, description: "Default Volume Type" });
    });
  }

  async list(
    context: RequestContext,
    query: ListQuery,
    options: { readonly isPublic?: boolean | "any"; readonly extraSpecs?: Metadata },
  ): Promise<Page<VolumeType>> {
    this.#ports.policy.enforce(context, "volume_extension:type_get_all", ownTarget(context));
    await this.#ports.index.fresh();
    const wanted = context.isAdmin ? options.isPublic : undefined;
    const specs = Object.entries(options.extraSpecs ?? {});
    const list = new OrderedList<VolumeType>();
    for (const type of this.#ports.index.types.values()) {
      const kindMatches = wanted === undefined || wanted === "any" ? true : type.isPublic === wanted;
      const isShown = wanted === undefined ? type.isPublic || type.access.includes(context.projectId) : kindMatches;
      const seen = this.visibleExtraSpecs(context, type);
      if (isShown && specs.every(([key, value]) => seen[key] === value)) list.append(type);
    }
    return runQuery(list, typeShape, query, (id) => this.#ports.index.types.get(id));
  }

  async show(context: RequestContext, id: string): Promise<VolumeType> {
    this.#ports.policy.enforce(context, "volume_extension:type_get", ownTarget(context));
    return this.#find(context, id);
  }

  async showDefault(context: RequestContext): Promise<VolumeType> {
    this.#ports.policy.enforce(context, "volume_extension:type_get", ownTarget(context));
    await this.#ports.index.fresh();
    const { types, defaultTypes } = this.#ports.index;
    const own = types.get(defaultTypes.get(context.projectId)?.typeId ?? "");
    if (own !== undefined) return own;
    for (const type of types.values()) if (type.name === this.#ports.settings.defaultVolumeType) return type;
    throw notFound("Default volume type can not be found.");
  }

  async create(context: RequestContext, request: CreateVolumeType): Promise<VolumeType> {
    this.#ports.policy.enforce(context, "volume_extension:type_create", ownTarget(context));
    checkTypeTexts(request);
    checkExtraSpecs(request.extraSpecs ?? {});
    await this.#ports.index.fresh();
    if (this.#ports.index.types.size >= cinderLimits.typesMax) {
      throw overLimit(`Maximum number of volume types allowed (${cinderLimits.typesMax}) exceeded`);
    }
    const id = this.#ports.random.uuid();
    return this.#ports.store.commit(systemContext.projectId, async (tx) => {
      await this.#checkNameFree(tx, request.name);
      const type = this.#write(tx, id, request);
      this.#tell(tx, context, "volume_type.create", type, () => typePayload(type));
      return type;
    });
  }

  async update(context: RequestContext, id: string, update: TypeUpdate): Promise<VolumeType> {
    this.#ports.policy.enforce(context, "volume_extension:type_update", ownTarget(context));
    checkTypeTexts(update);
    return this.#change(id, async (type, tx) => {
      const name = update.name ?? type.name;
      if (name !== type.name) {
        await this.#checkNameFree(tx, name);
        deleteRecord(tx, typeNameKind, type.name);
        writeRecord(tx, typeNameKind, name, { v: 1, typeId: id });
      }
      const description = update.description === undefined ? type.description : update.description;
      const next = { ...type, name, description, isPublic: update.isPublic ?? type.isPublic };
      this.#tell(tx, context, "volume_type.update", type, () =>
        typePayload({ ...next, updatedAtMs: this.#ports.clock.wallMs() }),
      );
      return next;
    });
  }

  async delete(context: RequestContext, id: string): Promise<void> {
    this.#ports.policy.enforce(context, "volume_extension:type_delete", ownTarget(context));
    await this.#change(id, async (type) => {
      await this.#ports.index.fresh();
      const ofProject = this.#ports.index.defaultTypes.select((one) => one.typeId === id).length > 0;
      if (ofProject || type.name === this.#ports.settings.defaultVolumeType) {
        throw invalid(`The volume type ${id} is a default volume type and cannot be deleted.`);
      }
      return { ...type, retiring: true };
    });
    if (await this.#finishRetiring(id, context)) return;
    throw invalid("Target volume type is still in use.");
  }

  /** Ends deletes that a dead process left half done; those under way elsewhere come to the same end. */
  async finishRetiring(): Promise<void> {
    for (const type of this.#ports.index.types.select((one) => one.retiring === true)) {
      await this.#finishRetiring(type.id, systemContext);
    }
  }

  visibleExtraSpecs(context: RequestContext, type: VolumeType): Metadata {
    const rule = "volume_extension:types_extra_specs:read_sensitive";
    return this.#ports.policy.allows(context, rule, ownTarget(context)) ? type.extraSpecs : userVisibleSpecs(type);
  }

  async showExtraSpecs(context: RequestContext, id: string): Promise<Metadata> {
    this.#ports.policy.enforce(context, "volume_extension:types_extra_specs:index", ownTarget(context));
    return this.visibleExtraSpecs(context, await this.#find(context, id));
  }

  async showExtraSpec(context: RequestContext, id: string, key: string): Promise<string> {
    this.#ports.policy.enforce(context, "volume_extension:types_extra_specs:show", ownTarget(context));
    const specs = this.visibleExtraSpecs(context, await this.#find(context, id));
    const value = Object.hasOwn(specs, key) ? specs[key] : undefined;
    if (value === undefined) throw missingSpec(id, key);
    return value;
  }

  async setExtraSpecs(context: RequestContext, id: string, extraSpecs: Metadata): Promise<Metadata> {
    this.#ports.policy.enforce(context, "volume_extension:types_extra_specs:create", ownTarget(context));
    const event = { name: "volume_type_extra_specs.create", told: { specs: extraSpecs } } as const;
    await this.#changeSpecs(context, id, event, (present) => ({ ...present, ...extraSpecs }));
    return extraSpecs;
  }

  async setExtraSpec(context: RequestContext, id: string, key: string, value: string): Promise<void> {
    this.#ports.policy.enforce(context, "volume_extension:types_extra_specs:update", ownTarget(context));
    const event = { name: "volume_type_extra_specs.update", told: { id: key } } as const;
    await this.#changeSpecs(context, id, event, (present) => ({ ...present, [key]: value }));
  }

  async deleteExtraSpec(context: RequestContext, id: string, key: string): Promise<void> {
    await this.#find(context, id);
    this.#ports.policy.enforce(context, "volume_extension:types_extra_specs:delete", ownTarget(context));
    const event = { name: "volume_type_extra_specs.delete", told: { id: key, deleted_at: null } } as const;
    await this.#changeSpecs(context, id, event, (present) => withoutSpec(present, id, key));
  }

  showAccess(context: RequestContext, id: string): Promise<readonly string[]> {
    return this.#access.show(context, id);
  }

  addAccess(context: RequestContext, id: string, projectId: string): Promise<void> {
    return this.#access.add(context, id, projectId);
  }

  removeAccess(context: RequestContext, id: string, projectId: string): Promise<void> {
    return this.#access.remove(context, id, projectId);
  }

  async #find(context: RequestContext, id: string): Promise<VolumeType> {
    await this.#ports.index.fresh();
    const type = this.#ports.index.types.get(id);
    if (type === undefined || !isTypeVisible(context, type)) throw typeNotFound(id);
    return type;
  }

  #write(tx: Tx, id: string, request: CreateVolumeType): VolumeType {
    const type: VolumeType = {
      v: 1,
      id,
      name: request.name,
      description: request.description ?? null,
      isPublic: request.isPublic ?? true,
      extraSpecs: request.extraSpecs ?? {},
      access: [],
      qosSpecsId: null,
      createdAtMs: this.#ports.clock.wallMs(),
      updatedAtMs: null,
    };
    writeRecord(tx, typeKind, id, type);
    writeRecord(tx, typeNameKind, type.name, { v: 1, typeId: id });
    return type;
  }

  async #checkNameFree(tx: Tx, name: string): Promise<void> {
    if ((await readRecord(tx, typeNameKind, name)) !== undefined) throw conflict(`Volume Type ${name} already exists.`);
  }

  async #changeSpecs(
    context: RequestContext,
    id: string,
    event: { readonly name: PlainEvent; readonly told: Payload },
    change: (present: Metadata) => Metadata,
  ): Promise<void> {
    await this.#change(id, async (type, tx) => {
      await this.#ports.index.fresh();
      const extraSpecs = change(type.extraSpecs);
      checkExtraSpecs(extraSpecs);
      if (this.#isUsed(id)) throw invalid("Volume Type is currently in use.");
      const next = { ...type, extraSpecs };
      this.#tell(tx, context, event.name, type, () => ({ type_id: id, ...event.told, ...changeTimes(next) }));
      return next;
    });
  }

  #change(id: string, change: (type: VolumeType, tx: Tx) => VolumeType | Promise<VolumeType>): Promise<VolumeType> {
    return this.#ports.store.commit(systemContext.projectId, async (tx) => {
      const type = await readRecord(tx, typeKind, id);
      if (type === undefined) throw typeNotFound(id);
      const next = { ...(await change(type, tx)), updatedAtMs: this.#ports.clock.wallMs() };
      writeRecord(tx, typeKind, id, next);
      return next;
    });
  }

  /** True when the type is gone. */
  #finishRetiring(id: string, context: RequestContext): Promise<boolean> {
    return this.#ports.store.commit(systemContext.projectId, async (tx) => {
      const type = await readRecord(tx, typeKind, id);
      if (type === undefined) return true;
      const { retiring, ...inForce } = type;
      if (retiring !== true) return false;
      await this.#ports.index.fresh();
      if (this.#isUsed(id) || this.#isOfGroup(id)) {
        writeRecord(tx, typeKind, id, inForce);
        return false;
      }
      deleteRecord(tx, typeKind, id);
      deleteRecord(tx, typeNameKind, type.name);
      this.#tell(tx, context, "volume_type.delete", type, () => typePayload(type));
      return true;
    });
  }

  #tell(tx: Tx, context: RequestContext, event: PlainEvent, { id }: VolumeType, payload: () => Payload): void {
    this.#ports.notices.plain(tx, context, event, `volume_type/${id}`, payload);
  }

  #isOfGroup(id: string): boolean {
    for (const group of this.#ports.index.groups.values()) if (group.volumeTypeIds.includes(id)) return true;
    return false;
  }

  #isUsed(id: string): boolean {
    for (const volume of this.#ports.index.volumes.values()) if (volume.typeId === id || volume.move?.typeId === id) return true;
    return false;
  }
}

function checkTypeTexts(texts: { readonly name?: string; readonly description?: string | null }): void {
  if (texts.name !== undefined && texts.name.trim() === "") throw invalidInput("Volume type name can not be empty.");
  checkTexts(texts);
}
