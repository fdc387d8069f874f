// One small request for each operation of openapi.yaml, at its first microversion: what it needs to get past the check of its
// body. Names in braces stand for records and are filled in by the caller. Used by test files only.

import type { OperationFacts } from "./operations.ts";

const metadata = { metadata: { a: "b" } };
const item = { meta: { key: "b" } };
const service = { host: "{host}", binary: "cinder-volume" };
const connector = { host: "compute1" };
const encryption = { provider: "luks", control_location: "front-end", cipher: "aes-xts-plain64", key_size: 256 };
const manage = { volume: { host: "{pool}", ref: { "source-name": "{source_name}" } } };

/** By operation; several with the same body stand together. An action's key is not written down: openapi.yaml has it. */
const bodies: Readonly<Record<string, unknown>> = {
  "createVolume createVolumeStrict": { volume: { size: 1 } },
  "updateVolume updateVolumeStrict": { volume: { name: "n" } },
  "mergeVolumeMetadata replaceVolumeMetadata mergeSnapshotMetadata replaceSnapshotMetadata": metadata,
  "setVolumeMetadataItem setSnapshotMetadataItem": item,
  extendVolume: { new_size: 2 },
  "resetVolumeStatus resetSnapshotStatus resetBackupStatus": { status: "error" },
  setVolumeReadOnly: { readonly: true },
  setVolumeBootable: { bootable: true },
  revertVolume: { snapshot_id: "{snapshot_id}" },
  attachVolume: { host_name: "h", mountpoint: "/dev/vdb" },
  detachVolume: {},
  "forceDetachVolume initializeConnection terminateConnection": { connector },
  completeVolumeExtension: { error: false },
  uploadVolume: { image_name: "i", disk_format: "qcow2" },
  reimageVolume: { image_id: "{image_id}" },
  retypeVolume: { new_type: "{other_type_id}" },
  migrateVolume: { host: "{other_pool}" },
  completeVolumeMigration: { new_volume: "{other_volume_id}" },
  setImageMetadata: metadata,
  unsetImageMetadata: { key: "key" },

  createSnapshot: { snapshot: { volume_id: "{volume_id}" } },
  updateSnapshot: { snapshot: { name: "n" } },
  updateSnapshotStatus: { status: "error" },

  "createBackup createBackupWithMetadata createBackupInZone": { backup: { volume_id: "{volume_id}" } },
  "updateBackup updateBackupWithMetadata": { backup: { name: "n" } },
  restoreBackup: { restore: { name: "n" } },
  importBackup: { "backup-record": { backup_service: "{unique}", backup_url: "{backup_url}" } },

  "createAttachment createAttachmentWithMode": { attachment: { volume_uuid: "{volume_id}" } },
  updateAttachment: { attachment: { connector } },

  "createType updateType": { volume_type: { name: "{unique}" } },
  setExtraSpecs: { extra_specs: { a: "b" } },
  setExtraSpec: { key: "b" },
  "addTypeAccess removeTypeAccess": { project: "p" },
  "createTypeEncryption updateTypeEncryption": { encryption },
  setProjectDefaultType: { default_type: { volume_type: "{type_id}" } },

  createQosSpecs: { qos_specs: { name: "{unique}" } },
  updateQosSpecs: { qos_specs: { a: "b" } },
  deleteQosKeys: { keys: ["key"] },

  "createGroupType updateGroupType": { group_type: { name: "{unique}" } },
  setGroupSpecs: { group_specs: { key: "b" } },
  setGroupSpec: { key: "b" },

  createGroup: { group: { group_type: "{group_type_id}", volume_types: ["__DEFAULT__"] } },
  updateGroup: { group: { name: "{unique}" } },
  createGroupFromSource: { source_group_id: "{group_id}" },
  deleteGroup: { "delete-volumes": true },
  "resetGroupStatus resetGroupSnapshotStatus": { status: "error" },
  "enableGroupReplication disableGroupReplication failoverGroupReplication listGroupReplicationTargets": {},
  createGroupSnapshot: { group_snapshot: { group_id: "{group_id}" } },
  createConsistencyGroup: { consistencygroup: { volume_types: "__DEFAULT__" } },
  createConsistencyGroupFromSource: { "consistencygroup-from-src": { source_cgid: "{group_id}" } },
  "updateConsistencyGroup updateConsistencyGroupItem": { consistencygroup: { name: "{unique}" } },
  "deleteConsistencyGroup deleteConsistencyGroupItem": { consistencygroup: { force: true } },
  createCgsnapshot: { cgsnapshot: { consistencygroup_id: "{group_id}" } },

  "createTransfer createTransferWithSnapshots createOldTransfer": { transfer: { volume_id: "{volume_id}" } },
  "acceptTransfer acceptOldTransfer": { accept: { auth_key: "{auth_key}" } },

  updateQuotaSet: { quota_set: { volumes: 1000 } },
  updateQuotaClassSet: { quota_class_set: { volumes: 1000 } },

  "enableService disableService": service,
  disableServiceWithReason: { ...service, disabled_reason: "r" },
  "getServiceLogs cleanUpWorkers": {},
  setServiceLogs: { level: "info" },
  "freezeService thawService": { host: "{host}" },
  "failoverHost failoverService": { host: "{host}", backend_id: "b" },
  updateHost: { status: "enable" },
  "refuseServiceAction refuseClusterAction": {},
  "enableCluster updateCluster": { name: "c", binary: "cinder-volume" },
  "manageVolume manageVolumeInCluster manageOldVolume manageOldVolumeInCluster": manage,
  "manageSnapshot manageOldSnapshot": { snapshot: { volume_id: "{volume_id}", ref: { "source-name": "{source_name}" } } },
};

const bodyOf = new Map(Object.entries(bodies).flatMap(([ids, body]) => ids.split(" ").map((id) => [id, body] as const)));

const queries: Readonly<Record<string, string>> = {
  associateQosSpecs: "?vol_type_id={type_id}",
  disassociateQosSpecs: "?vol_type_id={type_id}",
  deleteQosSpecs: "?force=True",
};

export interface OperationRequest {
  readonly method: string;
  /** From the root, without the project, with its query. */
  readonly path: string;
  /** The microversion, such as "3.27". */
  readonly version: string;
  /** JSON text. */
  readonly body: string | undefined;
}

/** `fill` says what stands for a name in braces. */
export function requestOf(operation: OperationFacts, fill: (name: string) => string): OperationRequest {
  const { id, method, action, sinceMinor } = operation;
  const isManageable = method === "GET" && operation.path.includes("manage");
  const query = isManageable ? "?host={pool}" : (queries[id] ?? "");
  const given = bodyOf.get(id);
  const body = action === undefined ? given : { [action]: given ?? null };
  const filled = (text: string, encode = (value: string): string => value): string =>
    text.replaceAll(/\{(\w+)\}/g, (_, name: string) => encode(fill(name)));
  return {
    method,
    path: filled(operation.path + query, encodeURIComponent),
    version: `3.${sinceMinor}`,
    body: body === undefined ? undefined : filled(JSON.stringify(body)),
  };
}
