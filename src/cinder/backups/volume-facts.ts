// What a backup keeps of its volume beside the bytes, and what a restore gives to the volume that it fills, as Cinder does: the
// name goes to a volume that was made for the restore only, the rest to any. What is read was written by any build: it is
// checked.

import { cinderLimits, type Metadata, type Volume } from "../model.ts";
import { isObject, isText } from "../record-fields.ts";
import type { JobData } from "../jobs/job.ts";
import type { Backup } from "./backup.ts";

/** A name that a volume has when it was made for a restore, and nobody gave it another. */
export const restoreNamePrefix = "restore_backup_";

/** Of the metadata, as Cinder has it. */
const sourceKey = "src_backup_id";

export function factsOf(volume: Volume): JobData {
  const { name, description, bootable, metadata, imageMetadata } = volume;
  return { name, description, bootable, metadata, imageMetadata };
}

export function withFacts(volume: Volume, facts: JobData): Volume {
  const { name, description, bootable } = facts;
  const isUnnamed = volume.name === null || volume.name.startsWith(restoreNamePrefix);
  const named =
    isUnnamed && isText(name) && name !== "" ? { name: String(name), description: textOrNull(description) } : undefined;
  const image = textsOf(facts["imageMetadata"]);
  return {
    ...volume,
    ...named,
    bootable: volume.bootable || bootable === true,
    metadata: textsOf(facts["metadata"]) ?? volume.metadata,
    imageMetadata: image !== undefined && Object.keys(image).length > 0 ? image : volume.imageMetadata,
  };
}

/** A volume that has the data of another one, or of another backup than before, says of which backup. */
export function withSource(volume: Volume, backup: Pick<Backup, "id" | "volumeId"> | undefined): Volume {
  const present = volume.metadata[sourceKey];
  const isForeign = backup?.volumeId !== volume.id || (present !== undefined && present !== backup.id);
  if (backup === undefined || !isForeign) return volume;
  return { ...volume, metadata: { ...volume.metadata, [sourceKey]: backup.id } };
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

/** Undefined for what no volume could have. */
function textsOf(value: unknown): Metadata | undefined {
  if (!isObject(value) || !Object.values(value).every(isText)) return undefined;
  return Object.keys(value).length <= cinderLimits.metadataItemsMax ? (value as Metadata) : undefined;
}
