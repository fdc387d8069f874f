// Check strings: what they let pass, and what cannot be read.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Credentials, Target } from "./check.ts";
import { type CheckSource, PolicyProblem, parseCheck } from "./check-parser.ts";

const caller: Credentials = {
  roles: ["Member", "reader"],
  project_id: "p1",
  user_id: "u1",
  is_admin: false,
  is_admin_project: true,
  domain_id: null,
  system_scope: null,
};
const own: Target = { project_id: "p1", user_id: "u1", domain_id: undefined };

function allows(source: CheckSource, credentials = caller, target = own): boolean {
  return parseCheck(source).check({ credentials, target, rules: new Map() });
}

const cases: readonly (readonly [CheckSource, boolean])[] = [
  ["", true],
  ["  ", true],
  ["@", true],
  ["!", false],
  ["role:member", true],
  ["role:MEMBER", true],
  ["role:admin", false],
  ["project_id:%(project_id)s", true],
  ["(project_id:%(project_id)s)", true],
  ["project_id:p1", true],
  ["project_id:p2", false],
  ["user_id:%(user_id)s", true],
  ["is_admin:False", true],
  ["is_admin:false", false],
  ["is_admin_project:True", true],
  ["domain_id:None", true],
  ["domain_id:%(domain_id)s", false],
  ["project_id:%(nothing)s", false],
  ["nothing:x", false],
  ["'p1':%(project_id)s", true],
  ['"p2":%(project_id)s', false],
  ["True:True", true],
  ["rule:absent", false],
  ["not role:admin", true],
  ["not not role:admin", false],
  ["role:admin or role:reader", true],
  ["role:admin and role:reader", false],
  ["role:admin and role:x or role:reader", true],
  ["role:reader or role:admin and role:x", true],
  ["(role:reader or role:admin) and role:x", false],
  ["not role:admin and role:reader", true],
  ["not (role:admin or role:reader)", false],
  ["((role:reader))", true],
  ["role:reader AND NOT role:admin", true],
  ["roles:reader", true],
  [[], true],
  [["role:admin", "role:reader"], true],
  [[["role:admin", "role:reader"]], false],
  [[["role:admin"], ["role:reader", "project_id:%(project_id)s"]], true],
  [[[]], false],
];

for (const [source, expected] of cases) {
  test(`${JSON.stringify(source)} says ${expected ? "yes" : "no"}`, () => assert.equal(allows(source), expected));
}

for (const text of [
  "role",
  "a:b or",
  "or a:b",
  "(a:b",
  "a:b)",
  "a:b c:d",
  "not",
  ":x",
  "http://policy/x",
  "()",
  "(".repeat(99),
]) {
  test(`${JSON.stringify(text.slice(0, 20))} cannot be read`, () => assert.throws(() => parseCheck(text), PolicyProblem));
}

test("a caller of no project owns nothing", () => {
  assert.equal(allows("project_id:%(project_id)s", { ...caller, project_id: null }, { project_id: "" }), false);
});

test("any expression of and, or, not and parentheses means what the same expression of JavaScript means", () => {
  const tree = fc.letrec<{ expression: { readonly text: string; readonly value: boolean } }>((tie) => ({
    expression: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom({ text: "@", value: true }, { text: "role:reader", value: true }, { text: "!", value: false }),
      fc.tuple(tie("expression"), tie("expression")).map(([a, b]) => ({
        text: `(${a.text} and ${b.text})`,
        value: a.value && b.value,
      })),
      fc.tuple(tie("expression"), tie("expression")).map(([a, b]) => ({
        text: `( ${a.text} or ${b.text} )`,
        value: a.value || b.value,
      })),
      tie("expression").map((a) => ({ text: `not ${a.text}`, value: !a.value })),
    ),
  }));
  fc.assert(fc.property(tree.expression, ({ text, value }) => assert.equal(allows(text), value, text)));
});
