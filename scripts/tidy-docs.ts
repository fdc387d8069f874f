// Tidy rules over what is written about the code: generated files are fresh; every option, metric and error code is
// documented; every metric is counted somewhere. Pure: files in, findings out.

import { type ErrorKind, errorCodes } from "../src/common/errors.ts";
import { counterTable, gaugeTable, histogramTable } from "../src/common/metric-table.ts";
import { backendOptions, optionGroups } from "../src/common/options.ts";
import type { GeneratedFile } from "./generated-files.ts";
import { type Finding, type SourceFile, isTest } from "./source-tree.ts";

export function findStale(files: readonly SourceFile[], generated: readonly GeneratedFile[]): Finding[] {
  return generated.flatMap(({ path, render }) => {
    try {
      return textOf(files, path) === render() ? [] : [{ path, problem: "is not what its program writes: run `npm run gen`" }];
    } catch (error) {
      return [{ path, problem: `cannot be written: ${String(error)}` }];
    }
  });
}

export function findUndocumentedOptions(files: readonly SourceFile[], path = "docs/config.md"): Finding[] {
  const names = [...Object.values(optionGroups), backendOptions].flatMap((group) => Object.keys(group));
  return missing(files, path, names, "option");
}

export function findUndocumentedMetrics(files: readonly SourceFile[], path = "docs/metrics.md"): Finding[] {
  return missing(files, path, metricNames(), "metric");
}

/** A row `| code | kind |` in docs/errors.md for each code of the table, and none for a code that is gone. */
export function findUndocumentedErrors(
  files: readonly SourceFile[],
  codes: Readonly<Record<string, ErrorKind>> = errorCodes,
  path = "docs/errors.md",
): Finding[] {
  const rows = new Map([...textOf(files, path).matchAll(/^\| `([a-z_]+)` \| ([a-z-]+) \|/gm)].map((row) => [row[1]!, row[2]!]));
  const wrong = Object.entries(codes).flatMap(([code, kind]) => {
    const said = rows.get(code);
    if (said === kind) return [];
    const problem =
      said === undefined ? `lacks a row for the error code ${code} (${kind})` : `says ${code} is ${said}; it is ${kind}`;
    return [{ path, problem }];
  });
  const gone = [...rows.keys()].filter((code) => !Object.hasOwn(codes, code));
  return [...wrong, ...gone.map((code) => ({ path, problem: `has a row for ${code}, which is no error code` }))];
}

export function findUnusedMetrics(files: readonly SourceFile[], names: readonly string[] = metricNames()): Finding[] {
  const table = "src/common/metric-table.ts";
  const users = files.filter(({ path }) => path.startsWith("src/") && path !== table && !isTest(path));
  const unused = names.filter((name) => !users.some(({ text }) => text.includes(`"${name}"`)));
  return unused.map((name) => ({ path: table, problem: `has the metric ${name}, which nothing counts` }));
}

function metricNames(): string[] {
  return [counterTable, gaugeTable, histogramTable].flatMap((table) => Object.keys(table));
}

function missing(files: readonly SourceFile[], path: string, names: readonly string[], what: string): Finding[] {
  const text = textOf(files, path);
  return names
    .filter((name) => !text.includes(`\`${name}\``))
    .map((name) => ({ path, problem: `does not mention the ${what} ${name}` }));
}

function textOf(files: readonly SourceFile[], path: string): string {
  return files.find((file) => file.path === path)?.text ?? "";
}
