// A Policy with the default rules that remembers what it was asked. Used by test files only.

import type { RequestContext } from "../cinder/context.ts";
import type { Policy, PolicyRule, PolicyTarget } from "../cinder/policy.ts";
import { RulePolicy } from "../cinder/policy/rule-policy.ts";

export interface AskedRules {
  /** Rules that could have refused, in the order they were asked. */
  readonly enforced: readonly PolicyRule[];
  /** Rules that decided about fields. */
  readonly shown: readonly PolicyRule[];
}

export class RecordingPolicy implements Policy {
  readonly #inner = new RulePolicy();
  readonly #enforced = new Set<PolicyRule>();
  readonly #shown = new Set<PolicyRule>();

  enforce(context: RequestContext, rule: PolicyRule, target: PolicyTarget): void {
    this.#enforced.add(rule);
    this.#inner.enforce(context, rule, target);
  }

  allows(context: RequestContext, rule: PolicyRule, target: PolicyTarget): boolean {
    this.#shown.add(rule);
    return this.#inner.allows(context, rule, target);
  }

  /** What was asked since the last take(). */
  take(): AskedRules {
    const asked = { enforced: [...this.#enforced], shown: [...this.#shown] };
    this.#enforced.clear();
    this.#shown.clear();
    return asked;
  }
}
