// The stops of the tour of all operations that concern groups, group snapshots and their older form. Used by test files only.

import assert from "node:assert/strict";
import { type ApiFixture, itemsAt, textAt } from "./api-fixture.ts";

const absent = "99999999-9999-4999-8999-999999999999";

async function makeGroupType(api: ApiFixture, name: string, specs: Record<string, string> = {}): Promise<string> {
  const body = { group_type: { name, group_specs: specs } };
  return textAt(await api.expect(202, "POST", "/group_types", { version: "3.11", body }), "group_type", "id");
}

async function makeGroup(api: ApiFixture, groupType: string, volumeType = "__DEFAULT__"): Promise<string> {
  const body = { group: { name: " g ", description: "d", group_type: groupType, volume_types: [volumeType] } };
  const made = await api.expect(202, "POST", "/groups", { version: "3.13", body });
  assert.deepEqual(Object.keys(made["group"]!).sort(), ["id", "name"]);
  return textAt(made, "group", "id");
}

async function makeMember(api: ApiFixture, groupId: string, volumeType = "__DEFAULT__"): Promise<string> {
  const volume = { size: 1, volume_type: volumeType, group_id: groupId };
  return textAt(await api.expect(202, "POST", "/volumes", { version: "3.13", body: { volume } }), "volume", "id");
}

/** A type of volumes whose making asks one rule more. */
async function makeSharedType(api: ApiFixture): Promise<string> {
  const volume_type = { name: "shared", extra_specs: { multiattach: "<is> True" } };
  return textAt(await api.expect(200, "POST", "/types", { body: { volume_type } }), "volume_type", "id");
}

async function tourGroups(api: ApiFixture): Promise<void> {
  const id = await makeGroup(api, await makeGroupType(api, "of groups"));
  const path = `/groups/${id}`;
  await api.expect(404, "GET", path, { version: "3.12" });
  const fields = ["availability_zone", "created_at", "description", "group_type", "id", "name", "status", "volume_types"];
  const since: Readonly<Record<string, readonly string[]>> = {
    "3.13": [],
    "3.14": ["group_snapshot_id", "source_group_id"],
    "3.25": ["group_snapshot_id", "source_group_id", "volumes"],
    "3.38": ["group_snapshot_id", "source_group_id", "volumes", "replication_status"],
    "3.58": ["group_snapshot_id", "source_group_id", "volumes", "replication_status", "project_id"],
  };
  for (const [version, more] of Object.entries(since)) {
    const { group } = await api.expect(200, "GET", `${path}?list_volume=True`, { version });
    assert.deepEqual(Object.keys(group!).sort(), [...fields, ...more].sort(), version);
  }
  const member = await makeMember(api, id);
  const body = { group: { name: "g2", add_volumes: "", remove_volumes: `${member},` } };
  await api.expect(202, "PUT", path, { version: "3.13", body });
  await api.expect(202, "PUT", path, { version: "3.13", body: { group: { add_volumes: member } } });
  await api.expect(400, "PUT", path, { version: "3.13", body: { group: { name: "g2" } } });
  await api.expect(400, "PUT", path, { version: "3.13", body: { group: {} } });
  const listed = await api.expect(200, "GET", "/groups?list_volume=1&name=g2", { version: "3.31" });
  assert.deepEqual(listed["groups"], [{ id, name: "g2" }]);
  const detailed = await api.expect(200, "GET", "/groups/detail?list_volume=true&sort=name:asc", { version: "3.58" });
  assert.deepEqual(
    itemsAt(detailed, "groups").map((group) => group["volumes"]),
    [[member]],
  );
  const ofGroup = await api.expect(200, "GET", `/volumes?group_id=${id}`, { version: "3.13" });
  assert.deepEqual(
    itemsAt(ofGroup, "volumes").map((volume) => volume["id"]),
    [member],
  );
  const { volume } = await api.expect(200, "GET", `/volumes/${member}`, { version: "3.13" });
  assert.deepEqual([volume!["group_id"], volume!["consistencygroup_id"]], [id, null]);
  const act = (status: number, key: string, value: unknown, version: string): Promise<unknown> =>
    api.expect(status, "POST", `${path}/action`, { version, body: { [key]: value } });
  await act(400, "reset_status", { status: "nothing" }, "3.20");
  await act(202, "reset_status", { status: "Error" }, "3.20");
  await act(202, "reset_status", { status: "available" }, "3.20");
  await act(400, "delete", {}, "3.13");
  await act(202, "delete", { "delete-volumes": "true" }, "3.13");
  await api.cinder.idle();
  await api.expect(404, "GET", path, { version: "3.13" });
  await api.expect(404, "GET", `/volumes/${member}`);
}

async function tourReplication(api: ApiFixture): Promise<void> {
  const version = "3.38";
  const specs = { replication_enabled: "<is> True" };
  await api.expect(200, "POST", "/types", { body: { volume_type: { name: "replicated", extra_specs: specs } } });
  const type = await makeGroupType(api, "of replication", { group_replication_enabled: "<is> True" });
  const path = `/groups/${await makeGroup(api, type, "replicated")}`;
  const act = (status: number, key: string): Promise<unknown> =>
    api.expect(status, "POST", `${path}/action`, { version, body: { [key]: {} } });
  for (const verb of ["enable", "disable", "failover"]) await act(400, `${verb}_replication`);
  await act(200, "list_replication_targets");
  await api.expect(202, "POST", `${path}/action`, { version, body: { delete: {} } });
}

async function tourGroupSnapshots(api: ApiFixture): Promise<void> {
  const version = "3.14";
  const type = await makeSharedType(api);
  const groupId = await makeGroup(api, await makeGroupType(api, "of group snapshots"), type);
  const member = await makeMember(api, groupId, type);
  const body = { group_snapshot: { group_id: groupId, name: "gs" } };
  await api.expect(404, "POST", "/group_snapshots", { version: "3.13", body });
  const made = await api.expect(202, "POST", "/group_snapshots", { version, body });
  assert.deepEqual(Object.keys(made["group_snapshot"]!).sort(), ["group_type_id", "id", "name"]);
  const id = textAt(made, "group_snapshot", "id");
  const path = `/group_snapshots/${id}`;
  const { group_snapshot: shown } = await api.expect(200, "GET", path, { version: "3.58" });
  assert.deepEqual([shown!["group_id"], shown!["status"], shown!["project_id"]], [groupId, "available", "demo"]);
  assert.equal((await api.expect(200, "GET", path, { version }))["group_snapshot"]!["project_id"], undefined);
  const listed = await api.expect(200, "GET", `/group_snapshots?group_id=${absent}`, { version });
  assert.deepEqual(listed["group_snapshots"], [{ id, name: "gs" }]);
  const filtered = await api.expect(200, "GET", `/group_snapshots?group_id=${absent}`, { version: "3.31" });
  assert.deepEqual(filtered["group_snapshots"], []);
  const detailed = await api.expect(200, "GET", "/group_snapshots/detail?limit=1", { version: "3.58" });
  assert.equal(itemsAt(detailed, "group_snapshots").length, 1);
  assert.ok("group_snapshot_links" in detailed);
  const { snapshots } = await api.expect(200, "GET", `/snapshots/detail?volume_id=${member}`, { version });
  assert.equal(textAt(snapshots, "0", "group_snapshot_id"), id);
  await api.expect(400, "DELETE", `/snapshots/${textAt(snapshots, "0", "id")}`);
  const reset = { reset_status: { status: "error" } };
  await api.expect(202, "POST", `${path}/action`, { version: "3.19", body: reset });
  const copy = (source: object): Promise<unknown> =>
    api.expect(202, "POST", "/groups/action", { version, body: { "create-from-src": source } });
  await copy({ group_snapshot_id: id, name: "of a snapshot" });
  await copy({ source_group_id: groupId });
  await api.expect(400, "POST", "/groups/action", { version, body: { "create-from-src": {} } });
  await api.cinder.idle();
  const groups = await api.expect(200, "GET", "/groups/detail", { version });
  assert.deepEqual(
    itemsAt(groups, "groups").map((group) => [group["group_snapshot_id"], group["source_group_id"], group["status"]]),
    [
      [null, groupId, "available"],
      [id, null, "available"],
      [null, null, "available"],
    ],
  );
  await api.expect(202, "DELETE", path, { version });
  await api.expect(404, "GET", path, { version });
  const remove = { version, body: { delete: { "delete-volumes": true } } };
  for (const group of itemsAt(groups, "groups")) await api.expect(202, "POST", `/groups/${textAt(group, "id")}/action`, remove);
  await api.cinder.idle();
  await api.expect(202, "DELETE", `/types/${type}`);
}

async function tourConsistencyGroups(api: ApiFixture): Promise<void> {
  const post = (path: string, body: object): ReturnType<ApiFixture["expect"]> => api.expect(202, "POST", path, { body });
  await api.expect(400, "POST", "/consistencygroups", { body: { consistencygroup: { name: "c" } } });
  const type = await makeSharedType(api);
  const made = await post("/consistencygroups", { consistencygroup: { name: "c", volume_types: "shared," } });
  const id = textAt(made, "consistencygroup", "id");
  const path = `/consistencygroups/${id}`;
  const { consistencygroup: shown } = await api.expect(200, "GET", path);
  assert.deepEqual([shown!["status"], shown!["name"]], ["available", "c"]);
  await api.expect(400, "GET", `/groups/${id}`, { version: "3.13" });
  const volume = { size: 1, volume_type: type, consistencygroup_id: id };
  const member = textAt(await post("/volumes", { volume }), "volume", "id");
  assert.equal((await api.expect(200, "GET", `/volumes/${member}`))["volume"]!["consistencygroup_id"], id);
  await api.expect(202, "PUT", path, { body: { consistencygroup: { remove_volumes: member } } });
  await api.expect(202, "PUT", `${path}/update`, { body: { consistencygroup: { name: "c2", add_volumes: member } } });
  await api.expect(400, "PUT", path, { version: "3.5", body: { consistencygroup: { name: "" } } });
  await api.expect(202, "PUT", path, { version: "3.6", body: { consistencygroup: { name: "" } } });
  assert.equal(itemsAt(await api.expect(200, "GET", "/consistencygroups"), "consistencygroups").length, 1);
  await api.expect(200, "GET", "/consistencygroups/detail");
  const cut = await post("/cgsnapshots", { cgsnapshot: { consistencygroup_id: id, name: "s" } });
  const snapshotPath = `/cgsnapshots/${textAt(cut, "cgsnapshot", "id")}`;
  assert.equal((await api.expect(200, "GET", snapshotPath))["cgsnapshot"]!["consistencygroup_id"], id);
  assert.equal(
    itemsAt(await api.expect(200, "GET", "/cgsnapshots?limit=2&status=x", { version: "3.71" }), "cgsnapshots").length,
    1,
  );
  await api.expect(200, "GET", "/cgsnapshots/detail");
  const source = { cgsnapshot_id: textAt(cut, "cgsnapshot", "id") };
  const copy = await post("/consistencygroups/create_from_src", { "consistencygroup-from-src": source });
  const from = "consistencygroup-from-src";
  await api.expect(400, "POST", "/consistencygroups/create_from_src", { body: { [from]: {} } });
  await api.expect(400, "POST", "/consistencygroups/create_from_src", { body: { [from]: { ...source, source_cgid: id } } });
  await api.cinder.idle();
  await api.expect(202, "DELETE", snapshotPath);
  const force = { consistencygroup: { force: "True" } };
  await api.expect(400, "POST", `${path}/delete`, { body: {} });
  await api.expect(400, "DELETE", path);
  await post(`${path}/delete`, force);
  await api.expect(202, "DELETE", `/consistencygroups/${textAt(copy, "consistencygroup", "id")}`, { body: force });
  await api.cinder.idle();
  assert.deepEqual((await api.expect(200, "GET", "/consistencygroups"))["consistencygroups"], []);
  await api.expect(202, "DELETE", `/types/${type}`);
}

/** By name, in this order. */
export const groupTour: Readonly<Record<string, (api: ApiFixture) => Promise<void>>> = {
  groups: tourGroups,
  "replication of groups": tourReplication,
  "group snapshots and groups of them": tourGroupSnapshots,
  "consistency groups and their snapshots": tourConsistencyGroups,
};
