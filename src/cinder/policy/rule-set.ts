// A complete set of rules: the defaults, with an operator's over them. Made whole or not at all: a set with an unreadable
// check, a reference to a rule that is not there, or rules that ask each other in a circle is refused.

import { anyOf, type Check, type Question, type Rules } from "./check.ts";
import { type CheckSource, type ParsedCheck, parseCheck, PolicyProblem } from "./check-parser.ts";
import { defaultChecks, legacyCheck, type PolicyRule } from "./rule-table.ts";

export interface RuleSetOptions {
  /** The operator's rules by name. Names of rules that are not Cinder's may be used by others. */
  readonly overrides?: ReadonlyMap<string, CheckSource>;
  /** Also allow what was allowed before secure RBAC, by rules that are not overridden. */
  readonly withLegacy?: boolean;
}

/** Throws PolicyProblem that names the rule. */
export function makeRules({ overrides = new Map(), withLegacy = false }: RuleSetOptions = {}): Rules {
  const parsed = new Map<string, ParsedCheck>();
  for (const [name, source] of defaultChecks) {
    const legacy = withLegacy ? legacyCheck(name) : undefined;
    const alternatives = [source, ...(legacy === undefined ? [] : [legacy])].map((text) => parseNamed(name, text));
    parsed.set(name, {
      check: alternatives.length === 1 ? alternatives[0]!.check : anyOf(alternatives.map(({ check }) => check)),
      uses: alternatives.flatMap(({ uses }) => uses),
    });
  }
  for (const [name, source] of overrides) parsed.set(name, parseNamed(name, source));
  checkReferences(parsed);
  return new Map([...parsed].map(([name, { check }]): [string, Check] => [name, check]));
}

export function askRule(rule: PolicyRule, question: Question): boolean {
  return question.rules.get(rule)?.(question) ?? false;
}

function parseNamed(name: string, source: CheckSource): ParsedCheck {
  try {
    return parseCheck(source);
  } catch (cause) {
    if (!(cause instanceof PolicyProblem)) throw cause;
    throw new PolicyProblem(`the rule "${name}" ${cause.message}`, { cause });
  }
}

/** Depth first: a rule that is met again while it is being looked at asks itself. */
function checkReferences(parsed: ReadonlyMap<string, ParsedCheck>): void {
  const settled = new Set<string>();
  const visit = (name: string, above: readonly string[]): void => {
    if (above.includes(name)) throw new PolicyProblem(`the rule "${name}" refers to itself: ${[...above, name].join(" > ")}`);
    if (settled.has(name)) return;
    for (const used of parsed.get(name)!.uses) {
      if (!parsed.has(used)) throw new PolicyProblem(`the rule "${name}" refers to "${used}", which is no rule`);
      visit(used, [...above, name]);
    }
    settled.add(name);
  };
  for (const name of parsed.keys()) visit(name, []);
}
