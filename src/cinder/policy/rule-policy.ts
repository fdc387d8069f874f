// The Policy that asks the rules. It can be given other rules while it serves (policy-file.ts does, when the file changes): each
// question is answered by one set of rules as a whole.

import type { Caller, RequestContext } from "../context.ts";
import { forbidden } from "../faults.ts";
import type { Policy, PolicyTarget } from "../policy.ts";
import type { Credentials, Rules, Target } from "./check.ts";
import { askRule, makeRules } from "./rule-set.ts";
import type { PolicyRule } from "./rule-table.ts";

export class RulePolicy implements Policy {
  #rules: Rules;

  constructor(rules: Rules = makeRules()) {
    this.#rules = rules;
  }

  setRules(rules: Rules): void {
    this.#rules = rules;
  }

  enforce(context: RequestContext, rule: PolicyRule, target: PolicyTarget): void {
    if (!this.allows(context, rule, target)) throw forbidden(`Policy doesn't allow ${rule} to be performed.`);
  }

  allows(context: RequestContext, rule: PolicyRule, target: PolicyTarget): boolean {
    const credentials = credentialsOf(context, context.isAdmin);
    return askRule(rule, { credentials, target: targetOf(target), rules: this.#rules });
  }

  /** What context_is_admin says of a caller, which decides RequestContext.isAdmin. */
  isAdmin(context: Omit<Caller, "isAdmin">): boolean {
    const target = targetOf({ projectId: context.projectId, userId: context.userId });
    return askRule("context_is_admin", { credentials: credentialsOf(context, false), target, rules: this.#rules });
  }
}

function credentialsOf(context: Omit<Caller, "isAdmin">, isAdmin: boolean): Credentials {
  return {
    user_id: context.userId,
    project_id: context.projectId === "" ? null : context.projectId,
    tenant: context.projectId === "" ? null : context.projectId,
    roles: context.roles,
    service_roles: context.serviceRoles,
    is_admin: isAdmin,
    is_admin_project: context.isAdminProject ?? true,
    user_domain_id: context.userDomainId ?? null,
    project_domain_id: context.projectDomainId ?? null,
    domain_id: context.domainId ?? null,
    system_scope: context.systemScope ?? null,
  };
}

function targetOf({ projectId, userId, domainId }: PolicyTarget): Target {
  return { project_id: projectId, tenant_id: projectId, user_id: userId, domain_id: domainId };
}
