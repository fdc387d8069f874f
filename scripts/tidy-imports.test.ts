// Shows for each rule over the graph of imports that it fires, and what it lets pass.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { SourceFile } from "./source-tree.ts";
import { findDeadFiles, findForeignPackages, findLayerBreaks, listImports } from "./tidy-imports.ts";

const file = (path: string, ...lines: string[]): SourceFile => ({ path, text: lines.join("\n") });
const importing = (path: string, target: string): SourceFile => file(path, `import { a } from "${target}";`);

test("imports of every form are seen, with their lines, and none in a comment", () => {
  const imports = listImports(
    file(
      "a.ts",
      '// import { z } from "./z.ts";',
      'import { a } from "./a.ts";',
      "import {",
      "  b,",
      "  c,",
      '} from "./b.ts";',
      'import type { D } from "./d.ts";',
      'import { type E, type F } from "./e.ts";',
      'import "./side.ts";',
      'export { g } from "./g.ts";',
      'const h = await import("./h.ts");',
    ),
  );
  assert.deepEqual(imports.map(({ specifier, line, typeOnly }) => `${line} ${specifier}${typeOnly ? " type" : ""}`).sort(), [
    "10 ./g.ts",
    "11 ./h.ts",
    "2 ./a.ts",
    "3 ./b.ts",
    "7 ./d.ts type",
    "8 ./e.ts type",
    "9 ./side.ts",
  ]);
});

const forbidden: readonly [string, string][] = [
  ["src/common/a.ts", "../registry/b.ts"],
  ["src/registry/a.ts", "../engine/b.ts"],
  ["src/engine/a.ts", "../cinder/b.ts"],
  ["src/engine/deep/a.ts", "../../nbd/b.ts"],
  ["src/nbd/a.ts", "../engine/router.ts"],
  ["src/cinder/a.ts", "../engine/journal.ts"],
  ["src/cinder/a.ts", "../engine/control.ts"],
  ["src/api/a.ts", "../engine/control.ts"],
  ["src/keystone/a.ts", "../cinder/b.ts"],
  ["src/nova-hooks/a.ts", "../cinder/b.ts"],
  ["src/object-store/a.ts", "../engine/b.ts"],
  ["src/engine/a.ts", "../bin/andiron.ts"],
  ["scripts/a.ts", "../src/bin/andiron.ts"],
  ["bench/a.ts", "../sim/sim.ts"],
  ["src/engine/a.ts", "../../scripts/peers.ts"],
  ["src/elsewhere/a.ts", "../common/b.ts"],
];

for (const [path, target] of forbidden) {
  test(`${path} may not import ${target}`, () => {
    assert.equal(findLayerBreaks([importing(path, target)]).length, 1);
  });
}

const allowed: readonly [string, string][] = [
  ["src/common/a.ts", "./b.ts"],
  ["src/engine/deep/a.ts", "../b.ts"],
  ["src/engine/a.ts", "../registry/b.ts"],
  ["src/nbd/a.ts", "../engine/device.ts"],
  ["src/api/a.ts", "../cinder/b.ts"],
  ["src/nova-hooks/a.ts", "../engine/control.ts"],
  ["src/bin/a.ts", "../engine/b.ts"],
  ["src/bin/a.ts", "./b.ts"],
  ["src/nbd/a.test.ts", "../engine/router.ts"],
  ["test/a.test.ts", "../src/bin/andiron.ts"],
  ["bench/a.ts", "../src/engine/router.ts"],
];

for (const [path, target] of allowed) {
  test(`${path} may import ${target}`, () => {
    assert.deepEqual(findLayerBreaks([importing(path, target)]), []);
  });
}

test("cinder may import the types of the engine's control, and no more", () => {
  assert.deepEqual(findLayerBreaks([file("src/cinder/a.ts", 'import type { A } from "../engine/control.ts";')]), []);
});

test("a package with an owner is for its owner alone", () => {
  const files = [
    importing("src/api/a.ts", "express"),
    importing("src/cinder/a.ts", "express"),
    importing("src/engine/a.ts", "node:sqlite"),
  ];
  assert.deepEqual(
    findForeignPackages(files).map(({ path }) => path),
    ["src/cinder/a.ts", "src/engine/a.ts"],
  );
});

test("a module that nothing leads to is dead, with all that only it leads to", () => {
  const files = [
    file(
      "src/bin/andiron.ts",
      'import { a } from "../engine/used.ts";',
      'new Worker(new URL("../engine/worker.ts", import.meta.url));',
    ),
    file("src/engine/used.ts", ""),
    file("src/engine/worker.ts", 'import "./deep.ts";'),
    file("src/engine/deep.ts", ""),
    file("src/engine/dead.ts", 'import "./dead-too.ts";'),
    file("src/engine/dead-too.ts", 'import "./dead.ts";'),
    file("src/engine/proven.test.ts", 'spawn(join(import.meta.dirname, "proven.fixture.ts"));'),
    file("src/engine/proven.fixture.ts", ""),
  ];
  assert.deepEqual(
    findDeadFiles(files).map(({ path }) => path),
    ["src/engine/dead.ts", "src/engine/dead-too.ts"],
  );
});
