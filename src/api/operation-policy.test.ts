// Every operation of openapi.yaml asks the first rule of its x-policy: with that one rule set to nobody ("!") the request is
// refused, in Cinder's words, though an administrator sends it, and a microversion earlier it is not there.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import type { PolicyRule } from "../cinder/policy.ts";
import { RulePolicy } from "../cinder/policy/rule-policy.ts";
import { makeRules } from "../cinder/policy/rule-set.ts";
import { type ApiFixture, itemsAt, openApi, textAt } from "./api-fixture.ts";
import { requestOf } from "./operation-requests.fixture.ts";

const host = "andiron@pool1";
const metadata = { metadata: { a: "b" } };

test("every operation that has rules is refused by the first of them", async (t) => {
  const policy = new RulePolicy();
  const api = await openApi(t, { policy });
  const ids = await makeRecords(api);
  for (const operation of api.document.operations) {
    const [rule] = operation.rules;
    if (rule === undefined || operation.id === "showLimits") continue; // its rule is for other projects; see the test of fields
    policy.setRules(makeRules({ overrides: new Map([[rule, "!"]]) }));
    const { method, path, version, body } = requestOf(operation, (name) => ids[name] ?? "key");
    const headers = { "content-type": "application/json" };
    const sent = { version, ...(body === undefined ? {} : { body, headers }) };
    const reply = await api.call(method, path.replace("/v3/", "/v3/demo/"), sent);
    // Cinder names no rule where it looked for the project first.
    const isOfDefaults = rule.startsWith("volume_extension:default_");
    const message = isOfDefaults
      ? "You are not authorized to perform this operation."
      : `Policy doesn't allow ${rule} to be performed.`;
    assert.deepEqual(reply.json, { forbidden: { code: 403, message } }, operation.id);
    const before = operation.sinceMinor - 1;
    if (before < 0 || operation.before !== undefined || operation.handlerId !== operation.id) continue;
    const old = await api.call(method, path.replace("/v3/", "/v3/demo/"), { ...sent, version: `3.${before}` });
    assert.deepEqual(old.json, { itemNotFound: { code: 404, message: "The resource could not be found." } }, operation.id);
  }
});

async function makeRecords(api: ApiFixture): Promise<Readonly<Record<string, string>>> {
  const volume = async (fields = {}): Promise<string> => {
    const made = await api.expect(202, "POST", "/volumes", { body: { volume: { size: 1, metadata: { key: "b" }, ...fields } } });
    return textAt(made, "volume", "id");
  };
  const [volumeId, attachedId, offeredId] = [await volume(), await volume(), await volume()];
  const snapshot = await api.expect(202, "POST", "/snapshots", { body: { snapshot: { volume_id: volumeId } } });
  const version = "3.44";
  const attachment = await api.expect(200, "POST", "/attachments", {
    version,
    body: { attachment: { volume_uuid: attachedId } },
  });
  const transfer = await api.expect(202, "POST", "/volume-transfers", { body: { transfer: { volume_id: offeredId } } });
  const groupType = await api.expect(202, "POST", "/group_types", { version: "3.11", body: { group_type: { name: "g" } } });
  const groupTypeId = textAt(groupType, "group_type", "id");
  const given = { group_type: groupTypeId, volume_types: ["__DEFAULT__"] };
  const group = await api.expect(202, "POST", "/groups", { version: "3.13", body: { group: given } });
  const groupId = textAt(group, "group", "id");
  const cut = { group_snapshot: { group_id: groupId } };
  const groupSnapshot = await api.expect(202, "POST", "/group_snapshots", { version: "3.14", body: cut });
  const specs = { volume_backend_name: "nowhere" };
  const type = await api.expect(200, "POST", "/types", { body: { volume_type: { name: "odd", extra_specs: specs } } });
  await volume({ volume_type: "odd" });
  const messages = itemsAt(await api.expect(200, "GET", "/messages", { version }), "messages");
  const backup = await api.expect(202, "POST", "/backups", { body: { backup: { volume_id: await volume() } } });
  await api.cinder.idle();
  return {
    volume_id: volumeId,
    image_id: volumeId,
    other_volume_id: attachedId,
    snapshot_id: textAt(snapshot, "snapshot", "id"),
    attachment_id: textAt(attachment, "attachment", "id"),
    backup_id: textAt(backup, "backup", "id"),
    backup_url: Buffer.from(JSON.stringify({ id: randomUUID(), size: 1 })).toString("base64"),
    transfer_id: textAt(transfer, "transfer", "id"),
    group_type_id: groupTypeId,
    group_id: groupId,
    group_snapshot_id: textAt(groupSnapshot, "group_snapshot", "id"),
    type_id: textAt(type, "volume_type", "id"),
    message_id: textAt(messages[0], "id"),
    host_name: host,
    host,
    pool: `${host}#pool1`,
    target_project_id: "demo",
    cluster_name: "c",
    action: "unknown",
  };
}

test("fields are shown and left out as their rules say", async (t) => {
  const policy = new RulePolicy();
  const api = await openApi(t, { policy });
  const ids = await makeRecords(api);
  await api.expect(200, "POST", `/volumes/${ids["volume_id"]}/action`, { body: { "os-set_image_metadata": metadata } });
  const cases: readonly (readonly [PolicyRule, string, readonly string[], readonly string[]])[] = [
    ["group:group_project_attribute", "groups/{group_id}", ["group"], ["project_id"]],
    ["group:group_snapshot_project_attribute", "group_snapshots/{group_snapshot_id}", ["group_snapshot"], ["project_id"]],
    ["volume_extension:volume_host_attribute", "volumes/{volume_id}", ["volume"], ["os-vol-host-attr:host"]],
    ["volume_extension:volume_tenant_attribute", "volumes/{volume_id}", ["volume"], ["os-vol-tenant-attr:tenant_id"]],
    ["volume_extension:volume_image_metadata:show", "volumes/{volume_id}", ["volume"], ["volume_image_metadata"]],
    [
      "volume_extension:volume_mig_status_attribute",
      "volumes/{volume_id}",
      ["volume"],
      ["os-vol-mig-status-attr:migstat", "os-vol-mig-status-attr:name_id"],
    ],
    [
      "volume_extension:extended_snapshot_attributes",
      "snapshots/{snapshot_id}",
      ["snapshot"],
      ["os-extended-snapshot-attributes:progress", "os-extended-snapshot-attributes:project_id"],
    ],
    ["backup:backup_project_attribute", "backups/{backup_id}", ["backup"], ["os-backup-project-attr:project_id", "user_id"]],
    ["volume_extension:access_types_extra_specs", "types/{type_id}", ["volume_type"], ["extra_specs"]],
    ["volume_extension:access_types_qos_specs_id", "types/{type_id}", ["volume_type"], ["qos_specs_id"]],
    ["volume_extension:volume_type_access", "types/{type_id}", ["volume_type"], ["os-volume-type-access:is_public"]],
    [
      "volume_extension:types_extra_specs:read_sensitive",
      "types/{type_id}",
      ["volume_type", "extra_specs"],
      ["volume_backend_name"],
    ],
    [
      "limits_extension:used_limits",
      "limits",
      ["limits", "absolute"],
      ["totalVolumesUsed", "totalGigabytesUsed", "totalSnapshotsUsed", "totalBackupsUsed", "totalBackupGigabytesUsed"],
    ],
  ];
  for (const [rule, path, where, fields] of cases) {
    const keysUnder = async (check: string): Promise<string[]> => {
      policy.setRules(makeRules({ overrides: new Map([[rule, check]]) }));
      const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? "");
      const shown = await api.expect(200, "GET", `/${filled}`, { version: "3.71" });
      return Object.keys(where.reduce((inner, key) => inner[key]!, shown));
    };
    const [open, closed] = [await keysUnder("@"), await keysUnder("!")];
    assert.deepEqual(open.filter((key) => !closed.includes(key)).sort(), [...fields].sort(), rule);
  }
});
