// Encryption specs of volume types: kept in the type's record, and changed only while no volume has the type.
//
// Nothing is encrypted by them here: a volume of such a type gets a key (volume-keys.ts), and its host encrypts. Without a key
// manager it is refused, and never made in the clear.

import { systemContext, type RequestContext } from "./context.ts";
import { CinderFault, invalid, invalidInput, notFound, typeNotFound } from "./faults.ts";
import { cinderLimits, type TypeEncryption, type VolumeType } from "./model.ts";
import type { Payload } from "./notifications/payloads.ts";
import type { EncryptionChange, NewEncryption, TypeEncryptions } from "./operator-verbs.ts";
import type { CinderPorts } from "./ports.ts";
import { readRecord, typeKind, writeRecord } from "./records.ts";

type Verb = "create" | "delete" | "get" | "update";

export class TypeEncryptionService implements TypeEncryptions {
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  async show(context: RequestContext, typeId: string): Promise<TypeEncryption | undefined> {
    this.#enforce(context, "get");
    await this.#ports.index.fresh();
    const type = this.#ports.index.types.get(typeId);
    if (type === undefined) throw typeNotFound(typeId);
    return type.encryption;
  }

  async create(context: RequestContext, typeId: string, request: NewEncryption): Promise<TypeEncryption> {
    this.#enforce(context, "create");
    checkEncryption(request);
    const id = this.#ports.random.uuid();
    const createdAtMs = this.#ports.clock.wallMs();
    const fresh = { id, cipher: null, keySize: null, createdAtMs, updatedAtMs: null };
    const type = await this.#change(context, typeId, "create", request, (present) => {
      if (present.encryption !== undefined) {
        throw new CinderFault("invalid", `Volume type encryption for type ${typeId} already exists.`);
      }
      return { ...present, encryption: { ...fresh, ...request } };
    });
    await this.#checkStillUnused(typeId, id);
    return type.encryption ?? { ...fresh, ...request };
  }

  async update(context: RequestContext, typeId: string, change: EncryptionChange): Promise<void> {
    this.#enforce(context, "update");
    checkEncryption(change);
    const updatedAtMs = this.#ports.clock.wallMs();
    await this.#change(context, typeId, "update", change, (type) => ({
      ...type,
      encryption: { ...findEncryption(type), ...change, updatedAtMs },
    }));
  }

  async delete(context: RequestContext, typeId: string): Promise<void> {
    this.#enforce(context, "delete");
    await this.#change(context, typeId, "delete", {}, (type) => {
      findEncryption(type);
      const { encryption: _, ...rest } = type;
      return rest;
    });
  }

  /** A volume that came to be before the type was written, and was not seen then: what was written is taken back. */
  async #checkStillUnused(typeId: string, encryptionId: string): Promise<void> {
    await this.#ports.index.fresh();
    if (!this.#isUsed(typeId)) return;
    await this.#ports.store.commit(systemContext.projectId, async (tx) => {
      const type = await readRecord(tx, typeKind, typeId);
      if (type?.encryption?.id !== encryptionId) return;
      const { encryption: _, ...rest } = type;
      writeRecord(tx, typeKind, typeId, rest);
    });
    throw typeInUse("create");
  }

  #isUsed(typeId: string): boolean {
    for (const volume of this.#ports.index.volumes.values()) if (volume.typeId === typeId) return true;
    return false;
  }

  #enforce(context: RequestContext, verb: Verb): void {
    this.#ports.policy.enforce(context, `volume_extension:volume_type_encryption:${verb}`, { projectId: context.projectId });
  }

  /** `asked`: told as it was asked for; of a delete nobody is told. */
  #change(
    context: RequestContext,
    typeId: string,
    verb: "create" | "update" | "delete",
    asked: EncryptionChange,
    change: (type: VolumeType) => VolumeType,
  ): Promise<VolumeType> {
    return this.#ports.store.commit(systemContext.projectId, async (tx) => {
      const type = await readRecord(tx, typeKind, typeId);
      if (type === undefined) throw verb === "delete" ? noEncryption(typeId) : typeNotFound(typeId);
      await this.#ports.index.fresh();
      if (this.#isUsed(typeId)) throw typeInUse(verb);
      const next = change(type);
      writeRecord(tx, typeKind, typeId, next);
      if (verb === "delete") return next;
      const id = next.encryption?.id;
      const specs = { ...asAsked(asked), volume_type_id: typeId, encryption_id: id };
      const told = (): Payload => ({ type_id: typeId, ...(verb === "create" ? { specs } : { id }) });
      this.#ports.notices.plain(tx, context, `volume_type_encryption.${verb}`, `volume_type/${typeId}`, told);
      return next;
    });
  }
}

function asAsked({ provider, controlLocation, cipher, keySize }: EncryptionChange): Payload {
  return {
    ...(provider === undefined ? {} : { provider }),
    ...(controlLocation === undefined ? {} : { control_location: controlLocation }),
    ...(cipher === undefined ? {} : { cipher }),
    ...(keySize === undefined ? {} : { key_size: keySize }),
  };
}

function typeInUse(verb: string): CinderFault {
  return invalid(`Cannot ${verb} encryption specs. Volume type in use.`);
}

function findEncryption(type: VolumeType): TypeEncryption {
  if (type.encryption !== undefined) return type.encryption;
  throw noEncryption(type.id);
}

function noEncryption(typeId: string): CinderFault {
  return notFound(`Volume type encryption for type ${typeId} does not exist.`);
}

function checkEncryption({ provider, cipher, keySize }: EncryptionChange): void {
  if (provider?.trim() === "") throw invalidInput("provider must be defined");
  for (const [name, text] of Object.entries({ provider, cipher })) {
    if (text != null && text.length > cinderLimits.nameLengthMax) throw invalidInput(`${name} is too long.`);
  }
  if (keySize != null && (!Number.isSafeInteger(keySize) || keySize < 0)) {
    throw invalidInput("key_size must be non-negative");
  }
}
