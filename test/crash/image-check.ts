// Whether what was read from a snapshot or clone can be a cut of the disk: every sector has a value from between the
// request and its completion, and the whole is one instant, in the sense that a write which is in the cut brings with it
// all that was acknowledged before it was issued. Pure.

import { describeWrong, type Image, type Operation, type WrongSector } from "./sector-model.ts";

/** A line for each range that is wrong; none when `found` is a proper cut. */
export function checkImage(image: Image, found: Int32Array): string[] {
  const bySector = operationsBySector(image.operations);
  const wrong: WrongSector[] = [];
  found.forEach((stamp, sector) => {
    const expected = image.base[sector]!;
    const written = bySector.get(sector) ?? [];
    if (stamp !== expected && !written.some((operation) => operation.stamp === stamp)) {
      wrong.push({ sector, stamp, expected, why: "exact" });
    }
  });
  return [...describeWrong(wrong), ...checkOneInstant(image.operations, bySector, found)];
}

function checkOneInstant(
  operations: readonly Operation[],
  bySector: ReadonlyMap<number, Operation[]>,
  found: Int32Array,
): string[] {
  // Stamps of writes are unique, so a write that shows anywhere is in the cut. Zeroes don't say whose they are.
  const inCut = operations.filter(({ kind, stamp, firstSector, count }) => {
    return kind === "write" && found.subarray(firstSector, firstSector + count).includes(stamp);
  });
  const lastIssuedAt = Math.max(0, ...inCut.map(({ issuedAt }) => issuedAt));
  const wrong: WrongSector[] = [];
  for (const before of operations) {
    if (before.kind === "trim" || before.acknowledgedAt >= lastIssuedAt) continue;
    for (let sector = before.firstSector; sector < before.firstSector + before.count; sector++) {
      const since = (bySector.get(sector) ?? []).filter(({ issuedAt }) => issuedAt >= before.issuedAt);
      const stamp = found[sector]!;
      if (since.some((operation) => operation.stamp === stamp)) continue;
      wrong.push({ sector, stamp, expected: before.stamp, why: "acknowledged before a write that is in the cut" });
    }
  }
  return describeWrong(wrong);
}

function operationsBySector(operations: readonly Operation[]): Map<number, Operation[]> {
  const bySector = new Map<number, Operation[]>();
  for (const operation of operations) {
    for (let sector = operation.firstSector; sector < operation.firstSector + operation.count; sector++) {
      const list = bySector.get(sector);
      if (list === undefined) bySector.set(sector, [operation]);
      else list.push(operation);
    }
  }
  return bySector;
}
