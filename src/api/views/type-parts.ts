// What volume types refer to, as JSON: encryption (bare, without an envelope) and quality of service; and group types.

import type { GroupType, Metadata, QosSpecs, TypeEncryption, VolumeType } from "../../cinder/model.ts";
import type { JsonObject } from "../call.ts";
import { formatUtcTime } from "../../common/utc-time.ts";
import { formatTimeOrNull } from "./time.ts";

/** As the answer to create has it. */
export function viewNewEncryption(typeId: string, encryption: TypeEncryption): JsonObject {
  return {
    volume_type_id: typeId,
    encryption_id: encryption.id,
    provider: encryption.provider,
    control_location: encryption.controlLocation,
    cipher: encryption.cipher,
    key_size: encryption.keySize,
  };
}

/** An empty object for a type without. */
export function viewEncryption(typeId: string, encryption: TypeEncryption | undefined): JsonObject {
  if (encryption === undefined) return {};
  return {
    ...viewNewEncryption(typeId, encryption),
    created_at: formatUtcTime(encryption.createdAtMs),
    updated_at: formatTimeOrNull(encryption.updatedAtMs),
    deleted_at: null,
    deleted: false,
  };
}

export function viewQosSpecs({ id, name, consumer, specs }: QosSpecs): JsonObject {
  return { id, name, consumer, specs };
}

export function viewAssociation({ id, name }: VolumeType): JsonObject {
  return { association_type: "volume_type", name, id };
}

/** `specs`: undefined when the caller may not see them. */
export function viewGroupType({ id, name, description, isPublic }: GroupType, specs: Metadata | undefined): JsonObject {
  const view = { id, name, description, is_public: isPublic };
  return specs === undefined ? view : { ...view, group_specs: specs };
}
