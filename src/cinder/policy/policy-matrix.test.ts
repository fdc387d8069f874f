// All of Cinder's rules against all kinds of callers: who gets through by default. The expectation is written out by kind of
// rule, from the names, and not taken from the checks.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RequestContext } from "../context.ts";
import { RulePolicy } from "./rule-policy.ts";
import { type PolicyRule, defaultChecks } from "./rule-table.ts";

const target = { projectId: "demo", userId: "ann", domainId: "d1" };

function caller(roles: readonly string[], projectId = "demo"): RequestContext {
  const base = { requestId: "req-1", userId: "ann", projectId, roles, serviceRoles: [] };
  return { ...base, isAdmin: new RulePolicy().isAdmin(base) };
}

const callers = {
  reader: caller(["reader"]),
  member: caller(["member", "reader"]),
  admin: caller(["admin", "member", "reader"]),
  "administrator of another project": caller(["admin", "member", "reader"], "other"),
  "member of another project": caller(["member", "reader"], "other"),
  service: caller(["service"], "service"),
  "somebody with an unrelated role": caller(["other"]),
  "somebody without a role": caller([]),
  "somebody without a project": caller(["member", "reader"], ""),
} as const;
type Kind = keyof typeof callers;

const admins: readonly Kind[] = ["admin", "administrator of another project"];
const members: readonly Kind[] = [...admins, "member"];
const readers: readonly Kind[] = [...members, "reader"];
const exceptions: Readonly<Partial<Record<PolicyRule, readonly Kind[]>>> = {
  admin_or_owner: [...readers, "somebody with an unrelated role", "somebody without a role"],
  system_or_domain_or_project_admin: ["admin"],
  xena_system_admin_or_project_member: members,
  xena_system_admin_or_project_reader: readers,
};

/** Rules that only read, by their last word, and by whole names where that says nothing. */
const readingWords = /(:get|:get_all|:show|:index|_all_transfers|_transfer|_metadata|_snapshot|_snapshots|_group_snapshots)$/;
const readerRules = new Set<string>([
  "volume_extension:extended_snapshot_attributes",
  "volume_extension:volume_tenant_attribute",
  "volume_extension:volume_encryption_metadata",
  "volume_extension:access_types_extra_specs",
  "volume_extension:type_get",
  "volume_extension:type_get_all",
  "limits_extension:used_limits",
]);
const adminPatterns = [
  /^(clusters|workers):/,
  /_admin_actions:/,
  /manage(able)?\b/,
  /^volume_extension:(qos_specs_manage|quota_classes|services|hosts|capabilities|default_|volume_type_encryption)/,
  /^volume_extension:(type_(create|update|delete)|quotas:(update|delete)|access_types_qos_specs_id)/,
  /^volume_extension:types_extra_specs:(create|update|delete|read_sensitive)/,
  /^volume_extension:volume_type_access:/,
  /^volume_extension:volume_(host|mig_status)_attribute/,
  /^group:(group_types|access_group_types|reset|group_project|group_snapshot_project)/,
  /^backup:(backup_project|backup-import|export-import)/,
  /^volume:(freeze|thaw|failover)_host|^volume:(force_delete|update_volume_admin_metadata)/,
  /get_pools|upload_public|^admin_api$|^context_is_admin$/,
];

function expected(rule: PolicyRule): readonly Kind[] {
  const exception = exceptions[rule];
  if (exception !== undefined) return exception;
  if (adminPatterns.some((pattern) => pattern.test(rule))) return admins;
  const reads =
    readerRules.has(rule) || (readingWords.test(rule) && !/(create|update|delete|accept|revert)_|:(set|create)/.test(rule));
  return reads ? readers : members;
}

test("there are 167 rules", () => assert.equal(defaultChecks.size, 167));

const policy = new RulePolicy();
for (const rule of defaultChecks.keys()) {
  test(`${rule}: ${expected(rule).join(", ")}`, () => {
    const passed = Object.entries(callers)
      .filter(([, context]) => policy.allows(context, rule, target))
      .map(([kind]) => kind);
    assert.deepEqual(passed.sort(), [...expected(rule)].sort());
  });
}

test("a refusal has Cinder's sentence", () => {
  assert.throws(() => policy.enforce(callers.reader, "volume:create", target), {
    message: "Policy doesn't allow volume:create to be performed.",
  });
});

test("outside of the admin project an administrator is none for admin_api", () => {
  const outside = { ...callers.admin, isAdmin: false, isAdminProject: false };
  assert.equal(policy.allows(outside, "volume:force_delete", target), false);
});
