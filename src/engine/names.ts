// The only place that knows what objects are called on the backend, and files in the journal directory.
// The same name always means the same bytes (docs/design/0002-log-engine.md, "Names on the backend").

export interface SegmentId {
  readonly log: string;
  readonly epoch: number;
  readonly number: number;
}

export interface MapObjectId {
  readonly log: string;
  readonly epoch: number;
  readonly number: number;
}

export type ObjectId =
  | { readonly kind: "segment"; readonly segment: SegmentId; readonly generation: number }
  | { readonly kind: "map"; readonly map: MapObjectId };

const hex8 = (value: number): string => value.toString(16).padStart(8, "0");

export const segmentObjectName = (segment: SegmentId, generation: number): string =>
  `${segment.log}/s-${hex8(segment.epoch)}-${hex8(segment.number)}-${hex8(generation)}`;

export const mapObjectName = (map: MapObjectId): string => `${map.log}/m-${hex8(map.epoch)}-${hex8(map.number)}`;

export const objectName = (id: ObjectId): string =>
  id.kind === "segment" ? segmentObjectName(id.segment, id.generation) : mapObjectName(id.map);

/** Name of a journal file below the journal directory. */
export const journalFileName = (segment: SegmentId): string => `${segment.log}/j-${hex8(segment.epoch)}-${hex8(segment.number)}`;

/** The inverse of the last part of journalFileName; undefined for a foreign file. */
export function parseJournalFileName(log: string, fileName: string): SegmentId | undefined {
  const match = /^j-([0-9a-f]{8})-([0-9a-f]{8})$/.exec(fileName);
  return match === null ? undefined : { log, epoch: Number.parseInt(match[1]!, 16), number: Number.parseInt(match[2]!, 16) };
}

/** The inverse of objectName; undefined for a foreign name. */
export function parseObjectName(name: string): ObjectId | undefined {
  const segment = /^([0-9a-f-]{36})\/s-([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{8})$/.exec(name);
  if (segment !== null) {
    const id = { log: segment[1]!, epoch: Number.parseInt(segment[2]!, 16), number: Number.parseInt(segment[3]!, 16) };
    return { kind: "segment", segment: id, generation: Number.parseInt(segment[4]!, 16) };
  }
  const map = /^([0-9a-f-]{36})\/m-([0-9a-f]{8})-([0-9a-f]{8})$/.exec(name);
  if (map === null) return undefined;
  return { kind: "map", map: { log: map[1]!, epoch: Number.parseInt(map[2]!, 16), number: Number.parseInt(map[3]!, 16) } };
}
