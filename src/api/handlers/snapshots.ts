// Snapshots: create, list, show, update, delete, status actions.

import type { Snapshot } from "../../cinder/model.ts";
import { ownTarget } from "../../cinder/policy.ts";
import { readBoolean } from "../booleans.ts";
import { type Call, type Handlers, type JsonObject, bodyObject, bodyText, emptyAnswer, pathParameter } from "../call.ts";
import { badRequest } from "../http-fault.ts";
import { snapshotListRules } from "../resource-filters.ts";
import { viewSnapshot, viewSnapshotEntry } from "../views/snapshot.ts";
import { answerList } from "./paging.ts";
import { readNameUpdate } from "./volumes.ts";

const idOf = (call: Call): string => pathParameter(call, "snapshot_id");
/** From 3.66 a volume in use needs no `force`, and `force: false` is refused. */
const forceGoneMinor = 66;
const listForm = { rules: snapshotListRules, key: "snapshots", linksKey: "snapshots_links", idOf: (item: Snapshot) => item.id };

/** Whether policy shows the fields that only show and the detailed list have. */
function showsExtended({ cinder, context }: Call): boolean {
  return cinder.policy.allows(context, "volume_extension:extended_snapshot_attributes", ownTarget(context));
}

export const snapshotHandlers: Handlers = {
  async createSnapshot(call) {
    const given = bodyObject(call.body, "snapshot");
    const snapshot = await call.cinder.snapshots.create(call.context, {
      ...readNameUpdate(given),
      volumeId: bodyText(given, "volume_id") ?? "",
      allowInUse: readForce(given, call.minor),
    });
    return { body: { snapshot: viewSnapshot(snapshot, call.minor, false) } };
  },
  async listSnapshots(call) {
    const form = { ...listForm, path: "snapshots", view: viewSnapshotEntry };
    return answerList(call, form, (query) => call.cinder.snapshots.list(call.context, query));
  },
  async listSnapshotsDetailed(call) {
    const extended = showsExtended(call);
    const form = { ...listForm, path: "snapshots/detail", view: (item: Snapshot) => viewSnapshot(item, call.minor, extended) };
    return answerList(call, form, (query) => call.cinder.snapshots.list(call.context, query));
  },
  async showSnapshot(call) {
    const snapshot = await call.cinder.snapshots.show(call.context, idOf(call));
    return { body: { snapshot: viewSnapshot(snapshot, call.minor, showsExtended(call)) } };
  },
  async updateSnapshot(call) {
    const update = readNameUpdate(bodyObject(call.body, "snapshot"));
    const snapshot = await call.cinder.snapshots.update(call.context, idOf(call), update);
    return { body: { snapshot: viewSnapshot(snapshot, call.minor, false) } };
  },
  async deleteSnapshot(call) {
    await call.cinder.snapshots.delete(call.context, idOf(call));
    return emptyAnswer;
  },
  async forceDeleteSnapshot(call) {
    await call.cinder.snapshots.forceDelete(call.context, idOf(call));
    return emptyAnswer;
  },
  async resetSnapshotStatus(call) {
    const status = bodyText(bodyObject(call.body, "os-reset_status"), "status") ?? "";
    await call.cinder.snapshots.resetStatus(call.context, idOf(call), status);
    return emptyAnswer;
  },
  async updateSnapshotStatus(call) {
    const given = bodyObject(call.body, "os-update_snapshot_status");
    const status = bodyText(given, "status") ?? "";
    await call.cinder.snapshots.updateStatus(call.context, idOf(call), status, bodyText(given, "progress"));
    return emptyAnswer;
  },
};

function readForce(given: JsonObject, minor: number): boolean {
  if (minor < forceGoneMinor) return readBoolean(given["force"]);
  if ("force" in given && !readBoolean(given["force"])) {
    throw badRequest(
      "Since microversion 3.66 the 'force' flag is invalid for this request.  For backward compatability, however, " +
        "when the 'force' flag is passed with a value evaluating to True, it is silently ignored.",
    );
  }
  return true;
}
