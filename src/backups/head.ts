// The head of a backup: JSON, the last object that is put. A backup without one is none.
// Ledger: version 1 is the first. Fields that are not known are ignored: a build that needs more raises the version.

import { AndironError } from "../common/errors.ts";
import { clusterBytes } from "./limits.ts";
import { type BackupPlace, parsePlace } from "./place.ts";

export interface BackupHead {
  readonly v: 1;
  readonly backupId: string;
  readonly volumeId: string;
  readonly sizeBytes: number;
  /** What it was made on top of; null: on nothing. */
  readonly parentId: string | null;
  /** It has all of the volume: nothing before it is needed. */
  readonly isWhole: boolean;
  readonly place: BackupPlace;
  /** Of the volume, in chunks. */
  readonly dataBytes: number;
  /** Of whoever had it written; any JSON. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export function encodeHead(head: BackupHead): Buffer {
  return Buffer.from(JSON.stringify(head));
}

/** Throws backup_damaged. */
export function parseHead(body: Buffer): BackupHead {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch (cause) {
    throw damaged("it is not JSON", cause);
  }
  if (!isRecord(value)) throw damaged("it is no object");
  const { v, backupId, volumeId, sizeBytes, parentId, isWhole, place, dataBytes, facts } = value;
  if (v !== 1) throw damaged(`version ${String(v)} is not known here`);
  const isSize = Number.isSafeInteger(sizeBytes) && (sizeBytes as number) > 0 && (sizeBytes as number) % clusterBytes === 0;
  const isNamed = typeof backupId === "string" && typeof volumeId === "string";
  if (!isSize || !isNamed || typeof isWhole !== "boolean" || typeof dataBytes !== "number" || !isRecord(facts)) {
    throw damaged("a field of it is wrong");
  }
  if (typeof parentId !== "string" && parentId !== null) throw damaged("its parent is none");
  const checked = { backupId, volumeId, sizeBytes: sizeBytes as number, parentId, isWhole, dataBytes, facts };
  return { v: 1, ...checked, place: parsePlace(place) };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function damaged(why: string, cause?: unknown): AndironError {
  return new AndironError("backup_damaged", `the head of a backup cannot be read: ${why}`, { cause });
}
