// The part of the tour (all-operations.test.ts) that an operator takes: what types refer to, group types, transfers, services,
// and managing what the engine has. Each stop leaves nothing behind. Used by test files only.

import assert from "node:assert/strict";
import { tourBackups } from "./backup-tour.fixture.ts";
import { type ApiFixture, type JsonReply, itemsAt, textAt } from "./api-fixture.ts";

async function createType(api: ApiFixture, name: string): Promise<string> {
  return textAt(await api.expect(200, "POST", "/types", { body: { volume_type: { name } } }), "volume_type", "id");
}

async function createVolume(api: ApiFixture, body: Record<string, unknown> = {}): Promise<string> {
  return textAt(await api.expect(202, "POST", "/volumes", { body: { volume: { size: 1, ...body } } }), "volume", "id");
}

async function tourEncryption(api: ApiFixture): Promise<void> {
  const path = `/types/${await createType(api, "crypt")}`;
  assert.deepEqual(await api.expect(200, "GET", `${path}/encryption`), {});
  const encryption = { provider: "luks", control_location: "front-end", cipher: "aes-xts-plain64", key_size: "256" };
  const created = await api.expect(200, "POST", `${path}/encryption`, { body: { encryption } });
  const id = textAt(created, "encryption", "encryption_id");
  assert.equal(created["encryption"]!["key_size"], 256);
  await api.expect(400, "POST", `${path}/encryption`, { body: { encryption } });
  await api.expect(400, "POST", `${path}/encryption`, { body: { encryption: { provider: "luks" } } });
  const change = { encryption: { key_size: 512 } };
  assert.deepEqual(await api.expect(200, "PUT", `${path}/encryption/${id}`, { body: change }), change);
  assert.deepEqual(await api.expect(200, "GET", `${path}/encryption/key_size`), { key_size: 512 });
  await api.expect(404, "GET", `${path}/encryption/nothing`);
  const shown = await api.expect(200, "GET", `${path}/encryption`);
  assert.equal(shown["cipher"], "aes-xts-plain64");
  await api.expect(400, "POST", "/volumes", { body: { volume: { size: 1, volume_type: "crypt" } } });
  await api.expect(202, "DELETE", `${path}/encryption/provider`); // as cinderclient calls it
  await api.expect(404, "DELETE", `${path}/encryption/${id}`);
  await api.expect(202, "DELETE", path);
}

async function tourDefaultTypes(api: ApiFixture): Promise<void> {
  const version = "3.62";
  const id = await createType(api, "usual");
  const body = { default_type: { volume_type: "usual" } };
  const record = { project_id: "demo", volume_type_id: id };
  assert.deepEqual(await api.expect(200, "PUT", "/default-types/demo", { version, body }), { default_type: record });
  await api.expect(400, "PUT", "/default-types/demo", { version, body: { default_type: { volume_type: "nothing" } } });
  assert.deepEqual(await api.expect(200, "GET", "/default-types/demo", { version }), { default_type: record });
  assert.deepEqual(await api.expect(200, "GET", "/default-types", { version }), { default_types: [record] });
  assert.equal(textAt(await api.expect(200, "GET", "/types/default"), "volume_type", "id"), id);
  const volumeId = await createVolume(api);
  assert.equal(textAt(await api.expect(200, "GET", `/volumes/${volumeId}`), "volume", "volume_type"), "usual");
  await api.expect(202, "DELETE", `/volumes/${volumeId}`);
  await api.expect(400, "DELETE", `/types/${id}`);
  await api.expect(204, "DELETE", "/default-types/demo", { version });
  await api.expect(404, "GET", "/default-types/demo", { version });
  await api.expect(404, "GET", "/default-types", { version: "3.61" });
  await api.expect(202, "DELETE", `/types/${id}`);
}

async function tourQos(api: ApiFixture): Promise<void> {
  const given = { name: "fast", consumer: "front-end", read_iops_sec: "1000" };
  const created = await api.expect(200, "POST", "/qos-specs", { body: { qos_specs: given } });
  const path = `/qos-specs/${textAt(created, "qos_specs", "id")}`;
  await api.expect(409, "POST", "/qos-specs", { body: { qos_specs: given } });
  await api.expect(400, "POST", "/qos-specs", { body: { qos_specs: { name: "x", consumer: "somebody" } } });
  const change = { qos_specs: { write_iops_sec: "500" } };
  assert.deepEqual(await api.expect(200, "PUT", path, { body: change }), change);
  assert.deepEqual((await api.expect(200, "GET", path))["qos_specs"]!["specs"], {
    read_iops_sec: "1000",
    write_iops_sec: "500",
  });
  await api.expect(202, "PUT", `${path}/delete_keys`, { body: { keys: ["write_iops_sec"] } });
  await api.expect(404, "PUT", `${path}/delete_keys`, { body: { keys: ["write_iops_sec"] } });
  assert.equal(itemsAt(await api.expect(200, "GET", "/qos-specs"), "qos_specs").length, 1);
  const typeId = await createType(api, "qos");
  await api.expect(202, "GET", `${path}/associate?vol_type_id=${typeId}`);
  await api.expect(400, "GET", `${path}/associate`);
  const { qos_associations: ties } = await api.expect(200, "GET", `${path}/associations`);
  assert.deepEqual(ties, [{ association_type: "volume_type", name: "qos", id: typeId }]);
  assert.equal((await api.expect(200, "GET", `/types/${typeId}`))["volume_type"]!["qos_specs_id"], path.split("/")[2]);
  await checkQosOfConnection(api);
  await api.expect(400, "DELETE", path);
  await api.expect(202, "GET", `${path}/disassociate?vol_type_id=${typeId}`);
  await api.expect(202, "GET", `${path}/associate?vol_type_id=${typeId}`);
  await api.expect(202, "GET", `${path}/disassociate_all`);
  await api.expect(202, "GET", `${path}/associate?vol_type_id=${typeId}`);
  await api.expect(202, "DELETE", `${path}?force=True`);
  await api.expect(404, "GET", path);
  await api.expect(202, "DELETE", `/types/${typeId}`);
}

async function checkQosOfConnection(api: ApiFixture): Promise<void> {
  const id = await createVolume(api, { volume_type: "qos" });
  const connector = { host: "compute1" };
  const body = { "os-initialize_connection": { connector } };
  const { connection_info: info } = await api.expect(200, "POST", `/volumes/${id}/action`, { body });
  assert.deepEqual(info!["data"]!["qos_specs"], { read_iops_sec: "1000" });
  await api.expect(202, "POST", `/volumes/${id}/action`, { body: { "os-terminate_connection": { connector } } });
  await api.expect(202, "DELETE", `/volumes/${id}`);
}

async function tourGroupTypes(api: ApiFixture): Promise<void> {
  const v311 = { version: "3.11" };
  const given = { name: "group", description: "d", group_specs: { a: "b" } };
  const created = await api.expect(202, "POST", "/group_types", { ...v311, body: { group_type: given } });
  const path = `/group_types/${textAt(created, "group_type", "id")}`;
  await api.expect(409, "POST", "/group_types", { ...v311, body: { group_type: given } });
  await api.expect(404, "GET", path, { version: "3.10" });
  const changed = await api.expect(200, "PUT", path, { ...v311, body: { group_type: { name: "group2", is_public: false } } });
  assert.equal(changed["group_type"]!["is_public"], false);
  await api.expect(400, "PUT", path, { ...v311, body: { group_type: {} } });
  const shown = itemsAt(await api.expect(200, "GET", "/group_types", v311), "group_types");
  assert.deepEqual(
    shown.map((type) => textAt(type, "name")),
    ["default_cgsnapshot_type"],
  );
  assert.equal(itemsAt(await api.expect(200, "GET", "/group_types?is_public=none", v311), "group_types").length, 2);
  assert.equal(itemsAt(await api.expect(200, "GET", "/group_types?name=x", { version: "3.71" }), "group_types").length, 1);
  const specs = { group_specs: { c: "d" } };
  assert.deepEqual(await api.expect(202, "POST", `${path}/group_specs`, { ...v311, body: specs }), specs);
  assert.deepEqual(await api.expect(200, "PUT", `${path}/group_specs/c`, { ...v311, body: { c: "e" } }), { c: "e" });
  assert.deepEqual(await api.expect(200, "GET", `${path}/group_specs/c`, v311), { c: "e" });
  await api.expect(202, "DELETE", `${path}/group_specs/c`, v311);
  await api.expect(404, "DELETE", `${path}/group_specs/c`, v311);
  assert.deepEqual(await api.expect(200, "GET", `${path}/group_specs`, v311), { group_specs: { a: "b" } });
  assert.deepEqual((await api.expect(200, "GET", path, v311))["group_type"]!["group_specs"], { a: "b" });
  await api.expect(202, "DELETE", path, v311);
  await api.expect(404, "GET", path, v311);
}

async function tourTransfers(api: ApiFixture): Promise<void> {
  for (const [base, version, fields] of [
    ["/os-volume-transfer", "3.0", ["auth_key", "created_at", "id", "links", "name", "volume_id"]],
    ["/volume-transfers", "3.0", ["auth_key", "created_at", "id", "links", "name", "volume_id"]],
    ["/volume-transfers", "3.55", ["auth_key", "created_at", "id", "links", "name", "no_snapshots", "volume_id"]],
  ] as const) {
    const volumeId = await createVolume(api);
    const body = { transfer: { volume_id: volumeId, name: "gift", ...(version === "3.55" ? { no_snapshots: true } : {}) } };
    const { transfer } = await api.expect(202, "POST", base, { version, body });
    assert.deepEqual(Object.keys(transfer!).sort(), fields);
    const path = `${base}/${textAt(transfer, "id")}`;
    assert.equal((await api.expect(200, "GET", `/volumes/${volumeId}`))["volume"]!["status"], "awaiting-transfer");
    assert.equal(itemsAt(await api.expect(200, "GET", base, { version }), "transfers").length, 1);
    assert.equal(itemsAt(await api.expect(200, "GET", `${base}/detail`, { version }), "transfers")[0]!["name"], "gift");
    const shown = await api.expect(200, "GET", path, { version: "3.57" });
    assert.equal(shown["transfer"]!["source_project_id"], "demo");
    assert.equal("auth_key" in shown["transfer"]!, false);
    await api.expect(202, "DELETE", path, { version });
    await api.expect(404, "GET", path, { version });
    const again = await api.expect(202, "POST", base, { version, body });
    await accept(api, base, again, volumeId);
  }
}

async function accept(api: ApiFixture, base: string, created: JsonReply, volumeId: string): Promise<void> {
  const path = `${base}/${textAt(created, "transfer", "id")}/accept`;
  await api.expect(400, "POST", path, { body: { accept: { auth_key: "wrong" } } });
  const accepted = await api.callIn("other", "POST", path, {
    body: { accept: { auth_key: textAt(created, "transfer", "auth_key") } },
  });
  assert.equal(accepted.status, 202, accepted.text);
  const shown = await api.callIn("other", "GET", `/volumes/${volumeId}`);
  assert.equal(shown.json["volume"]!["os-vol-tenant-attr:tenant_id"], "other");
  await api.expect(202, "DELETE", `/volumes/${volumeId}`);
}

async function tourServices(api: ApiFixture): Promise<void> {
  const host = textAt(await api.expect(200, "GET", "/os-services?binary=cinder-volume"), "services", "0", "host");
  const row = async (): Promise<JsonReply> =>
    itemsAt(await api.expect(200, "GET", "/os-services?binary=cinder-volume"), "services")[0]!;
  await api.expect(200, "PUT", "/os-services/freeze", { body: { host } });
  assert.deepEqual([(await row())["frozen"], (await row())["disabled_reason"]], [true, "frozen"]);
  await api.expect(400, "PUT", "/os-services/freeze", { body: { host } });
  await api.expect(400, "PUT", "/os-services/freeze", { body: {} });
  await api.expect(200, "PUT", "/os-services/thaw", { body: { host } });
  assert.deepEqual([(await row())["frozen"], (await row())["status"]], [false, "enabled"]);
  await api.expect(400, "PUT", "/os-services/failover_host", { body: { host } });
  await api.expect(400, "PUT", "/os-services/failover", { version: "3.26", body: { host } });
  const version = "3.32";
  await api.expect(202, "PUT", "/os-services/set-log", { version, body: { level: "debug", prefix: "andiron" } });
  const { log_levels: levels } = await api.expect(200, "PUT", "/os-services/get-log", {
    version,
    body: { binary: "cinder-api" },
  });
  assert.deepEqual(levels, [{ binary: "cinder-api", host: "andiron", levels: { andiron: "DEBUG" } }]);
  await api.expect(400, "PUT", "/os-services/set-log", { version, body: { level: "loud" } });
  await api.expect(400, "PUT", "/os-services/get-log", { version: "3.31", body: {} });
  await api.expect(400, "PUT", "/os-services/unknown", { body: { host } });
  const hostPath = `/os-hosts/${encodeURIComponent(host)}`;
  assert.deepEqual(await api.expect(200, "PUT", hostPath, { body: { status: "disable" } }), { host, status: "disabled" });
  await api.expect(200, "PUT", hostPath, { body: { status: "enable" } });
  await api.expect(400, "PUT", hostPath, { body: { status: "perhaps" } });
  await api.expect(400, "PUT", hostPath, { body: { state: "enable" } });
  assert.deepEqual(await api.expect(200, "PUT", hostPath, { body: {} }), {});
  const v37 = { version: "3.7" };
  assert.deepEqual(await api.expect(200, "GET", "/clusters", v37), { clusters: [] });
  assert.deepEqual(await api.expect(200, "GET", "/clusters/detail", v37), { clusters: [] });
  await api.expect(404, "GET", "/clusters/c", v37);
  await api.expect(404, "PUT", "/clusters/enable", { ...v37, body: { name: "c" } });
  await api.expect(404, "PUT", "/clusters/disable", { ...v37, body: { name: "c" } });
  await api.expect(404, "PUT", "/clusters/unknown", { ...v37, body: { name: "c" } });
  const cleaned = await api.expect(202, "POST", "/workers/cleanup", { version: "3.24", body: { binary: "cinder-volume" } });
  assert.deepEqual(cleaned, { cleaning: [], unavailable: [] });
}

/** There is one pool only: away from a volume there is no room, and a message says why. */
async function tourHints(api: ApiFixture): Promise<void> {
  const id = await createVolume(api);
  for (const [hints, status] of [
    [{ same_host: id }, "available"],
    [{ same_host: [id], different_host: null }, "available"],
    [{ different_host: [id] }, "error"],
  ] as const) {
    const body = { volume: { size: 1 }, "OS-SCH-HNT:scheduler_hints": hints };
    const hinted = textAt(await api.expect(202, "POST", "/volumes", { body }), "volume", "id");
    assert.equal((await api.expect(200, "GET", `/volumes/${hinted}`))["volume"]!["status"], status);
    const messages = await api.expect(200, "GET", `/messages?resource_uuid=${hinted}`, { version: "3.5" });
    if (status === "error") assert.match(textAt(messages, "messages", "0", "user_message"), /p1: DifferentBackendFilter/);
    else assert.deepEqual(messages["messages"], []);
    await api.expect(202, "DELETE", `/volumes/${hinted}`);
  }
  await api.expect(202, "DELETE", `/volumes/${id}`);
}

async function tourManagement(api: ApiFixture): Promise<void> {
  const pool = textAt(await api.expect(200, "GET", "/scheduler-stats/get_pools"), "pools", "0", "name");
  const query = `?host=${encodeURIComponent(pool)}&limit=1000`;
  let id = await createVolume(api, { name: "managed" });
  const lists = [
    ["/os-volume-manage", "3.0"],
    ["/manageable_volumes", "3.8"],
    ["/manageable_volumes", "3.16"],
    ["/os-volume-manage", "3.16"],
  ] as const;
  await api.expect(400, "POST", `/volumes/${id}/action`, { body: { "os-extend_volume_completion": { error: false } } });
  for (const [path, version] of lists) {
    await api.expect(202, "POST", `/volumes/${id}/action`, { body: { "os-unmanage": {} } });
    await api.expect(404, "GET", `/volumes/${id}`);
    const rows = itemsAt(await api.expect(200, "GET", path + query, { version }), "manageable-volumes");
    assert.equal(rows.filter((row) => row["safe_to_manage"] === (true as unknown)).length, 1);
    const volume = { host: pool, ref: { "source-name": `volume-${id}` }, name: "back", bootable: true };
    const taken = await api.expect(202, "POST", path, { version, body: { volume } });
    assert.equal(taken["volume"]!["bootable"], "true");
    id = textAt(taken, "volume", "id");
    await api.expect(400, "POST", path, { version, body: { volume } });
    await api.expect(400, "POST", path, { version, body: { volume: { ...volume, ref: "nothing" } } });
    const detail = itemsAt(await api.expect(200, "GET", `${path}/detail${query}`, { version }), "manageable-volumes");
    const row = detail.find((one) => one["cinder_id"] === (id as unknown));
    assert.equal(row?.["reason_not_safe"], "already managed");
  }
  await api.expect(400, "GET", "/manageable_volumes", { version: "3.8" });
  await tourManagedSnapshots(api, id, query);
  await api.expect(202, "DELETE", `/volumes/${id}`);
}

async function tourManagedSnapshots(api: ApiFixture, volumeId: string, query: string): Promise<void> {
  const created = await api.expect(202, "POST", "/snapshots", { body: { snapshot: { volume_id: volumeId } } });
  const id = textAt(created, "snapshot", "id");
  for (const [path, version] of [
    ["/os-snapshot-manage", "3.0"],
    ["/manageable_snapshots", "3.8"],
  ] as const) {
    await api.expect(202, "POST", `/snapshots/${id}/action`, { body: { "os-unmanage": {} } });
    await api.expect(404, "GET", `/snapshots/${id}`);
    const key = "manageable-snapshots";
    const safe = itemsAt(await api.expect(200, "GET", path + query, { version }), key);
    assert.ok(safe.some((row) => row["safe_to_manage"] === (true as unknown)));
    const snapshot = { volume_id: volumeId, ref: { "source-name": `_snapshot-${id}` }, name: "s" };
    const taken = await api.expect(202, "POST", path, { version, body: { snapshot } });
    assert.equal(textAt(taken, "snapshot", "id"), id);
    await api.expect(400, "POST", path, { version, body: { snapshot } });
    const rows = itemsAt(await api.expect(200, "GET", `${path}/detail${query}`, { version }), key);
    assert.equal(rows.find((row) => row["cinder_id"] === (id as unknown))?.["safe_to_manage"], false);
  }
  await api.expect(202, "DELETE", `/snapshots/${id}`);
}

/** A second pool is there as long as it takes. */
async function tourMoves(api: ApiFixture): Promise<void> {
  const { control } = api;
  const [row] = control.poolRows;
  const [first, second] = [`andiron@${row!.name}`, "andiron@p2"].map((backend) => `${backend}#${backend.split("@")[1]}`);
  const before = control.poolRows;
  control.poolRows = [row!, { ...row!, name: "p2" }];
  const typeOf = async (name: string, specs = {}): Promise<string> =>
    textAt(await api.expect(200, "POST", "/types", { body: { volume_type: { name, extra_specs: specs } } }), "volume_type", "id");
  const types = [await typeOf("to-p2", { volume_backend_name: "p2", multiattach: "<is> True" }), await typeOf("anywhere")];
  const [id, other] = [await createVolume(api), await createVolume(api)];
  const path = `/volumes/${id}/action`;
  const shown = async (): Promise<unknown[]> => {
    await api.cinder.idle();
    const { volume } = await api.expect(200, "GET", `/volumes/${id}`);
    return ["status", "migration_status", "volume_type", "os-vol-host-attr:host"].map((field) => volume![field]);
  };
  const migrate = (host: unknown, more = {}): object => ({ "os-migrate_volume": { host, ...more } });
  await api.expect(202, "POST", path, { body: migrate(second, { force_host_copy: "True", lock_volume: true }) });
  assert.deepEqual(await shown(), ["available", "success", "__DEFAULT__", second]);
  await api.expect(400, "POST", path, { version: "3.16", body: migrate(first, { cluster: "c" }) });
  await api.expect(400, "POST", path, { version: "3.15", body: migrate(first, { cluster: "c" }) });
  await api.expect(400, "POST", path, { version: "3.15", body: { "os-migrate_volume": {} } });
  await api.expect(400, "POST", path, { version: "3.16", body: migrate(null, { cluster: "c" }) });
  await api.expect(202, "POST", path, { version: "3.16", body: migrate(first, { cluster: null }) });
  assert.deepEqual(await shown(), ["available", "success", "__DEFAULT__", first]);
  await api.expect(400, "POST", path, { body: { "os-retype": { new_type: "anywhere", migration_policy: "always" } } });
  await api.expect(202, "POST", path, { body: { "os-retype": { new_type: "to-p2", migration_policy: "on-demand" } } });
  assert.deepEqual(await shown(), ["available", "success", "to-p2", second]);
  await api.expect(202, "POST", path, { body: { "os-retype": { new_type: types[1], migration_policy: "never" } } });
  assert.deepEqual(await shown(), ["available", "success", "anywhere", second]);
  await api.expect(202, "POST", path, { body: { "os-reset_status": { migration_status: "none" } } });
  const body = { "os-migrate_volume_completion": { new_volume: other, error: false } };
  assert.deepEqual(await api.expect(200, "POST", path, { body }), { save_volume_id: other });
  for (const each of [id, other]) await api.expect(202, "DELETE", `/volumes/${each}`);
  for (const each of types) await api.expect(202, "DELETE", `/types/${each}`);
  control.poolRows = before;
}

/** Each stop with its name. */
export const operatorTour: Readonly<Record<string, (api: ApiFixture) => Promise<void>>> = {
  "encryption of types": tourEncryption,
  "default types of projects": tourDefaultTypes,
  "quality of service": tourQos,
  "group types and specs": tourGroupTypes,
  "transfers by both paths": tourTransfers,
  "backups, and volumes of them": tourBackups,
  "services, hosts, clusters, clean-up": tourServices,
  "hints to the scheduler": tourHints,
  "another type, another pool": tourMoves,
  "managing and letting go": tourManagement,
};
