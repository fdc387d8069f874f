// Consistency groups and their snapshots: the older API over groups.

import type { Group, GroupSnapshot } from "../../cinder/model.ts";
import { readBoolean } from "../booleans.ts";
import { type Call, type Handlers, bodyObject, bodyText, emptyAnswer, pathParameter } from "../call.ts";
import { badRequest } from "../http-fault.ts";
import { consistencyGroupListRules } from "../resource-filters.ts";
import { viewCgsnapshot, viewConsistencyGroup, viewGroupEntry } from "../views/group.ts";
import { readGroupUpdate, readNames } from "./groups.ts";
import { answerList, withOnly } from "./paging.ts";

const idOf = (call: Call): string => pathParameter(call, "group_id");
const snapshotIdOf = (call: Call): string => pathParameter(call, "group_snapshot_id");
const listForm = {
  rules: consistencyGroupListRules,
  key: "consistencygroups",
  linksKey: "consistencygroup_links",
  idOf: (group: Group) => group.id,
};
/** What Cinder looks at in the query of a list; whatever else there is does nothing. */
const snapshotListParameters: ReadonlySet<string> = new Set(["limit", "offset", "marker"]);
const listParameters: ReadonlySet<string> = new Set([
  ...snapshotListParameters,
  ...["sort", "sort_key", "sort_dir", "all_tenants", "name", "status"],
]);
const snapshotListForm = { rules: consistencyGroupListRules, key: "cgsnapshots", idOf: (snapshot: GroupSnapshot) => snapshot.id };
/** From here on a name may be made empty. */
const blankNamesMinor = 6;

export const consistencyGroupHandlers: Handlers = {
  async listConsistencyGroups(call) {
    const form = { ...listForm, path: "consistencygroups", view: viewGroupEntry };
    return answerList(withOnly(call, listParameters), form, (query) => call.cinder.consistencyGroups.list(call.context, query));
  },
  async listConsistencyGroupsDetailed(call) {
    const form = { ...listForm, path: "consistencygroups/detail", view: viewConsistencyGroup };
    return answerList(withOnly(call, listParameters), form, (query) => call.cinder.consistencyGroups.list(call.context, query));
  },
  async createConsistencyGroup(call) {
    const given = bodyObject(call.body, "consistencygroup");
    const names = readNames(given);
    const volumeTypes = bodyText(given, "volume_types");
    const availabilityZone = bodyText(given, "availability_zone");
    if (volumeTypes === undefined) {
      throw badRequest(`volume_types must be provided to create consistency group ${names.name ?? "None"}.`);
    }
    const group = await call.cinder.consistencyGroups.create(call.context, {
      ...names,
      volumeTypes: volumeTypes.replace(/,+$/, "").split(","),
      ...(availabilityZone === undefined ? {} : { availabilityZone }),
    });
    return { body: { consistencygroup: viewGroupEntry(group) } };
  },
  async createConsistencyGroupFromSource(call) {
    const given = bodyObject(call.body, "consistencygroup-from-src");
    const names = readNames(given);
    const groupSnapshotId = bodyText(given, "cgsnapshot_id");
    const sourceGroupId = bodyText(given, "source_cgid");
    const shown = names.name ?? "None";
    if (groupSnapshotId === undefined && sourceGroupId === undefined) {
      throw badRequest(
        `Either 'cgsnapshot_id' or 'source_cgid' must be provided to create consistency group ${shown} from source.`,
      );
    }
    if (groupSnapshotId !== undefined && sourceGroupId !== undefined) {
      throw badRequest(`Cannot provide both 'cgsnapshot_id' and 'source_cgid' to create consistency group ${shown} from source.`);
    }
    const source = groupSnapshotId === undefined ? { sourceGroupId: sourceGroupId ?? "" } : { groupSnapshotId };
    const group = await call.cinder.consistencyGroups.createFromSource(call.context, { ...names, ...source });
    return { body: { consistencygroup: viewGroupEntry(group) } };
  },
  async showConsistencyGroup(call) {
    const group = await call.cinder.consistencyGroups.show(call.context, idOf(call));
    return { body: { consistencygroup: viewConsistencyGroup(group) } };
  },
  async updateConsistencyGroup(call) {
    const update = readGroupUpdate(bodyObject(call.body, "consistencygroup"));
    const { name, description, addVolumes, removeVolumes } = update;
    const given =
      call.minor >= blankNamesMinor ? [name, description].some((one) => one !== null) : Boolean(name) || Boolean(description);
    if (!given && addVolumes.length + removeVolumes.length === 0) throw badRequest(nothingGiven(call.minor));
    await call.cinder.consistencyGroups.update(call.context, idOf(call), update);
    return emptyAnswer;
  },
  async deleteConsistencyGroup(call) {
    const force = readBoolean(bodyObject(call.body, "consistencygroup")["force"]);
    await call.cinder.consistencyGroups.delete(call.context, idOf(call), force);
    return emptyAnswer;
  },
  async listCgsnapshots(call) {
    const form = { ...snapshotListForm, path: "cgsnapshots", view: viewGroupEntry };
    return answerList(withOnly(call, snapshotListParameters), form, (query) =>
      call.cinder.consistencyGroupSnapshots.list(call.context, query),
    );
  },
  async listCgsnapshotsDetailed(call) {
    const form = { ...snapshotListForm, path: "cgsnapshots/detail", view: viewCgsnapshot };
    return answerList(withOnly(call, snapshotListParameters), form, (query) =>
      call.cinder.consistencyGroupSnapshots.list(call.context, query),
    );
  },
  async createCgsnapshot(call) {
    const given = bodyObject(call.body, "cgsnapshot");
    const request = { ...readNames(given), groupId: String(given["consistencygroup_id"]) };
    const snapshot = await call.cinder.consistencyGroupSnapshots.create(call.context, request);
    return { body: { cgsnapshot: viewGroupEntry(snapshot) } };
  },
  async showCgsnapshot(call) {
    const snapshot = await call.cinder.consistencyGroupSnapshots.show(call.context, snapshotIdOf(call));
    return { body: { cgsnapshot: viewCgsnapshot(snapshot) } };
  },
  async deleteCgsnapshot(call) {
    await call.cinder.consistencyGroupSnapshots.delete(call.context, snapshotIdOf(call));
    return emptyAnswer;
  },
};

function nothingGiven(minor: number): string {
  return minor >= blankNamesMinor
    ? "Must specify one or more of the following keys to update: name, description, add_volumes, remove_volumes."
    : "Name, description, add_volumes, and remove_volumes can not be all empty in the request body.";
}
