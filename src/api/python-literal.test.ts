// Python literals in query strings: what is read, and that nothing is ever evaluated or thrown.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { asTextRecord, parsePythonLiteral } from "./python-literal.ts";
import { formatPython } from "./schema-errors.ts";

const records: readonly (readonly [string, Record<string, string> | undefined])[] = [
  ["{'a': 'b'}", { a: "b" }],
  ['{"a":"b"}', { a: "b" }],
  ["{u'key1': u'value1', 'k2':'v2',}", { key1: "value1", k2: "v2" }],
  ["{}", {}],
  ["{'n': 1, 'f': 1.5, 't': True, 'x': None}", { n: "1", f: "1.5", t: "True", x: "None" }],
  ["{'it\\'s': 'a\\\\b'}", { "it's": "a\\b" }],
  ["{'\\u00e9': '\\xfc'}", { é: "ü" }],
  ["{'é': '日本'}", { é: "日本" }],
  ["{'__proto__': 'x'}", Object.fromEntries([["__proto__", "x"]])],
  ["{'a': ['b']}", undefined],
  ["['a']", undefined],
  ["{'a', 'b'}", undefined],
  ["{'a': 'b'", undefined],
  ["{'a' 'b'}", undefined],
  ["{'a': 'b'} x", undefined],
  ["__import__('os')", undefined],
  ["", undefined],
];

for (const [text, expected] of records) {
  test(`${JSON.stringify(text)} is ${expected === undefined ? "no dictionary of texts" : "a dictionary"}`, () => {
    assert.deepEqual(asTextRecord(parsePythonLiteral(text)), expected);
  });
}

test("lists, tuples and sets are sequences", () => {
  assert.deepEqual(parsePythonLiteral("['a', 2, (True, None), {'x'}]"), ["a", 2, [true, null], ["x"]]);
});

test("numbers are read with sign, point and exponent", () => {
  assert.deepEqual(parsePythonLiteral("[1, -2, +3.5, 1_000, 2e3]"), [1, -2, 3.5, 1000, 2000]);
});

test("a deep or a long text is no literal, and costs little", () => {
  assert.equal(parsePythonLiteral("[".repeat(9000)), undefined);
  assert.equal(parsePythonLiteral(`'${"x".repeat(20_000)}'`), undefined);
});

test("what is written as Python is read back", () => {
  const text = fc.string({ maxLength: 40 }).filter((value) => !/[\n\r]/.test(value));
  fc.assert(
    fc.property(fc.dictionary(text, text, { maxKeys: 5, noNullPrototype: true }), (record) => {
      const written = formatPython(
        Object.fromEntries(Object.entries(record).map(([key, value]) => [`k${key.replace(/['\\]/g, "")}`, value])),
      );
      if (written.endsWith("...")) return;
      const read = asTextRecord(parsePythonLiteral(written));
      assert.deepEqual(
        read,
        Object.fromEntries(Object.entries(record).map(([key, value]) => [`k${key.replace(/['\\]/g, "")}`, value])),
      );
    }),
  );
});

test("no text makes the reader throw", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200, unit: fc.constantFrom(..."{}[]()'\",: \\xuU1.eTrueNone") }), (text) => {
      parsePythonLiteral(text);
    }),
  );
});
