// The operations of Cinder's API v3 up to microversion 3.71, served here or not: what docs/api-coverage.md and its check compare
// openapi.yaml with. Names of parameters mean nothing here. Written down from Cinder's API reference, not from openapi.yaml.

/** By area: method, path below /v3 (with # and the key of a body action), and the first microversion when it is not 3.0. */
const areas: Readonly<Record<string, string>> = {
  Versions: `
    GET /
    GET /v3/
  `,
  Extensions: `
    GET /extensions
    GET /extensions/{alias}
  `,
  Limits: `
    GET /limits
  `,
  Volumes: `
    GET /volumes
    GET /volumes/detail
    GET /volumes/summary 3.12
    POST /volumes
    GET /volumes/{id}
    PUT /volumes/{id}
    DELETE /volumes/{id}
    POST /volumes/{id}/metadata
    GET /volumes/{id}/metadata
    PUT /volumes/{id}/metadata
    GET /volumes/{id}/metadata/{key}
    PUT /volumes/{id}/metadata/{key}
    DELETE /volumes/{id}/metadata/{key}
    GET /volumes/{id}/encryption
    GET /volumes/{id}/encryption/{key}
  `,
  "Actions of volumes": `
    POST /volumes/{id}/action#os-extend
    POST /volumes/{id}/action#os-extend_volume_completion
    POST /volumes/{id}/action#revert 3.40
    POST /volumes/{id}/action#os-reset_status
    POST /volumes/{id}/action#os-retype
    POST /volumes/{id}/action#os-migrate_volume
    POST /volumes/{id}/action#os-migrate_volume_completion
    POST /volumes/{id}/action#os-force_delete
    POST /volumes/{id}/action#os-force_detach
    POST /volumes/{id}/action#os-update_readonly_flag
    POST /volumes/{id}/action#os-set_bootable
    POST /volumes/{id}/action#os-volume_upload_image
    POST /volumes/{id}/action#os-reimage 3.68
    POST /volumes/{id}/action#os-reserve
    POST /volumes/{id}/action#os-unreserve
    POST /volumes/{id}/action#os-begin_detaching
    POST /volumes/{id}/action#os-roll_detaching
    POST /volumes/{id}/action#os-attach
    POST /volumes/{id}/action#os-detach
    POST /volumes/{id}/action#os-initialize_connection
    POST /volumes/{id}/action#os-terminate_connection
    POST /volumes/{id}/action#os-set_image_metadata
    POST /volumes/{id}/action#os-show_image_metadata
    POST /volumes/{id}/action#os-unset_image_metadata
    POST /volumes/{id}/action#os-unmanage
  `,
  Snapshots: `
    GET /snapshots
    GET /snapshots/detail
    POST /snapshots
    GET /snapshots/{id}
    PUT /snapshots/{id}
    DELETE /snapshots/{id}
    GET /snapshots/{id}/metadata
    POST /snapshots/{id}/metadata
    PUT /snapshots/{id}/metadata
    GET /snapshots/{id}/metadata/{key}
    PUT /snapshots/{id}/metadata/{key}
    DELETE /snapshots/{id}/metadata/{key}
    POST /snapshots/{id}/action#os-reset_status
    POST /snapshots/{id}/action#os-force_delete
    POST /snapshots/{id}/action#os-unmanage
    POST /snapshots/{id}/action#os-update_snapshot_status
  `,
  Backups: `
    GET /backups
    GET /backups/detail
    POST /backups
    GET /backups/{id}
    PUT /backups/{id} 3.9
    DELETE /backups/{id}
    POST /backups/{id}/restore
    GET /backups/{id}/export_record
    POST /backups/import_record
    POST /backups/{id}/action#os-reset_status
    POST /backups/{id}/action#os-force_delete
  `,
  Attachments: `
    GET /attachments 3.27
    GET /attachments/detail 3.27
    POST /attachments 3.27
    GET /attachments/{id} 3.27
    PUT /attachments/{id} 3.27
    DELETE /attachments/{id} 3.27
    POST /attachments/{id}/action#os-complete 3.44
  `,
  Types: `
    GET /types
    POST /types
    GET /types/default
    GET /types/{id}
    PUT /types/{id}
    DELETE /types/{id}
    GET /types/{id}/extra_specs
    POST /types/{id}/extra_specs
    GET /types/{id}/extra_specs/{key}
    PUT /types/{id}/extra_specs/{key}
    DELETE /types/{id}/extra_specs/{key}
    GET /types/{id}/os-volume-type-access
    POST /types/{id}/action#addProjectAccess
    POST /types/{id}/action#removeProjectAccess
    GET /types/{id}/encryption
    POST /types/{id}/encryption
    GET /types/{id}/encryption/{key}
    PUT /types/{id}/encryption/{key}
    DELETE /types/{id}/encryption/{key}
  `,
  "Default types": `
    GET /default-types 3.62
    GET /default-types/{project} 3.62
    PUT /default-types/{project} 3.62
    DELETE /default-types/{project} 3.62
  `,
  "Quality of service": `
    GET /qos-specs
    POST /qos-specs
    GET /qos-specs/{id}
    PUT /qos-specs/{id}
    DELETE /qos-specs/{id}
    PUT /qos-specs/{id}/delete_keys
    GET /qos-specs/{id}/associations
    GET /qos-specs/{id}/associate
    GET /qos-specs/{id}/disassociate
    GET /qos-specs/{id}/disassociate_all
  `,
  "Group types": `
    GET /group_types 3.11
    POST /group_types 3.11
    GET /group_types/{id} 3.11
    PUT /group_types/{id} 3.11
    DELETE /group_types/{id} 3.11
    GET /group_types/{id}/group_specs 3.11
    POST /group_types/{id}/group_specs 3.11
    GET /group_types/{id}/group_specs/{key} 3.11
    PUT /group_types/{id}/group_specs/{key} 3.11
    DELETE /group_types/{id}/group_specs/{key} 3.11
  `,
  Groups: `
    GET /groups 3.13
    GET /groups/detail 3.13
    POST /groups 3.13
    GET /groups/{id} 3.13
    PUT /groups/{id} 3.13
    POST /groups/action#create-from-src 3.14
    POST /groups/{id}/action#delete 3.13
    POST /groups/{id}/action#reset_status 3.20
    POST /groups/{id}/action#enable_replication 3.38
    POST /groups/{id}/action#disable_replication 3.38
    POST /groups/{id}/action#failover_replication 3.38
    POST /groups/{id}/action#list_replication_targets 3.38
  `,
  "Group snapshots": `
    GET /group_snapshots 3.14
    GET /group_snapshots/detail 3.14
    POST /group_snapshots 3.14
    GET /group_snapshots/{id} 3.14
    DELETE /group_snapshots/{id} 3.14
    POST /group_snapshots/{id}/action#reset_status 3.19
  `,
  "Consistency groups": `
    GET /consistencygroups
    GET /consistencygroups/detail
    POST /consistencygroups
    GET /consistencygroups/{id}
    PUT /consistencygroups/{id}
    DELETE /consistencygroups/{id}
    POST /consistencygroups/create_from_src
    POST /consistencygroups/{id}/delete
    PUT /consistencygroups/{id}/update
    GET /cgsnapshots
    GET /cgsnapshots/detail
    POST /cgsnapshots
    GET /cgsnapshots/{id}
    DELETE /cgsnapshots/{id}
  `,
  Quotas: `
    GET /os-quota-sets/{project}
    PUT /os-quota-sets/{project}
    DELETE /os-quota-sets/{project}
    GET /os-quota-sets/{project}/defaults
    GET /os-quota-class-sets/{class}
    PUT /os-quota-class-sets/{class}
  `,
  Services: `
    GET /os-services
    PUT /os-services/enable
    PUT /os-services/disable
    PUT /os-services/disable-log-reason
    PUT /os-services/freeze
    PUT /os-services/thaw
    PUT /os-services/failover_host
    PUT /os-services/failover 3.26
    PUT /os-services/get-log 3.32
    PUT /os-services/set-log 3.32
  `,
  Hosts: `
    GET /os-hosts
    GET /os-hosts/{host}
    PUT /os-hosts/{host}
  `,
  Clusters: `
    GET /clusters 3.7
    GET /clusters/detail 3.7
    GET /clusters/{name} 3.7
    PUT /clusters/enable 3.7
    PUT /clusters/disable 3.7
  `,
  Workers: `
    POST /workers/cleanup 3.24
  `,
  Pools: `
    GET /scheduler-stats/get_pools
  `,
  Capabilities: `
    GET /capabilities/{host}
  `,
  "Availability zones": `
    GET /os-availability-zone
  `,
  Messages: `
    GET /messages 3.3
    GET /messages/{id} 3.3
    DELETE /messages/{id} 3.3
  `,
  "Resource filters": `
    GET /resource_filters 3.33
  `,
  Transfers: `
    GET /os-volume-transfer
    GET /os-volume-transfer/detail
    POST /os-volume-transfer
    GET /os-volume-transfer/{id}
    POST /os-volume-transfer/{id}/accept
    DELETE /os-volume-transfer/{id}
    GET /volume-transfers
    GET /volume-transfers/detail
    POST /volume-transfers
    GET /volume-transfers/{id}
    POST /volume-transfers/{id}/accept
    DELETE /volume-transfers/{id}
  `,
  "Manageable volumes and snapshots": `
    GET /manageable_volumes 3.8
    GET /manageable_volumes/detail 3.8
    POST /manageable_volumes 3.8
    GET /os-volume-manage
    GET /os-volume-manage/detail
    POST /os-volume-manage
    GET /manageable_snapshots 3.8
    GET /manageable_snapshots/detail 3.8
    POST /manageable_snapshots 3.8
    GET /os-snapshot-manage
    GET /os-snapshot-manage/detail
    POST /os-snapshot-manage
  `,
};

/** Why an operation is not served: by area, path or key of an action. A reason that is not needed any more is a finding. */
export const lacks: Readonly<Record<string, string>> = {};

export interface CinderOperation {
  readonly area: string;
  readonly method: string;
  /** Below /v3, as the list has it. */
  readonly path: string;
  readonly action: string | undefined;
  readonly since: string;
}

export const cinderOperations: readonly CinderOperation[] = Object.entries(areas).flatMap(([area, text]) =>
  text
    .trim()
    .split("\n")
    .map((line): CinderOperation => {
      const [method = "", where = "", since = "3.0"] = line.trim().split(" ");
      const [path = "", action] = where.split("#");
      return { area, method, path, action, since };
    }),
);
