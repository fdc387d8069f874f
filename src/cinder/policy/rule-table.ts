// Cinder's policy rules: their names, verbatim, and who may do what by default. Three kinds of checks cover all of them but
// the base rules. Rules of operations that Andiron has not yet are here too: operators' files name them.
//
// The legacy checks are what a rule says besides while [oslo_policy] enforce_new_defaults is off: then, as before secure RBAC,
// any role of the project will do.

/** What the others are made of. */
const baseRules = {
  admin_or_owner: "is_admin:True or (role:admin and is_admin_project:True) or project_id:%(project_id)s",
  system_or_domain_or_project_admin:
    "(role:admin and system_scope:all) or (role:admin and domain_id:%(domain_id)s) or (role:admin and project_id:%(project_id)s)",
  context_is_admin: "role:admin",
  admin_api: "is_admin:True or (role:admin and is_admin_project:True)",
  xena_system_admin_or_project_reader: "(role:admin) or (role:reader and project_id:%(project_id)s)",
  xena_system_admin_or_project_member: "(role:admin) or (role:member and project_id:%(project_id)s)",
} as const;

/** For administrators. */
const adminRules = [
  "clusters:get_all",
  "clusters:get",
  "clusters:update",
  "workers:cleanup",
  "volume_extension:snapshot_admin_actions:reset_status",
  "volume_extension:snapshot_admin_actions:force_delete",
  "snapshot_extension:list_manageable",
  "snapshot_extension:snapshot_manage",
  "snapshot_extension:snapshot_unmanage",
  "backup:backup_project_attribute",
  "backup:backup-import",
  "backup:export-import",
  "volume_extension:backup_admin_actions:reset_status",
  "volume_extension:backup_admin_actions:force_delete",
  "group:group_project_attribute",
  "group:group_types:create",
  "group:group_types:update",
  "group:group_types:delete",
  "group:access_group_types_specs",
  "group:group_types_specs:get",
  "group:group_types_specs:get_all",
  "group:group_types_specs:create",
  "group:group_types_specs:update",
  "group:group_types_specs:delete",
  "group:group_snapshot_project_attribute",
  "group:reset_group_snapshot_status",
  "group:reset_status",
  "volume_extension:qos_specs_manage:get_all",
  "volume_extension:qos_specs_manage:get",
  "volume_extension:qos_specs_manage:create",
  "volume_extension:qos_specs_manage:update",
  "volume_extension:qos_specs_manage:delete",
  "volume_extension:quota_classes:get",
  "volume_extension:quota_classes:update",
  "volume_extension:quotas:update",
  "volume_extension:quotas:delete",
  "volume_extension:capabilities",
  "volume_extension:services:index",
  "volume_extension:services:update",
  "volume:freeze_host",
  "volume:thaw_host",
  "volume:failover_host",
  "scheduler_extension:scheduler_stats:get_pools",
  "volume_extension:hosts",
  "volume_extension:list_manageable",
  "volume_extension:volume_manage",
  "volume_extension:volume_unmanage",
  "volume_extension:type_create",
  "volume_extension:type_update",
  "volume_extension:type_delete",
  "volume_extension:access_types_qos_specs_id",
  "volume_extension:volume_type_encryption",
  "volume_extension:volume_type_encryption:create",
  "volume_extension:volume_type_encryption:get",
  "volume_extension:volume_type_encryption:update",
  "volume_extension:volume_type_encryption:delete",
  "volume_extension:volume_type_access:addProjectAccess",
  "volume_extension:volume_type_access:removeProjectAccess",
  "volume_extension:volume_type_access:get_all_for_type",
  "volume_extension:volume_admin_actions:extend_volume_completion",
  "volume_extension:volume_admin_actions:reset_status",
  "volume_extension:volume_admin_actions:force_delete",
  "volume_extension:volume_actions:upload_public",
  "volume_extension:volume_admin_actions:force_detach",
  "volume_extension:volume_admin_actions:migrate_volume",
  "volume_extension:volume_admin_actions:migrate_volume_completion",
  "volume:update_volume_admin_metadata",
  "volume_extension:types_extra_specs:create",
  "volume_extension:types_extra_specs:read_sensitive",
  "volume_extension:types_extra_specs:update",
  "volume_extension:types_extra_specs:delete",
  "volume:force_delete",
  "volume_extension:volume_host_attribute",
  "volume_extension:volume_mig_status_attribute",
  "volume_extension:default_set_or_update",
  "volume_extension:default_get",
  "volume_extension:default_get_all",
  "volume_extension:default_unset",
] as const;

/** For members of the project, and administrators. */
const memberRules = [
  "volume:attachment_create",
  "volume:attachment_update",
  "volume:attachment_delete",
  "volume:attachment_complete",
  "volume:multiattach_bootable_volume",
  "message:delete",
  "volume:update_snapshot_metadata",
  "volume:delete_snapshot_metadata",
  "volume:create_snapshot",
  "volume:update_snapshot",
  "volume:delete_snapshot",
  "snapshot_extension:snapshot_actions:update_snapshot_status",
  "backup:create",
  "backup:update",
  "backup:delete",
  "backup:restore",
  "group:create",
  "group:update",
  "group:create_group_snapshot",
  "group:delete_group_snapshot",
  "group:update_group_snapshot",
  "group:delete",
  "group:enable_replication",
  "group:disable_replication",
  "group:failover_replication",
  "group:list_replication_targets",
  "volume_extension:volume_type_access",
  "volume:extend",
  "volume:extend_attached_volume",
  "volume:revert_to_snapshot",
  "volume:retype",
  "volume:update_readonly_flag",
  "volume_extension:volume_actions:upload_image",
  "volume_extension:volume_actions:initialize_connection",
  "volume_extension:volume_actions:terminate_connection",
  "volume_extension:volume_actions:roll_detaching",
  "volume_extension:volume_actions:reserve",
  "volume_extension:volume_actions:unreserve",
  "volume_extension:volume_actions:begin_detaching",
  "volume_extension:volume_actions:attach",
  "volume_extension:volume_actions:detach",
  "volume:reimage",
  "volume:reimage_reserved",
  "volume:create_transfer",
  "volume:accept_transfer",
  "volume:delete_transfer",
  "volume:create_volume_metadata",
  "volume:update_volume_metadata",
  "volume:delete_volume_metadata",
  "volume_extension:volume_image_metadata:set",
  "volume_extension:volume_image_metadata:remove",
  "volume:create",
  "volume:create_from_image",
  "volume:update",
  "volume:delete",
  "volume:multiattach",
] as const;

/** For readers of the project, and administrators. */
const readerRules = [
  "message:get_all",
  "message:get",
  "volume:get_snapshot_metadata",
  "volume:get_all_snapshots",
  "volume_extension:extended_snapshot_attributes",
  "volume:get_snapshot",
  "backup:get_all",
  "backup:get",
  "group:get_all",
  "group:get",
  "group:get_all_group_snapshots",
  "group:get_group_snapshot",
  "volume_extension:quotas:show",
  "limits_extension:used_limits",
  "volume_extension:type_get",
  "volume_extension:type_get_all",
  "volume_extension:access_types_extra_specs",
  "volume:get_all_transfers",
  "volume:get_transfer",
  "volume:get_volume_metadata",
  "volume_extension:volume_image_metadata:show",
  "volume_extension:types_extra_specs:index",
  "volume_extension:types_extra_specs:show",
  "volume:get",
  "volume:get_all",
  "volume_extension:volume_tenant_attribute",
  "volume_extension:volume_encryption_metadata",
] as const;

/** Before secure RBAC: for anybody with a role in any project. */
const onceForAnybody: ReadonlySet<string> = new Set<PolicyRule>([
  "volume:attachment_create",
  "snapshot_extension:snapshot_actions:update_snapshot_status",
  "backup:create",
  "group:create",
  "group:create_group_snapshot",
  "volume_extension:type_get",
  "volume_extension:type_get_all",
  "volume:accept_transfer",
  "volume_extension:types_extra_specs:index",
  "volume_extension:types_extra_specs:show",
  "volume:create",
  "volume:create_from_image",
]);

/** Before secure RBAC: the same as now, or stricter. */
const neverForOwners: ReadonlySet<string> = new Set<PolicyRule>([
  "volume:reimage",
  "volume:reimage_reserved",
  "volume_extension:access_types_extra_specs",
]);

const onceForProjectAdmins: ReadonlySet<string> = new Set<PolicyRule>([
  "volume_extension:default_set_or_update",
  "volume_extension:default_get",
  "volume_extension:default_unset",
]);

export type PolicyRule =
  | keyof typeof baseRules
  | (typeof adminRules)[number]
  | (typeof memberRules)[number]
  | (typeof readerRules)[number];

/** The check of every rule, by its name. */
export const defaultChecks: ReadonlyMap<PolicyRule, string> = new Map<PolicyRule, string>([
  ...(Object.entries(baseRules) as [keyof typeof baseRules, string][]),
  ...adminRules.map((name): [PolicyRule, string] => [name, "rule:admin_api"]),
  ...memberRules.map((name): [PolicyRule, string] => [name, "rule:xena_system_admin_or_project_member"]),
  ...readerRules.map((name): [PolicyRule, string] => [name, "rule:xena_system_admin_or_project_reader"]),
]);

const projectRules: ReadonlySet<string> = new Set([...memberRules, ...readerRules]);

/** What a rule also allowed before secure RBAC; undefined when nothing more than now. */
export function legacyCheck(name: PolicyRule): string | undefined {
  if (onceForAnybody.has(name)) return "@";
  if (onceForProjectAdmins.has(name)) return "rule:system_or_domain_or_project_admin";
  if (name === "volume_extension:default_get_all") return "role:admin and system_scope:all";
  return projectRules.has(name) && !neverForOwners.has(name) ? "rule:admin_or_owner" : undefined;
}
