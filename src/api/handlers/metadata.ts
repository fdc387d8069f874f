// The metadata operations, the same for volumes and snapshots. From 3.15 an answer with all of a volume's metadata bears an
// Etag, and a replacement with If-Match that does not fit is refused with 412.

import { createHash } from "node:crypto";
import type { Metadata } from "../../cinder/model.ts";
import type { Cinder, MetadataVerbs } from "../../cinder/verbs.ts";
import { type Call, type Handler, type Handlers, bodyObject, emptyAnswer, pathParameter } from "../call.ts";
import { badRequest } from "../http-fault.ts";

interface Owner {
  /** Path parameter with the owner's id. */
  readonly parameter: string;
  /** "VolumeMetadata" in showVolumeMetadata. */
  readonly name: string;
  /** First microversion with Etag and If-Match. */
  readonly etagSinceMinor: number;
  readonly verbs: (cinder: Cinder) => MetadataVerbs;
}

const owners: readonly Owner[] = [
  { parameter: "volume_id", name: "VolumeMetadata", etagSinceMinor: 15, verbs: (cinder) => cinder.volumes.metadata },
  { parameter: "snapshot_id", name: "SnapshotMetadata", etagSinceMinor: 1000, verbs: (cinder) => cinder.snapshots.metadata },
];

export const metadataHandlers: Handlers = Object.assign({}, ...owners.map(makeHandlers)) as Handlers;

function makeHandlers({ parameter, name, etagSinceMinor, verbs }: Owner): Record<string, Handler> {
  const idOf = (call: Call): string => pathParameter(call, parameter);
  return {
    async [`show${name}`](call) {
      const metadata = await verbs(call.cinder).show(call.context, idOf(call));
      const headers = call.minor >= etagSinceMinor ? { Etag: hashMetadata(metadata) } : {};
      return { body: { metadata }, headers };
    },
    async [`merge${name}`](call) {
      return { body: { metadata: await verbs(call.cinder).merge(call.context, idOf(call), givenMetadata(call)) } };
    },
    async [`replace${name}`](call) {
      const ifMatch = call.minor >= etagSinceMinor ? call.headers["if-match"] : undefined;
      const matches = ifMatch === undefined ? undefined : (present: Metadata) => matchesEtag(ifMatch, present);
      return { body: { metadata: await verbs(call.cinder).replace(call.context, idOf(call), givenMetadata(call), matches) } };
    },
    async [`show${name}Item`](call) {
      const key = pathParameter(call, "key");
      return { body: { meta: { [key]: await verbs(call.cinder).showKey(call.context, idOf(call), key) } } };
    },
    async [`set${name}Item`](call) {
      const key = pathParameter(call, "key");
      const value = bodyObject(call.body, "meta")[key];
      if (typeof value !== "string") throw badRequest("Request body and URI mismatch");
      await verbs(call.cinder).setKey(call.context, idOf(call), key, value);
      return { body: { meta: { [key]: value } } };
    },
    async [`delete${name}Item`](call) {
      await verbs(call.cinder).deleteKey(call.context, idOf(call), pathParameter(call, "key"));
      return emptyAnswer;
    },
  };
}

function givenMetadata(call: Call): Metadata {
  return bodyObject(call.body, "metadata") as Metadata; // the schema lets texts through only
}

/** md5 of the metadata in one order, in hex. */
export function hashMetadata(metadata: Metadata): string {
  const sorted = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("md5").update(JSON.stringify(sorted)).digest("hex");
}

/** If-Match (RFC 9110, 13.1.1): "*", or a list of tags, with or without quotes. */
export function matchesEtag(ifMatch: string, metadata: Metadata): boolean {
  if (ifMatch.trim() === "*") return true;
  const etag = hashMetadata(metadata);
  return ifMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "").replaceAll('"', "") === etag);
}
