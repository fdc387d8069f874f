// A volume type or a group type by what clients call it, its id or its name, and the volume type of a request that names none.

import type { Tx } from "../registry/atomic.ts";
import type { RequestContext } from "./context.ts";
import { groupTypeNameNotFound, groupTypeNotFound, notFound } from "./faults.ts";
import type { GroupType, VolumeType } from "./model.ts";
import { defaultTypeKind, groupTypeKind, groupTypeNameKind, readRecord, typeKind, typeNameKind } from "./records.ts";
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

/** Not found for a group type that the caller may not see. */
export async function readGroupTypeByReference(tx: Tx, context: RequestContext, reference: string): Promise<GroupType> {
  const byId = await readRecord(tx, groupTypeKind, reference);
  const name = byId === undefined ? await readRecord(tx, groupTypeNameKind, reference) : undefined;
  const type = name === undefined ? byId : await readRecord(tx, groupTypeKind, name.typeId);
  if (type !== undefined && (context.isAdmin || type.isPublic)) return type;
  throw isUuid(reference) ? groupTypeNotFound(reference) : groupTypeNameNotFound(reference);
}

export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(text);
}
