// Quality of service: named pairs that volume types refer to. Those whose consumer is the front end go to the compute host with
// the connection, which sets them for the guest's disk; the others go to the storage router with the export (qos-figures.ts).
//
// Who ties a type to the pairs writes both records, and who deletes them reads both: neither can miss the other.

import { formatUtcTime } from "../common/utc-time.ts";
import type { Tx } from "../registry/atomic.ts";
import { systemContext, type RequestContext } from "./context.ts";
import { runQuery } from "./collection-query.ts";
import { conflict, invalid, notFound, overLimit, qosNotFound, typeNotFound } from "./faults.ts";
import type { ListQuery, Page } from "./list-query.ts";
import { checkMetadata, checkTexts, withoutKey } from "./metadata-rules.ts";
import { cinderLimits, qosConsumers, type Metadata, type QosSpecs, type VolumeType } from "./model.ts";
import type { QosSpecsVerbs } from "./operator-verbs.ts";
import type { PlainEvent } from "./notifications/event-table.ts";
import { changeTimes, type Payload } from "./notifications/payloads.ts";
import { OrderedList } from "./ordered-list.ts";
import type { CinderPorts } from "./ports.ts";
import { deleteRecord, qosKind, qosNameKind, readRecord, typeKind, writeRecord } from "./records.ts";
import { qosShape } from "./shapes.ts";

type Verb = "create" | "delete" | "get" | "get_all" | "update";

export class QosSpecsService implements QosSpecsVerbs {
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  async list(context: RequestContext, query: ListQuery): Promise<Page<QosSpecs>> {
    this.#enforce(context, "get_all");
    await this.#ports.index.fresh();
    const list = new OrderedList<QosSpecs>();
    for (const qos of this.#ports.index.qosSpecs.values()) list.append(qos);
    return runQuery(list, qosShape, query, (id) => this.#ports.index.qosSpecs.get(id));
  }

  async show(context: RequestContext, id: string): Promise<QosSpecs> {
    this.#enforce(context, "get");
    return this.#find(id);
  }

  async create(context: RequestContext, name: string, consumer: string | undefined, specs: Metadata): Promise<QosSpecs> {
    this.#enforce(context, "create");
    checkTexts({ name });
    checkMetadata(specs);
    const createdAtMs = this.#ports.clock.wallMs();
    const id = this.#ports.random.uuid();
    const known = readConsumer(consumer) ?? "back-end";
    const qos: QosSpecs = { v: 1, id, name, consumer: known, specs, createdAtMs, updatedAtMs: null };
    await this.#ports.index.fresh();
    if (this.#ports.index.qosSpecs.size >= cinderLimits.qosSpecsMax) {
      throw overLimit(`Maximum number of QoS specs allowed (${cinderLimits.qosSpecsMax}) exceeded`);
    }
    return this.#ports.store.commit(systemContext.projectId, async (tx) => {
      if ((await readRecord(tx, qosNameKind, name)) !== undefined) throw conflict(`QoS Specs ${name} already exists.`);
      writeRecord(tx, qosNameKind, name, { v: 1, typeId: id });
      writeRecord(tx, qosKind, id, qos);
      const told = {
        name,
        created_at: formatUtcTime(createdAtMs),
        specs: { ...specs, ...(consumer === undefined ? {} : { consumer }) },
      };
      this.#ports.notices.plain(tx, context, "qos_specs.create", `qos_specs/${id}`, () => told);
      return qos;
    });
  }

  async update(context: RequestContext, id: string, consumer: string | undefined, specs: Metadata): Promise<void> {
    this.#enforce(context, "update");
    const known = readConsumer(consumer);
    const told = { specs: { ...specs, ...(consumer === undefined ? {} : { consumer }) } };
    await this.#change(context, id, "qos_specs.update", told, (qos) => {
      const merged = { ...qos.specs, ...specs };
      checkMetadata(merged);
      return { ...qos, consumer: known ?? qos.consumer, specs: merged };
    });
  }

  async deleteKeys(context: RequestContext, id: string, keys: readonly string[]): Promise<void> {
    this.#enforce(context, "delete");
    await this.#change(context, id, "qos_specs.delete_keys", {}, (qos) => {
      let { specs } = qos;
      for (const key of keys) {
        if (!Object.hasOwn(specs, key)) throw notFound(`QoS spec ${id} has no spec with key ${key}.`);
        specs = withoutKey(specs, key);
      }
      return { ...qos, specs };
    });
  }

  async delete(context: RequestContext, id: string, force: boolean): Promise<void> {
    this.#enforce(context, "delete");
    if (force) await this.#letGo(id);
    await this.#ports.store.commit(systemContext.projectId, async (tx) => {
      const qos = await readQos(tx, id);
      await this.#ports.index.fresh();
      if (this.#typesOf(id).length > 0) throw invalid("Qos specs still in use.");
      deleteRecord(tx, qosKind, id);
      deleteRecord(tx, qosNameKind, qos.name);
      const told = { id, created_at: formatUtcTime(qos.createdAtMs), deleted_at: formatUtcTime(this.#ports.clock.wallMs()) };
      this.#ports.notices.plain(tx, context, "qos_specs.delete", `qos_specs/${id}`, () => told);
    });
  }

  async associations(context: RequestContext, id: string): Promise<readonly VolumeType[]> {
    this.#enforce(context, "get_all");
    await this.#find(id);
    return this.#typesOf(id);
  }

  async associate(context: RequestContext, id: string, typeId: string): Promise<void> {
    this.#enforce(context, "update");
    await this.#changeType(context, id, typeId, "qos_specs.associate", (type) => {
      if (type.qosSpecsId !== null && type.qosSpecsId !== id) {
        throw invalid(`Invalid volume type: Type ${typeId} is already associated with another qos specs: ${type.qosSpecsId}`);
      }
      return id;
    });
  }

  async disassociate(context: RequestContext, id: string, typeId: string): Promise<void> {
    this.#enforce(context, "update");
    await this.#changeType(context, id, typeId, "qos_specs.disassociate", (type) =>
      type.qosSpecsId === id ? null : type.qosSpecsId,
    );
  }

  async disassociateAll(context: RequestContext, id: string): Promise<void> {
    this.#enforce(context, "update");
    await this.#find(id);
    await this.#letGo(id);
    if (!this.#ports.notices.isOn) return;
    await this.#ports.store.commit(systemContext.projectId, async (tx) => {
      const told = { id, created_at: formatUtcTime((await readQos(tx, id)).createdAtMs) };
      this.#ports.notices.plain(tx, context, "qos_specs.disassociate_all", `qos_specs/${id}`, () => told);
    });
  }

  #enforce(context: RequestContext, verb: Verb): void {
    this.#ports.policy.enforce(context, `volume_extension:qos_specs_manage:${verb}`, { projectId: context.projectId });
  }

  async #find(id: string): Promise<QosSpecs> {
    await this.#ports.index.fresh();
    const qos = this.#ports.index.qosSpecs.get(id);
    if (qos === undefined) throw qosNotFound(id);
    return qos;
  }

  #typesOf(id: string): VolumeType[] {
    return this.#ports.index.types.select((type) => type.qosSpecsId === id);
  }

  /** In bounded steps: each is a transaction over some types. */
  async #letGo(id: string): Promise<void> {
    for (;;) {
      await this.#ports.index.fresh();
      const step = this.#typesOf(id).slice(0, cinderLimits.typesPerStepMax);
      if (step.length === 0) return;
      await this.#ports.store.commit(systemContext.projectId, async (tx) => {
        for (const { id: typeId } of step) {
          const type = await readRecord(tx, typeKind, typeId);
          if (type?.qosSpecsId === id) writeRecord(tx, typeKind, typeId, { ...type, qosSpecsId: null });
        }
      });
    }
  }

  #change(
    context: RequestContext,
    id: string,
    event: PlainEvent,
    told: Payload,
    change: (qos: QosSpecs) => QosSpecs,
  ): Promise<void> {
    return this.#ports.store.commit(systemContext.projectId, async (tx) => {
      const next = { ...change(await readQos(tx, id)), updatedAtMs: this.#ports.clock.wallMs() };
      writeRecord(tx, qosKind, id, next);
      this.#ports.notices.plain(tx, context, event, `qos_specs/${id}`, () => ({ id, ...told, ...changeTimes(next) }));
    });
  }

  #changeType(
    context: RequestContext,
    id: string,
    typeId: string,
    event: PlainEvent,
    change: (type: VolumeType) => string | null,
  ): Promise<void> {
    return this.#ports.store.commit(systemContext.projectId, async (tx) => {
      const qos = await readQos(tx, id);
      const type = await readRecord(tx, typeKind, typeId);
      if (type === undefined) throw typeNotFound(typeId);
      writeRecord(tx, typeKind, typeId, { ...type, qosSpecsId: change(type) });
      writeRecord(tx, qosKind, id, qos);
      const told = { id, type_id: typeId, created_at: formatUtcTime(qos.createdAtMs) };
      this.#ports.notices.plain(tx, context, event, `qos_specs/${id}`, () => told);
    });
  }
}

async function readQos(tx: Tx, id: string): Promise<QosSpecs> {
  const qos = await readRecord(tx, qosKind, id);
  if (qos === undefined) throw qosNotFound(id);
  return qos;
}

function readConsumer(text: string | undefined): QosSpecs["consumer"] | undefined {
  if (text === undefined) return undefined;
  const known = qosConsumers.find((consumer) => consumer === text);
  if (known !== undefined) return known;
  throw invalid(
    `Invalid qos specs: Valid consumer of QoS specs are: [${qosConsumers.map((consumer) => `'${consumer}'`).join(", ")}]`,
  );
}
