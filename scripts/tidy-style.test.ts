// Shows for each rule about single files that it fires, and that it lets good files be.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Finding, SourceFile } from "./source-tree.ts";
import {
  findBannedNames,
  findBarrels,
  findDefaultExports,
  findLeftovers,
  findLongFiles,
  findLongLines,
  findMissingHeads,
  findTitles,
} from "./tidy-style.ts";

type Rule = (files: readonly SourceFile[]) => Finding[];

const file = (path: string, text: string): SourceFile => ({ path, text });
const placesOf = (rule: Rule, ...files: SourceFile[]): string[] => {
  return rule(files).map(({ path, line }) => (line === undefined ? path : `${path}:${line}`));
};

test("a file of 501 lines is too long, one of 500 is not", () => {
  const lines = (count: number): string => "x\n".repeat(count);
  assert.deepEqual(placesOf(findLongFiles, file("a.ts", lines(500)), file("b.ts", lines(501))), ["b.ts"]);
});

test("generated code may be as long as it likes", () => {
  assert.deepEqual(placesOf(findLongFiles, file("src/api/generated/types.ts", "x\n".repeat(9000))), []);
});

test("a line of 131 columns is too long, one of 130 is not", () => {
  assert.deepEqual(placesOf(findLongLines, file("a.ts", `${"x".repeat(130)}\n${"x".repeat(131)}\n`)), ["a.ts:2"]);
});

test("a file needs a head comment, after the #! line if it has one", () => {
  const good = [file("a.ts", "// What it is.\n"), file("b.js", "#!/usr/bin/env node\n// What it is.\n")];
  const bad = [file("c.ts", 'import "x";\n'), file("d.ts", "/* licence */\n"), file("e.ts", "#!/usr/bin/env node\nf();\n")];
  assert.deepEqual(placesOf(findMissingHeads, ...good, ...bad), ["c.ts:1", "d.ts:1", "e.ts:1"]);
});

test("names that say nothing, barrels' names and names that are not kebab-case are found", () => {
  const paths = [
    "src/a/utils.ts",
    "src/a/test-helpers.ts",
    "src/a/disk-manager.ts",
    "src/a/index.ts",
    "src/a/camelCase.ts",
    "src/a/A.ts",
  ];
  const good = ["src/a/index-page.ts", "src/a/disk.peer.test.ts", "src/a/page-2.ts"];
  assert.deepEqual(placesOf(findBannedNames, ...[...paths, ...good].map((path) => file(path, ""))), paths);
});

test("default exports are found, in both spellings, and not in comments", () => {
  const text = '// export default a\nexport default f;\nexport { a as default };\nexport const defaults = "export default";\n';
  assert.deepEqual(placesOf(findDefaultExports, file("a.ts", text)), ["a.ts:2", "a.ts:3"]);
});

test("a file of re-exports alone is a barrel, one that does something is not", () => {
  const barrel = '// All.\nexport * from "./a.ts";\nexport {\n  b,\n} from "./b.ts";\n';
  assert.deepEqual(placesOf(findBarrels, file("all.ts", barrel), file("some.ts", `${barrel}f();\n`)), ["all.ts"]);
});

test("notes to oneself are found", () => {
  assert.deepEqual(placesOf(findLeftovers, file("a.ts", `// fine\n// ${"TO" + "DO"}: later\n`)), ["a.ts:2"]);
});

test("a page has one title; # in a code block is none", () => {
  const good = file("a.md", "# One\n\n```sh\n# a comment\n```\n\n## Two\n");
  assert.deepEqual(placesOf(findTitles, good, file("b.md", "# One\n# Two\n"), file("c.md", "## None\n")), ["b.md", "c.md"]);
});
