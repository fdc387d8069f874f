// The part of the tour (all-operations.test.ts) that is about backups. It leaves nothing behind. Used by test files only.

import assert from "node:assert/strict";
import { type ApiFixture, type JsonReply, itemsAt, textAt } from "./api-fixture.ts";

async function shown(api: ApiFixture, id: string, version = "3.71"): Promise<NonNullable<JsonReply[string]>> {
  return (await api.expect(200, "GET", `/backups/${id}`, { version }))["backup"]!;
}

/** The fields of each microversion. */
async function tourFields(api: ApiFixture, id: string): Promise<void> {
  const project = "os-backup-project-attr:project_id";
  for (const [version, fields] of [
    ["3.0", []],
    ["3.18", [project]],
    ["3.43", ["metadata", project]],
    ["3.56", ["metadata", project, "user_id"]],
  ] as const) {
    const backup = await shown(api, id, version);
    const later = ["metadata", project, "user_id", "encryption_key_id"].filter((field) => field in backup);
    assert.deepEqual(later, fields, version);
  }
}

async function tourLists(api: ApiFixture, ids: readonly string[]): Promise<void> {
  const idsAt = async (path: string, version = "3.71"): Promise<unknown[]> =>
    itemsAt(await api.expect(200, "GET", path, { version }), "backups").map((each) => each["id"]);
  assert.deepEqual(await idsAt("/backups?sort=created_at:asc"), ids);
  assert.deepEqual(await idsAt("/backups/detail?name=second"), [ids[1]]);
  assert.deepEqual(await idsAt("/backups?sort_key=name&sort_dir=asc", "3.37"), [ids[0], ids[1], ids[2]]);
  await api.expect(400, "GET", "/backups?sort=name", { version: "3.36" });
  const page = await api.expect(200, "GET", "/backups/detail?limit=2&with_count=true", { version: "3.45" });
  assert.deepEqual([itemsAt(page, "backups").length, page["count"]], [2, 3]);
  assert.match(textAt(page, "backups_links", "0", "href"), /\/backups\/detail\?.*marker=/);
  const [entry] = itemsAt(await api.expect(200, "GET", "/backups"), "backups");
  assert.deepEqual(Object.keys(entry!).sort(), ["id", "links", "name"]);
}

async function tourRestores(api: ApiFixture, id: string, volumeId: string): Promise<string[]> {
  const into = { restore: { volume_id: volumeId } };
  const { restore } = await api.expect(202, "POST", `/backups/${id}/restore`, { body: into });
  assert.deepEqual(restore, { backup_id: id, volume_id: volumeId, volume_name: "source" });
  await api.cinder.idle();
  const fresh = await api.expect(202, "POST", `/backups/${id}/restore`, { body: { restore: { name: "fresh" } } });
  assert.equal(fresh["restore"]!["volume_name"], "fresh");
  await api.cinder.idle();
  const made = [textAt(fresh, "restore", "volume_id")];
  for (const version of ["3.47", "3.71"]) {
    const body = { volume: { backup_id: id, name: "of a backup" } };
    made.push(textAt(await api.expect(202, "POST", "/volumes", { version, body }), "volume", "id"));
    await api.cinder.idle();
  }
  for (const each of made) {
    const volume = (await api.expect(200, "GET", `/volumes/${each}`))["volume"]!;
    assert.deepEqual([volume["status"], volume["size"]], ["available", 1]);
  }
  return made;
}

async function tourRecords(api: ApiFixture, id: string): Promise<void> {
  const { "backup-record": record } = await api.expect(200, "GET", `/backups/${id}/export_record`);
  const [service, url] = [textAt(record, "backup_service"), textAt(record, "backup_url")];
  const again = { "backup-record": { backup_service: service, backup_url: url } };
  await api.expect(400, "POST", "/backups/import_record", { body: again });
  const fields = JSON.parse(Buffer.from(url, "base64").toString()) as object;
  const copy = { ...fields, id: "77777777-7777-4777-8777-777777777777" };
  const body = {
    "backup-record": { backup_service: service, backup_url: Buffer.from(JSON.stringify(copy)).toString("base64") },
  };
  assert.equal(textAt(await api.expect(201, "POST", "/backups/import_record", { body }), "backup", "id"), copy.id);
  assert.equal((await shown(api, copy.id))["status"], "available");
  const path = `/backups/${copy.id}/action`;
  await api.expect(400, "POST", path, { body: { "os-reset_status": { status: "deleting" } } });
  await api.expect(202, "POST", path, { body: { "os-reset_status": { status: "error" } } });
  assert.equal((await shown(api, copy.id))["status"], "error");
  await api.expect(202, "POST", path, { body: { "os-force_delete": {} } });
  await api.cinder.idle();
  await api.expect(404, "GET", `/backups/${copy.id}`);
}

export async function tourBackups(api: ApiFixture): Promise<void> {
  const { volume } = await api.expect(202, "POST", "/volumes", { body: { volume: { size: 1, name: "source" } } });
  const volumeId = textAt(volume, "id");
  const { snapshot } = await api.expect(202, "POST", "/snapshots", { body: { snapshot: { volume_id: volumeId } } });
  const ids: string[] = [];
  for (const [version, rest] of [
    ["3.0", { name: "first" }],
    ["3.43", { name: "second", incremental: "true", metadata: { a: "b" } }],
    ["3.51", { name: "third", force: true, availability_zone: null, snapshot_id: textAt(snapshot, "id") }],
  ] as const) {
    const body = { backup: { volume_id: volumeId, ...rest } };
    const made = await api.expect(202, "POST", "/backups", { version, body });
    assert.deepEqual(Object.keys(made["backup"]!).sort(), ["id", "links", "name"]);
    ids.push(textAt(made, "backup", "id"));
    await api.cinder.idle();
  }
  const [first = "", second = "", third = ""] = ids;
  await api.expect(400, "POST", "/backups", { version: "3.42", body: { backup: { volume_id: volumeId, metadata: {} } } });
  const { is_incremental: incremental, metadata } = await shown(api, second);
  assert.deepEqual([incremental, metadata, (await shown(api, first))["has_dependent_backups"]], [true, { a: "b" }, true]);
  await tourFields(api, first);
  await tourLists(api, ids);
  await api.expect(404, "PUT", `/backups/${first}`, { version: "3.8", body: { backup: { name: "n" } } });
  await api.expect(200, "PUT", `/backups/${first}`, { version: "3.9", body: { backup: { description: "d" } } });
  const change = { version: "3.43", body: { backup: { name: "1st", metadata: { c: "d" } } } };
  assert.equal(textAt(await api.expect(200, "PUT", `/backups/${first}`, change), "backup", "name"), "1st");
  await tourRecords(api, third);
  const made = await tourRestores(api, second, volumeId);
  await api.expect(400, "DELETE", `/backups/${first}`);
  for (const id of [third, second, first]) {
    await api.expect(202, "DELETE", `/backups/${id}`);
    await api.cinder.idle();
    await api.expect(404, "GET", `/backups/${id}`);
  }
  await api.expect(202, "DELETE", `/snapshots/${textAt(snapshot, "id")}`);
  for (const id of [volumeId, ...made]) await api.expect(202, "DELETE", `/volumes/${id}`);
  await api.cinder.idle();
}
