// The INI reader: every rule of the format, and texts at random.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ConfigEntry, parseConfigFile } from "./config-file.ts";
import { AndironError } from "./errors.ts";

const parse = (...lines: string[]): ConfigEntry[] => parseConfigFile(lines.join("\n"), "a.conf");
const show = (entries: readonly ConfigEntry[]): string[] => entries.map((entry) => `${entry.group}.${entry.name}=${entry.value}`);

test("groups, both signs of assignment, and options before any group", () => {
  const entries = parse("debug = true", "[nbd]", "port=1", "listen: ::1", "url = http://h:1/?a=b:c", "[ engine ]", "a =");
  assert.deepEqual(show(entries), [
    "DEFAULT.debug=true",
    "nbd.port=1",
    "nbd.listen=::1",
    "nbd.url=http://h:1/?a=b:c",
    "engine.a=",
  ]);
});

test("# and ; begin a comment only as the first character of a line", () => {
  assert.deepEqual(show(parse("# a = 1", "; b = 2", "url = http://x?y=1;z #2")), ["DEFAULT.url=http://x?y=1;z #2"]);
});

test("an indented line continues a value, and a blank line ends it", () => {
  assert.deepEqual(show(parse("a = 1", "  2", "\t3", "", "b = 4")), ["DEFAULT.a=1\n2\n3", "DEFAULT.b=4"]);
  assert.throws(() => parse("a = 1", "", "  2"), /a\.conf:3: an indented line/);
});

test("repeated options are all kept, in order, with their lines", () => {
  const entries = parse("a = 1", "# between", "a = 2");
  assert.deepEqual(
    entries.map(({ value, line, file }) => `${file}:${line} ${value}`),
    ["a.conf:1 1", "a.conf:3 2"],
  );
});

test("one pair of quotes is taken off, a lone one stays", () => {
  assert.deepEqual(show(parse(`a = " x "`, `b = 'y'`, `c = "z`, `d = "`)), [
    "DEFAULT.a= x ",
    "DEFAULT.b=y",
    `DEFAULT.c="z`,
    `DEFAULT.d="`,
  ]);
});

test("what is no INI is refused with file and line", () => {
  for (const line of ["just words", "[open", "[]", "= value", "  indented"]) {
    assert.throws(
      () => parse("# one", line),
      (error) => error instanceof AndironError && error.code === "config_invalid" && error.message.startsWith("a.conf:2: "),
      line,
    );
  }
});

test("any text is parsed or refused, never anything else; every entry's line is in the text", () => {
  const line = fc.oneof(fc.constantFrom("[g]", "a = 1", " b", "", "#", "= x", "c:d=e", "\tf", "["), fc.string());
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      try {
        for (const entry of parse(...lines)) assert.ok(lines.join("\n").split(/\r?\n/)[entry.line - 1]!.includes(entry.name));
      } catch (error) {
        assert.ok(error instanceof AndironError, String(error));
      }
    }),
  );
});
