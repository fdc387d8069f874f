// Taking vDisks and snapshots in, and letting them go: the lists of what there is, by name or size.

import type { ManageableRow, Reference } from "../../cinder/operator-verbs.ts";
import { readBoolean } from "../booleans.ts";
import { type Answer, type Call, type Handlers, bodyObject, bodyText, emptyAnswer, pathParameter } from "../call.ts";
import { badRequest, invalidInput } from "../http-fault.ts";
import { parseListQuery } from "../list-query.ts";
import { asTextRecord, parsePythonLiteral } from "../python-literal.ts";
import { unfilteredListRules } from "../resource-filters.ts";
import { viewManageable } from "../views/manageable.ts";
import { viewSnapshot } from "../views/snapshot.ts";
import { readNameUpdate, viewVolumeDetail } from "./volumes.ts";

export const managementHandlers: Handlers = {
  async listManageableVolumes(call) {
    const rows = await call.cinder.management.manageableVolumes(call.context, readHost(call));
    return answerRows(call, rows, "manageable-volumes", false);
  },
  async listManageableVolumesDetailed(call) {
    const rows = await call.cinder.management.manageableVolumes(call.context, readHost(call));
    return answerRows(call, rows, "manageable-volumes", true);
  },
  async manageVolume(call) {
    const given = bodyObject(call.body, "volume");
    const host = bodyText(given, "host");
    if (host === undefined) throw invalidInput(hostMissing(call, clusterBodyMinor));
    const volumeType = bodyText(given, "volume_type");
    const availabilityZone = bodyText(given, "availability_zone");
    const detail = await call.cinder.management.manageVolume(call.context, {
      ...readNameUpdate(given),
      host,
      reference: readReference(given["ref"]),
      bootable: readBoolean(given["bootable"]),
      ...(volumeType === undefined ? {} : { volumeType }),
      ...(availabilityZone === undefined ? {} : { availabilityZone }),
    });
    return { body: { volume: viewVolumeDetail(call, detail) } };
  },
  async unmanageVolume(call) {
    await call.cinder.management.unmanageVolume(call.context, pathParameter(call, "volume_id"));
    return emptyAnswer;
  },
  async listManageableSnapshots(call) {
    const rows = await call.cinder.management.manageableSnapshots(call.context, readHost(call));
    return answerRows(call, rows, "manageable-snapshots", false);
  },
  async listManageableSnapshotsDetailed(call) {
    const rows = await call.cinder.management.manageableSnapshots(call.context, readHost(call));
    return answerRows(call, rows, "manageable-snapshots", true);
  },
  async manageSnapshot(call) {
    const given = bodyObject(call.body, "snapshot");
    const snapshot = await call.cinder.management.manageSnapshot(call.context, {
      ...readNameUpdate(given),
      volumeId: bodyText(given, "volume_id") ?? "",
      reference: readReference(given["ref"]),
    });
    return { body: { snapshot: viewSnapshot(snapshot, call.minor, false) } };
  },
  async unmanageSnapshot(call) {
    await call.cinder.management.unmanageSnapshot(call.context, pathParameter(call, "snapshot_id"));
    return emptyAnswer;
  },
};

/** From here on a cluster can be named instead; there is none. */
const clusterBodyMinor = 16;
const clusterQueryMinor = 17;

function readHost(call: Call): string {
  const host = call.query.get("host");
  if (host === null) throw invalidInput(hostMissing(call, clusterQueryMinor));
  return host;
}

function hostMissing(call: Call, clusterMinor: number): string {
  return call.minor >= clusterMinor ? "One and only one of cluster and host must be set." : "Host field is missing.";
}

/** Text is a name. */
function readReference(given: unknown): Reference {
  if (typeof given === "string") return { sourceName: given };
  const { "source-name": sourceName, "source-id": sourceId } = Object(given) as Readonly<Record<string, unknown>>;
  return {
    ...(typeof sourceName === "string" ? { sourceName } : {}),
    ...(typeof sourceId === "string" ? { sourceId } : {}),
  };
}

/** A page by reference (descending unless asked otherwise) or size; the marker is the reference of the last item. */
function answerRows(call: Call, rows: readonly ManageableRow[], key: string, detailed: boolean): Answer {
  const { query, minor, context, listLimitMax } = call;
  const asked = parseListQuery({ query, minor, isAdmin: context.isAdmin, limitMax: listLimitMax }, unfilteredListRules);
  const sort = asked.sort.length === 0 ? [{ key: "reference", descending: true }] : asked.sort;
  const order = (a: ManageableRow, b: ManageableRow): number => {
    for (const { key: name, descending } of sort) {
      if (name !== "reference" && name !== "size") throw badRequest(`sort key ${name} is invalid: reference and size are known`);
      const difference = name === "size" ? a.sizeGib - b.sizeGib : compareTexts(a.name, b.name);
      if (difference !== 0) return descending ? -difference : difference;
    }
    return compareTexts(a.name, b.name);
  };
  const sorted = [...rows].sort(order);
  const start = asked.marker === undefined ? 0 : afterMarker(sorted, asked.marker);
  const page = sorted.slice(start + asked.offset, start + asked.offset + asked.limit);
  return { body: { [key]: page.map((row) => viewManageable(row, detailed)) } };
}

function afterMarker(rows: readonly ManageableRow[], marker: string): number {
  const name = asTextRecord(parsePythonLiteral(marker))?.["source-name"] ?? marker;
  const position = rows.findIndex((row) => row.name === name);
  if (position < 0) throw badRequest(`marker not found: ${marker.slice(0, 255)}`);
  return position + 1;
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
