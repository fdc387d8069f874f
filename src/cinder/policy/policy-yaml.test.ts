// Policy files: what is read from them, and what is refused with its line.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PolicyProblem } from "./check-parser.ts";
import { parsePolicyFile } from "./policy-yaml.ts";

const read = (...lines: readonly string[]): Record<string, unknown> => Object.fromEntries(parsePolicyFile(lines.join("\n")));

const good: readonly (readonly [string, readonly string[], Record<string, unknown>])[] = [
  ["nothing", [], {}],
  ["comments only", ["# a: b", "", "  # c", "---"], {}],
  [
    "quoted",
    ['"volume:get": "rule:a or role:b"', "'volume:update': 'it''s'"],
    { "volume:get": "rule:a or role:b", "volume:update": "it's" },
  ],
  [
    "plain",
    ["volume:get: rule:a or role:b  # why", "x: project_id:%(project_id)s"],
    { "volume:get": "rule:a or role:b", x: "project_id:%(project_id)s" },
  ],
  ["an empty text", ['a: ""', "b: ''"], { a: "", b: "" }],
  ["signs", ['a: "!"', "b: '@'"], { a: "!", b: "@" }],
  [
    "several lines, quoted",
    ['a: "rule:b or', "   rule:c", '   or rule:d" # end', "e: x:y"],
    { a: "rule:b or rule:c or rule:d", e: "x:y" },
  ],
  ["several lines, plain", ["a: rule:b", "  or rule:c", "d:", "  rule:e"], { a: "rule:b or rule:c", d: "rule:e" }],
  ["blocks", ["a: >-", "  rule:b or", "  rule:c", "", "d: |", "  rule:e"], { a: "rule:b or rule:c", d: "rule:e" }],
  [
    "flow lists",
    ["a: []", "b: [\"role:x\", [role:y, 'role:z']]", "c: [", "  role:x,", "  role:y ]"],
    { a: [], b: ["role:x", ["role:y", "role:z"]], c: ["role:x", "role:y"] },
  ],
  [
    "block lists",
    ["a:", "  - role:x", '  - ["role:y", "role:z"]', "b:", "- - role:x", "  - role:y", "- role:z"],
    { a: ["role:x", ["role:y", "role:z"]], b: [["role:x", "role:y"], "role:z"] },
  ],
  ["JSON", ['{"a": "role:x",', ' "b": [["role:y"]]}'], { a: "role:x", b: [["role:y"]] }],
  ["carriage returns", ["a: x:y\r", "b: z:w\r"], { a: "x:y", b: "z:w" }],
];

for (const [title, lines, expected] of good) test(`${title} is read`, () => assert.deepEqual(read(...lines), expected));

const bad: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["an unquoted !", ["", "a: !"], /line 2 has !, which has to be quoted/],
  ["an unquoted @", ["a: @"], /line 1 has @/],
  ["an alias", ["a: *b"], /line 1/],
  ["an anchor", ["a: &b role:x"], /line 1/],
  ["a tag", ["a: !!str x"], /line 1/],
  ["no value", ["a:", "b: x"], /line 1 gives the rule "a" no value/],
  ["no name", ["just words"], /line 1 is no rule/],
  ["a name twice", ["a: x:y", '"a": x:z'], /line 2 gives the rule "a" a second time/],
  ["a map", ["a:", "  b: c"], /line 2/],
  ["a flow map", ["a: {b: c}"], /line 1/],
  ["a quotation without an end", ['a: "role:x', "b: y"], /line 1 has a quotation that does not end/],
  ["a list without an end", ["a: [role:x"], /line 1 has a list that does not end/],
  ["a list in a list in a list", ["a: [[[role:x]]]"], /line 1/],
  ["an indented first line", ["  a: x"], /line 1 is indented/],
  ["a tab", ["\ta: x"], /line 1/],
  ["JSON that breaks off", ['{"a": '], /is no JSON/],
  ["a number in JSON", ['{"a": 1}'], /"a" has to be text/],
];

for (const [title, lines, message] of bad) {
  test(`${title} is refused`, () => {
    assert.throws(
      () => read(...lines),
      (error) => error instanceof PolicyProblem && message.test(error.message),
    );
  });
}
