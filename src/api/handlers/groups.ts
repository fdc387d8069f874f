// Groups (3.13) and their actions.

import type { GroupUpdate, ReplicationVerb } from "../../cinder/groups/group-verbs.ts";
import type { Group } from "../../cinder/model.ts";
import { ownTarget } from "../../cinder/policy.ts";
import { readBoolean, readBooleanParameter } from "../booleans.ts";
import {
  type Answer,
  type Call,
  type Handlers,
  type JsonObject,
  bodyObject,
  bodyText,
  emptyAnswer,
  pathParameter,
} from "../call.ts";
import { groupListRules } from "../resource-filters.ts";
import { type GroupViewOptions, viewGroup, viewGroupEntry } from "../views/group.ts";
import { answerList } from "./paging.ts";

const idOf = (call: Call): string => pathParameter(call, "group_id");
const listForm = { rules: groupListRules, key: "groups", linksKey: "group_links", idOf: (group: Group) => group.id };
/** The project is shown where policy allows it, from here on. */
export const projectShownMinor = 58;

function viewOptions({ cinder, context, minor, query }: Call): GroupViewOptions {
  const withProject =
    minor >= projectShownMinor && cinder.policy.allows(context, "group:group_project_attribute", ownTarget(context));
  return { minor, withVolumes: readBooleanParameter(query, "list_volume"), withProject };
}

export const groupHandlers: Handlers = {
  async listGroups(call) {
    const form = { ...listForm, path: "groups", view: viewGroupEntry };
    return answerList(call, form, (query) => call.cinder.groups.list(call.context, query));
  },
  async listGroupsDetailed(call) {
    const options = viewOptions(call);
    const form = { ...listForm, path: "groups/detail", view: (group: Group) => viewGroup(group, options) };
    return answerList(call, form, (query) => call.cinder.groups.list(call.context, query));
  },
  async createGroup(call) {
    const given = bodyObject(call.body, "group");
    const availabilityZone = bodyText(given, "availability_zone");
    const group = await call.cinder.groups.create(call.context, {
      ...readNames(given),
      groupType: String(given["group_type"]),
      volumeTypes: given["volume_types"] as readonly string[],
      ...(availabilityZone === undefined ? {} : { availabilityZone }),
    });
    return { body: { group: viewGroupEntry(group) } };
  },
  async createGroupFromSource(call) {
    const given = bodyObject(call.body, "create-from-src");
    const groupSnapshotId = bodyText(given, "group_snapshot_id");
    const sourceGroupId = bodyText(given, "source_group_id");
    const group = await call.cinder.groups.createFromSource(call.context, {
      ...readNames(given),
      ...(groupSnapshotId === undefined ? {} : { groupSnapshotId }),
      ...(sourceGroupId === undefined ? {} : { sourceGroupId }),
    });
    return { body: { group: viewGroupEntry(group) } };
  },
  async showGroup(call) {
    const group = await call.cinder.groups.show(call.context, idOf(call));
    return { body: { group: viewGroup(group, viewOptions(call)) } };
  },
  async updateGroup(call) {
    await call.cinder.groups.update(call.context, idOf(call), readGroupUpdate(bodyObject(call.body, "group")));
    return emptyAnswer;
  },
  async deleteGroup(call) {
    const withVolumes = readBoolean(bodyObject(call.body, "delete")["delete-volumes"]);
    await call.cinder.groups.delete(call.context, idOf(call), withVolumes);
    return emptyAnswer;
  },
  async resetGroupStatus(call) {
    const status = String(bodyObject(call.body, "reset_status")["status"]);
    await call.cinder.groups.resetStatus(call.context, idOf(call), status);
    return emptyAnswer;
  },
  enableGroupReplication: (call) => replicate(call, "enable"),
  disableGroupReplication: (call) => replicate(call, "disable"),
  failoverGroupReplication: (call) => replicate(call, "failover"),
  async listGroupReplicationTargets(call) {
    const { id } = await call.cinder.groups.replicationTargets(call.context, idOf(call));
    return { body: { group_id: id, replication_targets: [] } };
  },
};

function replicate(call: Call, verb: ReplicationVerb): Promise<Answer> {
  return call.cinder.groups.replicate(call.context, idOf(call), verb);
}

/** Null where none is given. */
export function readNames(given: JsonObject): { readonly name: string | null; readonly description: string | null } {
  const read = (key: string): string | null => (typeof given[key] === "string" ? given[key].trim() : null);
  return { name: read("name"), description: read("description") };
}

export function readGroupUpdate(given: JsonObject): GroupUpdate {
  return { ...readNames(given), addVolumes: readIds(given["add_volumes"]), removeVolumes: readIds(given["remove_volumes"]) };
}

/** Ids with commas between them. */
function readIds(given: unknown): readonly string[] {
  const text = typeof given === "string" ? given.replaceAll(/^,+|,+$/g, "") : "";
  return text === "" ? [] : text.split(",");
}
