// Who may do what, as a port: the services name Cinder's rule and its target, an implementation (policy/rule-policy.ts) says
// yes or throws. Which rule is asked where stands with the verbs; what a rule says by default, in policy/rule-table.ts.

import type { RequestContext } from "./context.ts";
import type { PolicyRule } from "./policy/rule-table.ts";

export type { PolicyRule } from "./policy/rule-table.ts";

export interface PolicyTarget {
  readonly projectId: string;
  readonly userId?: string;
  readonly domainId?: string;
}

/** Whether fields are shown: no refusal, they are just left out. */
export interface FieldPolicy {
  allows(context: RequestContext, rule: PolicyRule, target: PolicyTarget): boolean;
}

export interface Policy extends FieldPolicy {
  /** Throws a "forbidden" CinderFault with Cinder's sentence unless the rule lets the caller do this to the target. */
  enforce(context: RequestContext, rule: PolicyRule, target: PolicyTarget): void;
}

/** For what is of no project, Cinder asks about the caller's own. */
export function ownTarget(context: RequestContext): PolicyTarget {
  return { projectId: context.projectId, userId: context.userId };
}
