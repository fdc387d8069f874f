// Where the objects of a backup are. A place is plain JSON: it lies in the backup's record, in the checkpoint of the job that
// writes it, and in exported records; what comes in is checked.
//
//   PREFIX/NNNNNNNN.G   chunk N, put by the claim of generation G
//   PREFIX/head.G       put last: without it there is no backup
//
// - A name is put by one claim alone. Which claim's chunk N is the one that counts is said by `runs`: [generation, first
//   chunk].
// - So every object that may be there is known by name, also those of claims that died before they could say what they had put:
//   a claim begins where the checkpoint ends, and a step puts at most stepChunksMax chunks. Nothing is ever listed.
//
// Ledger: version 1 is the first.

import { AndironError } from "../common/errors.ts";
import { isName } from "../object-store/names.ts";
import { backupLimits } from "./limits.ts";

/** A type, not an interface: it is plain JSON to others. */
export type BackupPlace = {
  readonly v: 1;
  readonly prefix: string;
  /** Claims that put chunks that count, ascending. */
  readonly runs: readonly (readonly [generation: number, first: number])[];
  readonly chunkCount: number;
  /** The last claim that may have put anything. */
  readonly generation: number;
};

/** Room for the last part of a name. */
const prefixLengthMax = 480;

export function newPlace(container: string, volumeId: string, backupId: string): BackupPlace {
  const prefix = `${container}/volume_${volumeId}/backup_${backupId}`;
  return checkPlace({ v: 1, prefix, runs: [], chunkCount: 0, generation: 0 });
}

/** As the claim of `generation` finds it. */
export function claimedPlace(place: BackupPlace, generation: number): BackupPlace {
  return { ...place, generation: Math.max(place.generation, generation) };
}

/** With one more chunk, put by the claim of `generation`; throws limit_exceeded for too many claims or chunks. */
export function extendedPlace(place: BackupPlace, generation: number): BackupPlace {
  const { runs, chunkCount } = place;
  const isKnown = runs.at(-1)?.[0] === generation;
  if (chunkCount >= backupLimits.chunksMax || (!isKnown && runs.length >= backupLimits.runsMax)) {
    throw new AndironError("limit_exceeded", "the backup was begun anew too often, or has too many chunks");
  }
  return { ...place, runs: isKnown ? runs : [...runs, [generation, chunkCount]], chunkCount: chunkCount + 1 };
}

export function chunkName({ prefix }: BackupPlace, number: number, generation: number): string {
  return `${prefix}/${String(number).padStart(8, "0")}.${generation}`;
}

export function headName({ prefix, generation }: BackupPlace): string {
  return `${prefix}/head.${generation}`;
}

/** Which claim put the chunk that counts. */
export function generationOf({ runs }: BackupPlace, number: number): number {
  const run = runs.findLast(([, first]) => first <= number);
  if (run === undefined) throw new AndironError("backup_damaged", `there is no chunk ${number}`);
  return run[0];
}

/** How many names objectAt() knows. */
export function objectCountMax(place: BackupPlace): number {
  return place.chunkCount + place.generation * (backupLimits.stepChunksMax + 1);
}

/** All objects that may be there, by a number below objectCountMax(): those that count first, then what claims may have left. */
export function objectAt(place: BackupPlace, at: number): string {
  if (at < place.chunkCount) return chunkName(place, at, generationOf(place, at));
  const perClaim = backupLimits.stepChunksMax + 1;
  const generation = 1 + Math.floor((at - place.chunkCount) / perClaim);
  const number = (at - place.chunkCount) % perClaim;
  if (number === backupLimits.stepChunksMax) return headName({ ...place, generation });
  return chunkName(place, endOf(place, generation) + number, generation);
}

/** What claims before the last may have left beside what counts; nothing when there was one alone. */
export function* leftNames(place: BackupPlace): Generator<string> {
  if (place.generation <= 1) return;
  const head = headName(place);
  for (let at = place.chunkCount; at < objectCountMax(place); at++) {
    const name = objectAt(place, at);
    if (name !== head) yield name;
  }
}

/** The first chunk that the claim may have put and that does not count. */
function endOf({ runs, chunkCount }: BackupPlace, generation: number): number {
  const after = runs.find(([later]) => later > generation);
  return after === undefined ? chunkCount : after[1];
}

/** Throws backup_damaged for what is no place. */
export function parsePlace(value: unknown): BackupPlace {
  if (typeof value !== "object" || value === null) throw noPlace("it is no object");
  const { v, prefix, runs, chunkCount, generation } = value as Record<string, unknown>;
  if (v !== 1) throw noPlace(`version ${String(v)} is not known here`);
  if (typeof prefix !== "string" || !isCount(chunkCount) || !isCount(generation)) throw noPlace("a field is missing");
  if (!Array.isArray(runs) || !runs.every(isRun)) throw noPlace("its runs are none");
  return checkPlace({ v: 1, prefix, runs, chunkCount, generation });
}

function checkPlace(place: BackupPlace): BackupPlace {
  const { prefix, runs, chunkCount, generation } = place;
  if (prefix.length > prefixLengthMax || !isName(prefix)) throw noPlace("its prefix is no name");
  if (chunkCount > backupLimits.chunksMax || runs.length > backupLimits.runsMax) throw noPlace("it is too large");
  const isOrdered = runs.every(([claim, first], at) => {
    const [claimBefore, firstBefore] = runs[at - 1] ?? [0, -1];
    return claim > claimBefore && claim <= generation && first > firstBefore && first < chunkCount;
  });
  if (!isOrdered || (chunkCount > 0 && runs[0]?.[1] !== 0)) throw noPlace("its runs are not in order");
  return place;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isRun(value: unknown): value is readonly [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every(isCount);
}

function noPlace(why: string): AndironError {
  return new AndironError("backup_damaged", `what is said of where a backup lies cannot be used: ${why}`);
}
