// Who may do what, as a port: the services name Cinder's rule and its target, an implementation says yes or throws. Here the
// one for noauth, where everybody is an administrator by definition; Keystone's roles and policy.yaml come behind the same port.

import type { RequestContext } from "./context.ts";
import { forbidden } from "./faults.ts";

export interface PolicyTarget {
  readonly projectId: string;
  readonly userId?: string;
}

export interface Policy {
  /** Throws a "forbidden" CinderFault with Cinder's sentence unless the rule lets the caller do this to the target. */
  enforce(context: RequestContext, rule: string, target: PolicyTarget): void;
  /** The same question for fields and extra rows: no refusal, they are just not shown. */
  allows(context: RequestContext, rule: string, target: PolicyTarget): boolean;
}

/** Rules that only administrators pass, as far as the verbs of this folder name them. */
const adminRules: ReadonlySet<string> = new Set([
  "volume:force_delete",
  "volume_extension:volume_admin_actions:reset_status",
  "volume_extension:volume_admin_actions:force_delete",
  "volume_extension:volume_admin_actions:force_detach",
  "volume_extension:snapshot_admin_actions:reset_status",
  "volume_extension:snapshot_admin_actions:force_delete",
  "volume_extension:type_create",
  "volume_extension:type_update",
  "volume_extension:type_delete",
  "volume_extension:types_extra_specs:create",
  "volume_extension:types_extra_specs:update",
  "volume_extension:types_extra_specs:delete",
  "volume_extension:types_extra_specs:read_sensitive",
  "volume_extension:volume_type_access:get_all_for_type",
  "volume_extension:volume_type_access:addProjectAccess",
  "volume_extension:volume_type_access:removeProjectAccess",
  "volume_extension:quotas:update",
  "volume_extension:quotas:delete",
  "volume_extension:quota_classes:get",
  "volume_extension:quota_classes:update",
  "volume_extension:services:index",
  "volume_extension:services:update",
  "volume_extension:hosts",
  "volume_extension:capabilities",
  "scheduler_extension:scheduler_stats:get_pools",
]);

/** Administrators may do everything, everybody else everything but the rules above within the own project. */
export class OwnerPolicy implements Policy {
  enforce(context: RequestContext, rule: string, target: PolicyTarget): void {
    if (!this.allows(context, rule, target)) throw forbidden(`Policy doesn't allow ${rule} to be performed.`);
  }

  allows(context: RequestContext, rule: string, target: PolicyTarget): boolean {
    return context.isAdmin || (!adminRules.has(rule) && context.projectId === target.projectId);
  }
}
