// Every verb that sends notifications, done once; in the words of test/differential.

import { type Area, action, adminPrepare, gone, prepare, reset, settled, snapshot, volume } from "../differential/scenario.ts";

const connector = {
  host: "compute1",
  ip: "10.0.0.1",
  initiator: "iqn.1993-08.org.debian:01:1",
  mountpoint: "/dev/vdb",
  platform: "x86_64",
  mode: "rw",
};
const act = action("v");

export const volumeVerbs: Area = {
  name: "volumes",
  steps: [
    adminPrepare("POST /types", { volume_type: { name: "of {project}" } }, { save: { t: "volume_type.id" } }),
    ...volume("v", { volume_type: "{t}", metadata: { a: "b" } }),
    prepare("PUT /volumes/{v}", { volume: { name: "renamed", metadata: { c: "d", e: "f" } } }),
    prepare(act, { "os-extend": { new_size: 2 } }),
    settled("/volumes/{v}"),
    reset("v", "error"),
    reset("v", "available"),
    ...snapshot("s", "v"),
    prepare("PUT /snapshots/{s}", { snapshot: { name: "other", description: "d" } }),
    prepare("POST /snapshots/{s}/metadata", { metadata: { it: "it's" } }),
    adminPrepare("POST /snapshots/{s}/action", { "os-reset_status": { status: "error" } }),
    adminPrepare("POST /snapshots/{s}/action", { "os-reset_status": { status: "available" } }),
    prepare(act, { revert: { snapshot_id: "{s}" } }),
    settled("/volumes/{v}"),
    settled("/snapshots/{s}"),
    ...volume("clone", { source_volid: "{v}", size: 2 }),
    ...volume("copy", { snapshot_id: "{s}", size: 2 }),
    adminPrepare("POST /snapshots/{s}/action", { "os-unmanage": {} }),
    gone("/snapshots/{s}"),
    ...volume("cascade", { volume_type: "{t}" }),
    ...snapshot("one", "cascade"),
    prepare("DELETE /volumes/{cascade}?cascade=true"),
    gone("/volumes/{cascade}"),
    ...snapshot("s2", "clone"),
    prepare("DELETE /snapshots/{s2}"),
    gone("/snapshots/{s2}"),
    prepare("DELETE /volumes/{clone}"),
    gone("/volumes/{clone}"),
    prepare("DELETE /volumes/{copy}"),
    gone("/volumes/{copy}"),
  ],
};

export const attachmentVerbs: Area = {
  name: "attachments",
  steps: [
    ...volume("v"),
    prepare("POST /attachments", { attachment: { volume_uuid: "{v}" } }, { save: { r: "attachment.id" } }),
    prepare("DELETE /attachments/{r}"),
    settled("/volumes/{v}"),
    prepare("POST /attachments", { attachment: { volume_uuid: "{v}" } }, { save: { a: "attachment.id" } }),
    prepare("PUT /attachments/{a}", { attachment: { connector } }),
    prepare("POST /attachments/{a}/action", { "os-complete": {} }),
    adminPrepare("DELETE /attachments/{a}"),
    settled("/volumes/{v}"),
    prepare("POST /attachments", { attachment: { volume_uuid: "{v}", connector } }, { save: { b: "attachment.id" } }),
    prepare("POST /attachments/{b}/action", { "os-complete": {} }),
    adminPrepare(act, { "os-reset_status": { status: "available", attach_status: "detached" } }),
    prepare(act, { "os-reserve": {} }),
    prepare(act, { "os-initialize_connection": { connector } }),
    prepare(act, { "os-attach": { host_name: "compute1", mountpoint: "/dev/vdb", mode: "rw" } }),
    settled("/volumes/{v}", "in-use"),
    prepare(act, { "os-begin_detaching": {} }),
    prepare(act, { "os-terminate_connection": { connector } }),
    prepare(act, { "os-detach": {} }),
    settled("/volumes/{v}"),
    prepare("DELETE /volumes/{v}"),
    gone("/volumes/{v}"),
  ],
};

export const transferVerbs: Area = {
  name: "transfers",
  steps: [
    ...volume("v"),
    prepare("POST /volume-transfers", { transfer: { volume_id: "{v}", name: "gift" } }, { save: { t: "transfer.id" } }),
    prepare("DELETE /volume-transfers/{t}"),
    settled("/volumes/{v}"),
    prepare(
      "POST /volume-transfers",
      { transfer: { volume_id: "{v}", name: "gift" } },
      { save: { t: "transfer.id", key: "transfer.auth_key" } },
    ),
    prepare("POST /volume-transfers/{t}/accept", { accept: { auth_key: "{key}" } }, { as: "stranger" }),
    settled("/volumes/{v}"),
    prepare("DELETE /volumes/{v}", undefined, { as: "stranger" }),
    gone("/volumes/{v}"),
  ],
};

const type = { name: "type of {project}", description: "d", "os-volume-type-access:is_public": false };
const encryption = { provider: "luks", control_location: "front-end", cipher: "aes-xts-plain64", key_size: 256 };

export const typeVerbs: Area = {
  name: "types",
  steps: [
    adminPrepare("POST /types", { volume_type: { ...type, extra_specs: { a: "b" } } }, { save: { t: "volume_type.id" } }),
    adminPrepare("PUT /types/{t}", { volume_type: { description: "e" } }),
    adminPrepare("POST /types/{t}/extra_specs", { extra_specs: { c: "d" } }),
    adminPrepare("PUT /types/{t}/extra_specs/c", { c: "e" }),
    adminPrepare("DELETE /types/{t}/extra_specs/c"),
    adminPrepare("POST /types/{t}/action", { addProjectAccess: { project: "{project}" } }),
    adminPrepare("POST /types/{t}/action", { removeProjectAccess: { project: "{project}" } }),
    adminPrepare("POST /types/{t}/encryption", { encryption }, { save: { e: "encryption.encryption_id" } }),
    adminPrepare("PUT /types/{t}/encryption/{e}", { encryption: { key_size: 128 } }),
    adminPrepare("DELETE /types/{t}/encryption/{e}"),
    adminPrepare(
      "POST /qos-specs",
      { qos_specs: { name: "qos of {project}", consumer: "front-end", total_iops_sec: "100" } },
      { save: { q: "qos_specs.id" } },
    ),
    adminPrepare("PUT /qos-specs/{q}", { qos_specs: { total_bytes_sec: "1000" } }),
    adminPrepare("PUT /qos-specs/{q}/delete_keys", { keys: ["total_bytes_sec"] }),
    adminPrepare("GET /qos-specs/{q}/associate?vol_type_id={t}"),
    adminPrepare("GET /qos-specs/{q}/disassociate?vol_type_id={t}"),
    adminPrepare("GET /qos-specs/{q}/disassociate_all"),
    adminPrepare("DELETE /qos-specs/{q}"),
    adminPrepare("DELETE /types/{t}"),
    adminPrepare(
      "POST /group_types",
      { group_type: { name: "group type of {project}", group_specs: { a: "b" } } },
      { save: { g: "group_type.id" } },
    ),
    adminPrepare("PUT /group_types/{g}", { group_type: { description: "e" } }),
    adminPrepare("POST /group_types/{g}/group_specs", { group_specs: { c: "d" } }),
    adminPrepare("PUT /group_types/{g}/group_specs/c", { c: "e" }),
    adminPrepare("DELETE /group_types/{g}/group_specs/c"),
    adminPrepare("DELETE /group_types/{g}"),
  ],
};

/** A record that says of what, and not where: what is made of it can only be deleted. */
const importedUrl = Buffer.from(JSON.stringify({ id: "66666666-6666-4666-8666-666666666666", size: 1 })).toString("base64");

/** Backups, whole and incremental; of what is known of them elsewhere nothing is told. */
export const backupVerbs: Area = {
  name: "backups",
  steps: [
    ...volume("v"),
    prepare("POST /backups", { backup: { volume_id: "{v}", name: "b" } }, { save: { b: "backup.id" } }),
    settled("/backups/{b}"),
    settled("/volumes/{v}"),
    prepare("PUT /backups/{b}", { backup: { name: "renamed" } }, { at: "3.9" }),
    prepare("POST /backups", { backup: { volume_id: "{v}", incremental: true } }, { save: { i: "backup.id" }, pauseMs: 1100 }),
    settled("/backups/{i}"),
    settled("/volumes/{v}"),
    prepare("POST /backups/{i}/restore", { restore: { volume_id: "{v}" } }),
    settled("/volumes/{v}"),
    settled("/backups/{i}"),
    prepare("POST /backups/{b}/restore", { restore: { name: "other" } }, { save: { r: "restore.volume_id" } }),
    settled("/volumes/{r}"),
    settled("/backups/{b}"),
    adminPrepare("GET /backups/{b}/export_record", undefined, { save: { service: "backup-record.backup_service" } }),
    adminPrepare(
      "POST /backups/import_record",
      { "backup-record": { backup_service: "{service}", backup_url: importedUrl } },
      { save: { m: "backup.id" } },
    ),
    settled("/backups/{m}", "error"),
    adminPrepare("DELETE /backups/{m}"),
    gone("/backups/{m}"),
    adminPrepare("POST /backups/{i}/action", { "os-reset_status": { status: "error" } }),
    settled("/backups/{i}", "error"),
    // Cinder tells of the end after that status is there.
    prepare("DELETE /backups/{i}", undefined, { pauseMs: 1100 }),
    gone("/backups/{i}"),
    adminPrepare("POST /backups/{b}/action", { "os-force_delete": {} }),
    gone("/backups/{b}"),
    ...snapshot("s", "v"),
    prepare("POST /backups", { backup: { volume_id: "{v}", snapshot_id: "{s}", name: "of s" } }, { save: { o: "backup.id" } }),
    settled("/backups/{o}"),
    settled("/snapshots/{s}"),
    prepare("DELETE /backups/{o}"),
    gone("/backups/{o}"),
    prepare("DELETE /snapshots/{s}"),
    gone("/snapshots/{s}"),
    prepare("DELETE /volumes/{v}"),
    gone("/volumes/{v}"),
    prepare("DELETE /volumes/{r}"),
    gone("/volumes/{r}"),
  ],
};

/** A volume for which no pool can be found. */
export const unplacedVerbs: Area = {
  name: "without a pool",
  steps: [
    adminPrepare(
      "POST /types",
      { volume_type: { name: "nowhere of {project}", extra_specs: { volume_backend_name: "nowhere" } } },
      { save: { t: "volume_type.id" } },
    ),
    prepare("POST /volumes", { volume: { size: 1, name: "v", volume_type: "{t}" } }, { save: { v: "volume.id" } }),
    settled("/volumes/{v}", "error"),
    prepare("DELETE /volumes/{v}"),
    gone("/volumes/{v}"),
  ],
};

/** Groups with a volume, and their snapshots; a copy of one is what the reference's drivers have no bytes for. */
export const groupVerbs: Area = {
  name: "groups",
  steps: [
    adminPrepare("POST /types", { volume_type: { name: "of groups of {project}" } }, { save: { t: "volume_type.id" } }),
    adminPrepare("POST /group_types", { group_type: { name: "groups of {project}" } }, { save: { gt: "group_type.id" } }),
    prepare("POST /groups", { group: { name: "g", group_type: "{gt}", volume_types: ["{t}"] } }, { save: { g: "group.id" } }),
    settled("/groups/{g}"),
    ...volume("v", { volume_type: "{t}", group_id: "{g}" }),
    ...volume("w", { volume_type: "{t}" }),
    prepare("PUT /groups/{g}", { group: { add_volumes: "{w}" } }),
    settled("/groups/{g}"),
    prepare("PUT /groups/{g}", { group: { remove_volumes: "{w}" } }),
    settled("/groups/{g}"),
    adminPrepare("POST /groups/{g}/action", { reset_status: { status: "error" } }),
    adminPrepare("POST /groups/{g}/action", { reset_status: { status: "available" } }),
    prepare("POST /group_snapshots", { group_snapshot: { group_id: "{g}", name: "gs" } }, { save: { gs: "group_snapshot.id" } }),
    settled("/group_snapshots/{gs}"),
    adminPrepare("POST /group_snapshots/{gs}/action", { reset_status: { status: "error" } }),
    prepare("DELETE /group_snapshots/{gs}"),
    gone("/group_snapshots/{gs}"),
    prepare("POST /groups/{g}/action", { delete: { "delete-volumes": true } }),
    gone("/groups/{g}"),
    prepare("DELETE /volumes/{w}"),
    gone("/volumes/{w}"),
  ],
};

export const allVerbs: readonly Area[] = [
  unplacedVerbs,
  volumeVerbs,
  attachmentVerbs,
  transferVerbs,
  typeVerbs,
  groupVerbs,
  backupVerbs,
];
