// Group snapshots (3.14).

import type { GroupSnapshot } from "../../cinder/model.ts";
import { ownTarget } from "../../cinder/policy.ts";
import { type Call, type Handlers, bodyObject, emptyAnswer, pathParameter } from "../call.ts";
import { groupSnapshotListRules } from "../resource-filters.ts";
import { viewGroupEntry, viewGroupSnapshot, viewNewGroupSnapshot } from "../views/group.ts";
import { projectShownMinor, readNames } from "./groups.ts";
import { answerList } from "./paging.ts";

const idOf = (call: Call): string => pathParameter(call, "group_snapshot_id");
const listForm = {
  rules: groupSnapshotListRules,
  key: "group_snapshots",
  linksKey: "group_snapshot_links",
  idOf: (snapshot: GroupSnapshot) => snapshot.id,
};

function showsProject({ cinder, context, minor }: Call): boolean {
  return (
    minor >= projectShownMinor && cinder.policy.allows(context, "group:group_snapshot_project_attribute", ownTarget(context))
  );
}

export const groupSnapshotHandlers: Handlers = {
  async listGroupSnapshots(call) {
    const form = { ...listForm, path: "group_snapshots", view: viewGroupEntry };
    return answerList(call, form, (query) => call.cinder.groupSnapshots.list(call.context, query));
  },
  async listGroupSnapshotsDetailed(call) {
    const withProject = showsProject(call);
    const view = (snapshot: GroupSnapshot): unknown => viewGroupSnapshot(snapshot, call.minor, withProject);
    const form = { ...listForm, path: "group_snapshots/detail", view };
    return answerList(call, form, (query) => call.cinder.groupSnapshots.list(call.context, query));
  },
  async createGroupSnapshot(call) {
    const given = bodyObject(call.body, "group_snapshot");
    const request = { ...readNames(given), groupId: String(given["group_id"]) };
    const snapshot = await call.cinder.groupSnapshots.create(call.context, request);
    return { body: { group_snapshot: viewNewGroupSnapshot(snapshot) } };
  },
  async showGroupSnapshot(call) {
    const snapshot = await call.cinder.groupSnapshots.show(call.context, idOf(call));
    return { body: { group_snapshot: viewGroupSnapshot(snapshot, call.minor, showsProject(call)) } };
  },
  async deleteGroupSnapshot(call) {
    await call.cinder.groupSnapshots.delete(call.context, idOf(call));
    return emptyAnswer;
  },
  async resetGroupSnapshotStatus(call) {
    const status = String(bodyObject(call.body, "reset_status")["status"]);
    await call.cinder.groupSnapshots.resetStatus(call.context, idOf(call), status);
    return emptyAnswer;
  },
};
