// Which cells the table must have: for every operation of openapi.yaml that the reference knows, at the oldest microversion
// that has it and at the newest, the kinds of calls that make sense for it. What has no route (the versions: /, /v3/ and
// /healthcheck) is not counted; the area "versions and callers" calls the first two. Pure.

import type { Operation } from "../../src/api/operations.ts";
import type { Entry } from "./driver.ts";
import type { Cell } from "./scenario.ts";

export interface Exemption {
  readonly reason: string;
  readonly cells: readonly Cell[];
  readonly operations: readonly string[];
}

/** What is not called although openapi.yaml has it, as "operation, cell, microversion". */
export function findGaps(
  operations: readonly Operation[],
  entries: readonly Entry[],
  newestMinor: number,
  exemptions: readonly Exemption[],
): string[] {
  const made = new Set(entries.map(({ operation, cell, minor }) => `${operation}, ${cell}, 3.${minor}`));
  const exempt = new Set(exemptions.flatMap(({ cells, operations: ids }) => ids.flatMap((id) => cells.map((cell) => id + cell))));
  return operations
    .filter(({ path, sinceMinor }) => path.startsWith("/v3/") && path !== "/v3/" && sinceMinor <= newestMinor)
    .flatMap((operation) => {
      const cells = cellsOf(operation).filter((cell) => !exempt.has(operation.id + cell));
      const minors = [operation.sinceMinor, ...(isNewest(operation, operations, newestMinor) ? [newestMinor] : [])];
      return cells.flatMap((cell) => minors.map((minor) => `${operation.id}, ${cell}, 3.${minor}`));
    })
    .filter((cell) => !made.has(cell));
}

/** Exemptions of what is not there or needs none. */
export function findIdleExemptions(operations: readonly Operation[], exemptions: readonly Exemption[]): string[] {
  const byId = new Map(operations.map((operation) => [operation.id, operation]));
  return exemptions.flatMap(({ cells, operations: ids }) =>
    ids.filter((id) => {
      const operation = byId.get(id);
      return operation === undefined || !cells.some((cell) => cellsOf(operation).includes(cell));
    }),
  );
}

/** A path without an id misses none, a request without a body has no bad one, and what only reads meets no wrong state. */
function cellsOf(operation: Operation): Cell[] {
  const cells: Cell[] = ["good", "foreign"];
  if (operation.path.includes("{")) cells.push("missing");
  if (operation.takesBody) cells.push("bad body");
  if (operation.method !== "GET") cells.push("wrong state");
  return cells;
}

function isNewest(operation: Operation, operations: readonly Operation[], newestMinor: number): boolean {
  const { method, path, action, sinceMinor } = operation;
  return !operations.some(
    (other) =>
      other.method === method &&
      other.path === path &&
      other.action === action &&
      other.sinceMinor > sinceMinor &&
      other.sinceMinor <= newestMinor,
  );
}
