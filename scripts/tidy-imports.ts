// Tidy rules over the graph of imports: layers, who may use which package, dead files. Pure: files in, findings out.
// Imports are found by pattern, not by a parser: what the formatter leaves behind is regular enough.

import { posix } from "node:path";
import { type Finding, type SourceFile, isCode, isTest, lineOf, withoutComments } from "./source-tree.ts";

interface Import {
  readonly specifier: string;
  readonly line: number;
  /** `import type` or `export type`: nothing of it is left at run time. */
  readonly typeOnly: boolean;
}

/**
 * What a folder of src/ may import besides itself: whole folders ("common/"), or single files; "type:" in front of one
 * allows its types only. One way only, down: a lower layer never knows a higher one.
 */
const layers: Readonly<Record<string, readonly string[]>> = {
  common: [],
  registry: ["common/"],
  keystone: ["common/"],
  nova: ["common/", "keystone/"],
  glance: ["common/", "keystone/"],
  barbican: ["common/", "keystone/"],
  "object-store": ["common/", "keystone/"],
  messaging: ["common/"],
  engine: ["common/", "registry/"],
  nbd: ["common/", "engine/device.ts"],
  copying: ["common/", "engine/device.ts"],
  backups: ["common/", "object-store/", "engine/device.ts"],
  images: ["common/", "engine/device.ts", "nbd/"],
  cinder: ["common/", "registry/", "type:engine/control.ts"],
  api: ["common/", "cinder/", "keystone/"],
  "nova-hooks": ["common/", "messaging/", "engine/control.ts"],
};

/** Programs: they may import anything, and nothing imports them. */
const programs = new Set(["bin", "sim"]);

/** Packages that one folder or file alone knows, so that changing one is a change in one place. */
const packageOwners: Readonly<Record<string, readonly string[]>> = {
  "@node-rs/crc32": ["src/common/crc32.ts"],
  "@prometheus-io/client": ["src/common/metrics.ts", "src/common/prometheus-parts.ts"],
  "ajv-formats": ["src/api/"],
  amqplib: ["src/messaging/"],
  express: ["src/api/"],
  "openapi-backend": ["src/api/"],
  pino: ["src/common/log.ts"],
  "node:sqlite": ["src/registry/sqlite/", "src/common/state-lock.ts"],
};

export function findLayerBreaks(files: readonly SourceFile[]): Finding[] {
  return eachImport(files, (path, { specifier, line, typeOnly }) => {
    const target = resolveImport(path, specifier);
    if (target === undefined || isTest(path)) return undefined;
    const from = placeOf(path);
    const to = placeOf(target);
    if (from.folder === to.folder && from.top === to.top) return undefined;
    if (to.top === "sim" || (to.top === "src" && programs.has(to.folder)))
      return { path, line, problem: `imports the program ${target}` };
    if (from.top !== "src" || programs.has(from.folder)) return undefined;
    const allowed = layers[from.folder];
    if (allowed === undefined)
      return { path, line, problem: `is in src/${from.folder}, which has no place in the layers (scripts/tidy-imports.ts)` };
    if (to.top === "src" && allowed.some((rule) => allows(rule, target.slice("src/".length), typeOnly))) return undefined;
    const may = ["itself", ...allowed.map((rule) => rule.replace("type:", "the types of "))].join(", ");
    return { path, line, problem: `imports ${target}; src/${from.folder} may import ${may}` };
  });
}

export function findForeignPackages(files: readonly SourceFile[]): Finding[] {
  return eachImport(files, (path, { specifier, line }) => {
    const owners = packageOwners[specifier];
    if (owners === undefined || isTest(path) || !path.startsWith("src/")) return undefined;
    if (owners.some((owner) => (owner.endsWith("/") ? path.startsWith(owner) : path === owner))) return undefined;
    return { path, line, problem: `imports ${specifier}, which is for ${owners.join(" and ")} alone` };
  });
}

/** Modules that no program, script, test or benchmark leads to. */
export function findDeadFiles(files: readonly SourceFile[]): Finding[] {
  const byPath = new Map(files.filter(isCode).map((file) => [file.path, file]));
  const roots = [...byPath.keys()].filter((path) => isRoot(path));
  const reached = new Set(roots);
  for (const path of reached) {
    for (const target of listReferences(byPath.get(path)!)) if (byPath.has(target)) reached.add(target);
  }
  return [...byPath.keys()]
    .filter((path) => !reached.has(path))
    .map((path) => ({ path, problem: "is dead: nothing leads to it" }));
}

function isRoot(path: string): boolean {
  if (isTest(path) || /\.(bench|fuzz)\.ts$/.test(path)) return true;
  return !path.startsWith("src/") || path.startsWith("src/bin/");
}

function eachImport(files: readonly SourceFile[], judge: (path: string, found: Import) => Finding | undefined): Finding[] {
  return files.filter(isCode).flatMap((file) => listImports(file).flatMap((found) => judge(file.path, found) ?? []));
}

/** The imports and re-exports of a file, dynamic ones included. */
export function listImports({ text }: SourceFile): Import[] {
  const code = withoutComments(text);
  const statements = [...code.matchAll(/^(?:import|export)\b(\s+type\b)?[^;"'`]*?\bfrom\s*"([^"]+)"/gm)].map((match) => ({
    specifier: match[2]!,
    line: lineOf(code, match.index),
    typeOnly: match[1] !== undefined || onlyTypes(match[0]),
  }));
  const others = [...code.matchAll(/^import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/gm)].map((match) => ({
    specifier: match[1] ?? match[2]!,
    line: lineOf(code, match.index),
    typeOnly: false,
  }));
  return [...statements, ...others];
}

/** `import { type A, type B } from`: every name is marked. */
function onlyTypes(statement: string): boolean {
  const names = /\{([^}]*)\}/.exec(statement)?.[1]?.split(",") ?? [];
  const given = names.map((name) => name.trim()).filter((name) => name !== "");
  return given.length > 0 && given.every((name) => name.startsWith("type "));
}

/** Files that a file imports or names relatively to itself: workers and programs to start count as well. */
function listReferences(file: SourceFile): string[] {
  const named = [...withoutComments(file.text).matchAll(/["'`]([^"'`\s]+\.[jt]s)["'`]/g)].map((match) => match[1]!);
  return named.map((name) => posix.normalize(posix.join(posix.dirname(file.path), name)));
}

function resolveImport(path: string, specifier: string): string | undefined {
  return specifier.startsWith(".") ? posix.normalize(posix.join(posix.dirname(path), specifier)) : undefined;
}

function placeOf(path: string): { top: string; folder: string } {
  const [top = "", folder = ""] = path.split("/");
  return { top, folder: top === "src" ? folder : "" };
}

function allows(rule: string, target: string, typeOnly: boolean): boolean {
  if (rule.startsWith("type:")) return typeOnly && target === rule.slice("type:".length);
  return rule.endsWith("/") ? target.startsWith(rule) : target === rule;
}
