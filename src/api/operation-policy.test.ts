// Every operation of openapi.yaml asks the policy rule that Cinder asks there: with that one rule set to nobody ("!") the request
// is refused with its name, though an administrator sends it. An operation that is not in the table fails the test.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { PolicyRule } from "../cinder/policy.ts";
import { RulePolicy } from "../cinder/policy/rule-policy.ts";
import { makeRules } from "../cinder/policy/rule-set.ts";
import { type ApiFixture, itemsAt, openApi, textAt } from "./api-fixture.ts";

type Row = readonly [operationIds: string, rule: PolicyRule, body?: unknown];

const host = "andiron@pool1";
const metadata = { metadata: { a: "b" } };
const item = { meta: { key: "b" } };
const service = { host, binary: "cinder-volume" };
const connector = { host: "compute1" };
const volumeActions = "volume_extension:volume_actions:";
const adminActions = "volume_extension:volume_admin_actions:";
const encryption = { provider: "luks", control_location: "front-end", cipher: "aes-xts-plain64", key_size: 256 };
const manage = { volume: { host: `${host}#pool1`, ref: { "source-name": "x" } } };
const groupSpecs = { group_specs: { key: "b" } };

/** Several operations that ask the same rule stand in one row; bodies are what their schemas need. */
const rows: readonly Row[] = [
  ["listVolumes listVolumesDetailed summarizeVolumes", "volume:get_all"],
  ["createVolume createVolumeStrict", "volume:create", { volume: { size: 1 } }],
  ["showVolume", "volume:get"],
  ["updateVolume updateVolumeStrict", "volume:update", { volume: { name: "n" } }],
  ["deleteVolume", "volume:delete"],
  ["showVolumeMetadata showVolumeMetadataItem", "volume:get_volume_metadata"],
  ["mergeVolumeMetadata", "volume:create_volume_metadata", metadata],
  ["replaceVolumeMetadata", "volume:update_volume_metadata", metadata],
  ["setVolumeMetadataItem", "volume:update_volume_metadata", item],
  ["deleteVolumeMetadataItem", "volume:delete_volume_metadata"],
  ["showVolumeEncryption showVolumeEncryptionItem", "volume_extension:volume_encryption_metadata"],
  ["extendVolume", "volume:extend", { "os-extend": { new_size: 2 } }],
  ["resetVolumeStatus", `${adminActions}reset_status`, { "os-reset_status": { status: "error" } }],
  ["setVolumeReadOnly", "volume:update_readonly_flag", { "os-update_readonly_flag": { readonly: true } }],
  ["setVolumeBootable", "volume:update", { "os-set_bootable": { bootable: true } }],
  ["revertVolume", "volume:revert_to_snapshot", { revert: { snapshot_id: "11111111-1111-4111-8111-111111111111" } }],
  ["reserveVolume", `${volumeActions}reserve`, { "os-reserve": null }],
  ["unreserveVolume", `${volumeActions}unreserve`, { "os-unreserve": null }],
  ["beginDetachingVolume", `${volumeActions}begin_detaching`, { "os-begin_detaching": null }],
  ["rollDetachingVolume", `${volumeActions}roll_detaching`, { "os-roll_detaching": null }],
  ["attachVolume", `${volumeActions}attach`, { "os-attach": { host_name: "h", mountpoint: "/dev/vdb" } }],
  ["detachVolume", `${volumeActions}detach`, { "os-detach": {} }],
  ["forceDetachVolume", `${adminActions}force_detach`, { "os-force_detach": { connector } }],
  ["initializeConnection", `${volumeActions}initialize_connection`, { "os-initialize_connection": { connector } }],
  ["terminateConnection", `${volumeActions}terminate_connection`, { "os-terminate_connection": { connector } }],
  ["forceDeleteVolume", `${adminActions}force_delete`, { "os-force_delete": null }],
  ["completeVolumeExtension", `${adminActions}extend_volume_completion`, { "os-extend_volume_completion": { error: false } }],
  ["unmanageVolume", "volume_extension:volume_unmanage", { "os-unmanage": null }],
  ["setImageMetadata", "volume_extension:volume_image_metadata:set", { "os-set_image_metadata": metadata }],
  ["showImageMetadata", "volume:get_volume_metadata", { "os-show_image_metadata": null }],
  ["unsetImageMetadata", "volume_extension:volume_image_metadata:remove", { "os-unset_image_metadata": { key: "a" } }],

  ["listSnapshots listSnapshotsDetailed", "volume:get_all_snapshots"],
  ["createSnapshot", "volume:create_snapshot", { snapshot: { volume_id: "{volume_id}" } }],
  ["showSnapshot", "volume:get_snapshot"],
  ["updateSnapshot", "volume:update_snapshot", { snapshot: { name: "n" } }],
  ["deleteSnapshot", "volume:delete_snapshot"],
  ["showSnapshotMetadata showSnapshotMetadataItem", "volume:get_snapshot_metadata"],
  ["mergeSnapshotMetadata replaceSnapshotMetadata", "volume:update_snapshot_metadata", metadata],
  ["setSnapshotMetadataItem", "volume:update_snapshot_metadata", item],
  ["deleteSnapshotMetadataItem", "volume:delete_snapshot_metadata"],
  ["resetSnapshotStatus", "volume_extension:snapshot_admin_actions:reset_status", { "os-reset_status": { status: "error" } }],
  ["forceDeleteSnapshot", "volume_extension:snapshot_admin_actions:force_delete", { "os-force_delete": null }],
  ["unmanageSnapshot", "snapshot_extension:snapshot_unmanage", { "os-unmanage": null }],
  [
    "updateSnapshotStatus",
    "snapshot_extension:snapshot_actions:update_snapshot_status",
    { "os-update_snapshot_status": { status: "error" } },
  ],

  ["createAttachment createAttachmentWithMode", "volume:attachment_create", { attachment: { volume_uuid: "{volume_id}" } }],
  ["updateAttachment", "volume:attachment_update", { attachment: { connector } }],
  ["deleteAttachment", "volume:attachment_delete"],
  ["completeAttachment", "volume:attachment_complete", { "os-complete": null }],

  ["listTypes", "volume_extension:type_get_all"],
  ["showType showDefaultType", "volume_extension:type_get"],
  ["createType", "volume_extension:type_create", { volume_type: { name: "n" } }],
  ["updateType", "volume_extension:type_update", { volume_type: { name: "n" } }],
  ["deleteType", "volume_extension:type_delete"],
  ["listExtraSpecs", "volume_extension:types_extra_specs:index"],
  ["setExtraSpecs", "volume_extension:types_extra_specs:create", { extra_specs: { a: "b" } }],
  ["showExtraSpec", "volume_extension:types_extra_specs:show"],
  ["setExtraSpec", "volume_extension:types_extra_specs:update", { key: "b" }],
  ["deleteExtraSpec", "volume_extension:types_extra_specs:delete"],
  ["listTypeAccess", "volume_extension:volume_type_access:get_all_for_type"],
  ["addTypeAccess", "volume_extension:volume_type_access:addProjectAccess", { addProjectAccess: { project: "p" } }],
  ["removeTypeAccess", "volume_extension:volume_type_access:removeProjectAccess", { removeProjectAccess: { project: "p" } }],
  ["showTypeEncryption showTypeEncryptionItem", "volume_extension:volume_type_encryption:get"],
  ["createTypeEncryption", "volume_extension:volume_type_encryption:create", { encryption }],
  ["updateTypeEncryption", "volume_extension:volume_type_encryption:update", { encryption }],
  ["deleteTypeEncryption", "volume_extension:volume_type_encryption:delete"],
  ["listDefaultTypes", "volume_extension:default_get_all"],
  ["showProjectDefaultType", "volume_extension:default_get"],
  ["setProjectDefaultType", "volume_extension:default_set_or_update", { default_type: { volume_type: "t" } }],
  ["unsetProjectDefaultType", "volume_extension:default_unset"],

  ["listQosSpecs listQosAssociations", "volume_extension:qos_specs_manage:get_all"],
  ["createQosSpecs", "volume_extension:qos_specs_manage:create", { qos_specs: { name: "q" } }],
  ["showQosSpecs", "volume_extension:qos_specs_manage:get"],
  ["updateQosSpecs", "volume_extension:qos_specs_manage:update", { qos_specs: { a: "b" } }],
  ["associateQosSpecs disassociateQosSpecs disassociateAllQosSpecs", "volume_extension:qos_specs_manage:update"],
  ["deleteQosSpecs", "volume_extension:qos_specs_manage:delete"],
  ["deleteQosKeys", "volume_extension:qos_specs_manage:delete", { keys: ["a"] }],

  ["createGroupType", "group:group_types:create", { group_type: { name: "g" } }],
  ["updateGroupType", "group:group_types:update", { group_type: { name: "g" } }],
  ["deleteGroupType", "group:group_types:delete"],
  ["listGroupSpecs", "group:group_types_specs:get_all"],
  ["setGroupSpecs", "group:group_types_specs:create", groupSpecs],
  ["showGroupSpec", "group:group_types_specs:get"],
  ["setGroupSpec", "group:group_types_specs:update", { key: "b" }],
  ["deleteGroupSpec", "group:group_types_specs:delete"],

  ["listTransfers listTransfersDetailed listOldTransfers listOldTransfersDetailed", "volume:get_all_transfers"],
  [
    "createTransfer createTransferWithSnapshots createOldTransfer",
    "volume:create_transfer",
    { transfer: { volume_id: "{volume_id}" } },
  ],
  ["showTransfer showOldTransfer", "volume:get_transfer"],
  ["deleteTransfer deleteOldTransfer", "volume:delete_transfer"],
  ["acceptTransfer acceptOldTransfer", "volume:accept_transfer", { accept: { auth_key: "k" } }],

  ["showQuotaSet showQuotaDefaults", "volume_extension:quotas:show"],
  ["updateQuotaSet", "volume_extension:quotas:update", { quota_set: { volumes: 1 } }],
  ["deleteQuotaSet", "volume_extension:quotas:delete"],
  ["showQuotaClassSet", "volume_extension:quota_classes:get"],
  ["updateQuotaClassSet", "volume_extension:quota_classes:update", { quota_class_set: { volumes: 1 } }],

  ["listServices", "volume_extension:services:index"],
  ["enableService disableService", "volume_extension:services:update", service],
  ["disableServiceWithReason", "volume_extension:services:update", { ...service, disabled_reason: "r" }],
  ["getServiceLogs", "volume_extension:services:index", {}],
  ["setServiceLogs", "volume_extension:services:update", { level: "info" }],
  ["freezeService", "volume:freeze_host", { host }],
  ["thawService", "volume:thaw_host", { host }],
  ["failoverHost failoverService", "volume:failover_host", { host, backend_id: "b" }],
  ["listHosts showHost", "volume_extension:hosts"],
  ["updateHost", "volume_extension:hosts", { status: "enable" }],
  ["listPools", "scheduler_extension:scheduler_stats:get_pools"],
  ["showCapabilities", "volume_extension:capabilities"],
  ["listClusters listClustersDetailed", "clusters:get_all"],
  ["showCluster", "clusters:get"],
  ["enableCluster updateCluster", "clusters:update", { name: "c", binary: "cinder-volume" }],
  ["cleanUpWorkers", "workers:cleanup", {}],
  [
    "listManageableVolumes listManageableVolumesDetailed listOldManageableVolumes listOldManageableVolumesDetailed",
    "volume_extension:list_manageable",
  ],
  ["manageVolume manageVolumeInCluster manageOldVolume manageOldVolumeInCluster", "volume_extension:volume_manage", manage],
  [
    "listManageableSnapshots listManageableSnapshotsDetailed listOldManageableSnapshots listOldManageableSnapshotsDetailed",
    "snapshot_extension:list_manageable",
  ],
  [
    "manageSnapshot manageOldSnapshot",
    "snapshot_extension:snapshot_manage",
    { snapshot: { volume_id: "{volume_id}", ref: { "source-name": "x" } } },
  ],

  ["listMessages", "message:get_all"],
  ["showMessage", "message:get"],
  ["deleteMessage", "message:delete"],
];

/** For anybody with a token (rows are limited to the own project), or without one. */
const withoutRule = new Set([
  ...["listVersions", "getHealthcheck", "getMetrics", "showVersion"],
  ...["listExtensions", "showExtension", "listResourceFilters", "listAvailabilityZones"],
  ...["listAttachments", "listAttachmentsDetailed", "showAttachment"],
  ...["listGroupTypes", "showGroupType"],
  "showLimits", // its rule decides fields; see the test of fields
]);

test("every operation asks its rule", async (t) => {
  const policy = new RulePolicy();
  const api = await openApi(t, { policy });
  const ids = await makeRecords(api);
  const fill = (text: string): string => text.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? "key");
  const seen = new Set(withoutRule);
  for (const [operationIds, rule, body] of rows) {
    policy.setRules(makeRules({ overrides: new Map([[rule, "!"]]) }));
    for (const operationId of operationIds.split(" ")) {
      seen.add(operationId);
      const operation = api.document.operations.find(({ id }) => id === operationId);
      assert.ok(operation !== undefined, `there is no operation ${operationId}`);
      const { method, path, sinceMinor } = operation;
      const query = path.endsWith("ociate")
        ? "?vol_type_id=key"
        : path.includes("manage") && method === "GET"
          ? `?host=${host}`
          : "";
      const sent =
        body === undefined ? {} : { body: fill(JSON.stringify(body)), headers: { "content-type": "application/json" } };
      const reply = await api.call(method, fill(path).replace("/v3/", "/v3/demo/") + query, {
        version: `3.${sinceMinor}`,
        ...sent,
      });
      const message = `Policy doesn't allow ${rule} to be performed.`;
      assert.deepEqual(reply.json, { forbidden: { code: 403, message } }, operationId);
    }
  }
  const missing = api.document.operations.map(({ id }) => id).filter((id) => !seen.has(id));
  assert.deepEqual(missing, [], "operations that are not in the table");
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
  const specs = { volume_backend_name: "nowhere" };
  const type = await api.expect(200, "POST", "/types", { body: { volume_type: { name: "odd", extra_specs: specs } } });
  await volume({ volume_type: "odd" });
  const messages = itemsAt(await api.expect(200, "GET", "/messages", { version }), "messages");
  return {
    volume_id: volumeId,
    snapshot_id: textAt(snapshot, "snapshot", "id"),
    attachment_id: textAt(attachment, "attachment", "id"),
    transfer_id: textAt(transfer, "transfer", "id"),
    type_id: textAt(type, "volume_type", "id"),
    message_id: textAt(messages[0], "id"),
    host_name: host,
    target_project_id: "demo",
  };
}

test("fields are shown and left out as their rules say", async (t) => {
  const policy = new RulePolicy();
  const api = await openApi(t, { policy });
  const ids = await makeRecords(api);
  await api.expect(200, "POST", `/volumes/${ids["volume_id"]}/action`, { body: { "os-set_image_metadata": metadata } });
  const cases: readonly (readonly [PolicyRule, string, readonly string[], readonly string[]])[] = [
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
      const shown = await api.expect(200, "GET", `/${path.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? "")}`);
      return Object.keys(where.reduce((inner, key) => inner[key]!, shown));
    };
    const [open, closed] = [await keysUnder("@"), await keysUnder("!")];
    assert.deepEqual(open.filter((key) => !closed.includes(key)).sort(), [...fields].sort(), rule);
  }
});
