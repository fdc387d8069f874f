// The rules that this repository keeps and that no other tool checks: every tidy rule over every file.
// A rule is a pure function in one of the tidy-*.ts files, has a test that shows it fire, and is listed here.

import { fileURLToPath } from "node:url";
import { generatedFiles } from "./generated-files.ts";
import { type Finding, type SourceFile, readSourceTree } from "./source-tree.ts";
import {
  findStale,
  findUndocumentedErrors,
  findUndocumentedMetrics,
  findUndocumentedOptions,
  findUnusedMetrics,
} from "./tidy-docs.ts";
import { findDeadFiles, findForeignPackages, findLayerBreaks } from "./tidy-imports.ts";
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

const rules: readonly ((files: readonly SourceFile[]) => Finding[])[] = [
  findLongFiles,
  findLongLines,
  findMissingHeads,
  findBannedNames,
  findDefaultExports,
  findBarrels,
  findLeftovers,
  findTitles,
  findLayerBreaks,
  findForeignPackages,
  findDeadFiles,
  (files) => findStale(files, generatedFiles),
  (files) => findUndocumentedOptions(files),
  (files) => findUndocumentedMetrics(files),
  (files) => findUndocumentedErrors(files),
  (files) => findUnusedMetrics(files),
];

const files = readSourceTree(fileURLToPath(new URL("..", import.meta.url)));
const findings = rules.flatMap((rule) => rule(files));
for (const { path, line, problem } of findings) console.log(`${path}${line === undefined ? "" : `:${line}`} ${problem}`);
console.log(findings.length === 0 ? `${files.length} files are tidy` : `${findings.length} findings in ${files.length} files`);
process.exitCode = findings.length === 0 ? 0 : 1;
