// What a disk may hold, sector by sector, whatever instant the service dies at. A sector's value is the stamp of the write
// that put it there (0: zeroes). Operations in flight never overlap (the writer sees to it), so that for each sector:
//
//   issued ──► in flight: old or new ──► acknowledged: new after kill -9, but old or new after a power loss
//                                                     ──► flushed: new
//
// An acknowledged value survives the death of the process, a flushed one also power loss. `promise` says which of the two
// is checked. A trim is advice: old or zero, until it was read back. Time is a count of events, not a clock.

export type Promised = "acknowledged" | "flushed";

export interface Operation {
  readonly kind: "write" | "zero" | "trim";
  readonly stamp: number;
  readonly firstSector: number;
  readonly count: number;
  readonly issuedAt: number;
  /** Infinity until it is acknowledged. */
  acknowledgedAt: number;
}

/** A snapshot or clone being cut: what the disk held when it was asked for, and what was written until it was there. */
export interface Image {
  readonly base: Int32Array;
  readonly operations: Operation[];
}

interface Unflushed {
  readonly stamp: number;
  readonly replacedAt: number;
}

export class SectorModel {
  readonly sectorCount: number;
  readonly #promise: Promised;
  readonly #acknowledged: Int32Array;
  /** Values that acknowledged but unflushed writes replaced: power loss may bring them back. */
  readonly #unflushed = new Map<number, Unflushed[]>();
  readonly #inFlight = new Set<Operation>();
  readonly #openImages = new Set<Image>();
  #now = 0;

  constructor(content: Int32Array, promise: Promised) {
    this.sectorCount = content.length;
    this.#acknowledged = content;
    this.#promise = promise;
  }

  /** True when no operation in flight touches the range. */
  isIdle(firstSector: number, count: number): boolean {
    for (const other of this.#inFlight) {
      if (firstSector < other.firstSector + other.count && other.firstSector < firstSector + count) return false;
    }
    return true;
  }

  /** The operation is about to be sent. */
  issue(kind: Operation["kind"], stamp: number, firstSector: number, count: number): Operation {
    const operation: Operation = { kind, stamp, firstSector, count, issuedAt: ++this.#now, acknowledgedAt: Infinity };
    this.#inFlight.add(operation);
    for (const image of this.#openImages) image.operations.push(operation);
    return operation;
  }

  /** A write or zero was acknowledged; `durable` when it bore FUA. */
  acknowledge(operation: Operation, durable: boolean): void {
    operation.acknowledgedAt = ++this.#now;
    this.#inFlight.delete(operation);
    for (let sector = operation.firstSector; sector < operation.firstSector + operation.count; sector++) {
      this.#replace(sector, operation.stamp, durable);
    }
  }

  /** A trim was acknowledged and its range read back. Returns the sectors whose value is neither the old one nor zero. */
  acknowledgeTrim(operation: Operation, found: Int32Array): number[] {
    const wrong: number[] = [];
    operation.acknowledgedAt = ++this.#now;
    this.#inFlight.delete(operation);
    found.forEach((stamp, index) => {
      const sector = operation.firstSector + index;
      if (stamp !== 0 && stamp !== this.#acknowledged[sector]) wrong.push(sector);
      else if (stamp !== this.#acknowledged[sector]) this.#replace(sector, stamp, false);
    });
    return wrong;
  }

  /** A flush is about to be sent; give the result to flushed() when it is acknowledged. */
  flushIssued(): number {
    return this.#now;
  }

  /** Everything acknowledged up to `issuedAt` survives power loss now. */
  flushed(issuedAt: number): void {
    for (const [sector, replaced] of this.#unflushed) {
      const kept = replaced.filter(({ replacedAt }) => replacedAt > issuedAt);
      if (kept.length === 0) this.#unflushed.delete(sector);
      else if (kept.length < replaced.length) this.#unflushed.set(sector, kept);
    }
  }

  /** The value that a read must give now; undefined while an operation is in flight there. */
  valueOf(sector: number): number | undefined {
    return this.isIdle(sector, 1) ? this.#acknowledged[sector] : undefined;
  }

  /** After a death: checks all sectors, and takes what is there for the truth. Returns a line for each wrong range. */
  recover(found: Int32Array): string[] {
    const candidates = new Map<number, number[]>();
    for (const { firstSector, count, stamp } of this.#inFlight) {
      for (let sector = firstSector; sector < firstSector + count; sector++) candidates.set(sector, [stamp]);
    }
    const wrong: WrongSector[] = [];
    found.forEach((stamp, sector) => {
      const expected = this.#acknowledged[sector]!;
      if (stamp === expected || candidates.get(sector)?.includes(stamp) === true) return;
      const old = this.#unflushed.get(sector)?.some((value) => value.stamp === stamp) === true;
      if (!old || this.#promise === "acknowledged") {
        wrong.push({ sector, stamp, expected, why: old ? "acknowledged, but not flushed" : "never allowed" });
      }
    });
    this.#acknowledged.set(found);
    this.#unflushed.clear(); // recovery syncs before it serves
    this.#inFlight.clear();
    return describeWrong(wrong);
  }

  /** A snapshot or clone is about to be asked for. */
  openImage(): Image {
    const image: Image = { base: this.#acknowledged.slice(), operations: [...this.#inFlight] };
    this.#openImages.add(image);
    return image;
  }

  /** It is there: nothing that is issued from now on may be in it. */
  closeImage(image: Image): void {
    this.#openImages.delete(image);
  }

  #replace(sector: number, stamp: number, durable: boolean): void {
    if (durable) {
      this.#unflushed.delete(sector);
    } else {
      const replaced = this.#unflushed.get(sector) ?? [];
      replaced.push({ stamp: this.#acknowledged[sector]!, replacedAt: this.#now });
      this.#unflushed.set(sector, replaced);
    }
    this.#acknowledged[sector] = stamp;
  }
}

export interface WrongSector {
  readonly sector: number;
  readonly stamp: number;
  readonly expected: number;
  readonly why: string;
}

const linesMax = 20;

/** Neighbours with the same reason in one line, at most a page of lines. */
export function describeWrong(wrong: readonly WrongSector[]): string[] {
  const lines: string[] = [];
  let first = 0;
  wrong.forEach(({ sector, stamp, expected, why }, index) => {
    const next = wrong[index + 1];
    if (next?.sector === sector + 1 && next.why === why && next.stamp === stamp) return;
    const from = wrong[first]!.sector;
    lines.push(`sectors ${from} to ${sector}: found ${stamp === -1 ? "broken bytes" : stamp}, expected ${expected} (${why})`);
    first = index + 1;
  });
  return lines.length > linesMax ? [...lines.slice(0, linesMax), `... and ${lines.length - linesMax} ranges more`] : lines;
}
