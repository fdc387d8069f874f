// A volume type by what clients call it, its id or its name, and the type of a request that names none.

import type { Tx } from "../registry/atomic.ts";
import { notFound } from "./faults.ts";
import type { VolumeType } from "./model.ts";
import { defaultTypeKind, readRecord, typeKind, typeNameKind } from "./records.ts";
import type { CinderSettings } from "./settings.ts";

/** `reference` is an id or a name; undefined when there is no such type. */
export async function readTypeByReference(tx: Tx, reference: string): Promise<VolumeType | undefined> {
  const byId = await readRecord(tx, typeKind, reference);
  if (byId !== undefined) return byId;
  const name = await readRecord(tx, typeNameKind, reference);
  return name === undefined ? undefined : readRecord(tx, typeKind, name.typeId);
}

/** The project's own default type, else that of the configuration. */
export async function readDefaultType(tx: Tx, settings: CinderSettings, projectId: string): Promise<VolumeType> {
  const own = await readRecord(tx, defaultTypeKind, projectId);
  const type = await readTypeByReference(tx, own?.typeId ?? settings.defaultVolumeType);
  if (type !== undefined && type.retiring === undefined) return type;
  throw notFound(`The request cannot be fulfilled as the default volume type ${settings.defaultVolumeType} cannot be found.`);
}
