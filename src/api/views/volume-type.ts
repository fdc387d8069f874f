// Volume types as JSON, the same at every microversion.

import type { Metadata, VolumeType } from "../../cinder/model.ts";
import type { JsonObject } from "../call.ts";

export interface TypeViewOptions {
  /** As policy says, but not in the answers to create and update. */
  readonly withQosSpecs: boolean;
  /** The extra specs that the caller may see; undefined when not even that there are some. */
  readonly extraSpecs: Metadata | undefined;
  /** Not in the answer to update. */
  readonly withAccess: boolean;
}

export function viewVolumeType(type: VolumeType, { withQosSpecs, extraSpecs, withAccess }: TypeViewOptions): JsonObject {
  const view: Record<string, unknown> = {
    id: type.id,
    name: type.name,
    is_public: type.isPublic,
    description: type.description,
  };
  if (extraSpecs !== undefined) view["extra_specs"] = extraSpecs;
  if (withQosSpecs) view["qos_specs_id"] = type.qosSpecsId;
  if (withAccess) view["os-volume-type-access:is_public"] = type.isPublic;
  return view;
}
