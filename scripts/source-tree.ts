// The files of this checkout that are ours, as text: what the tidy rules look at. Reads, never writes.

import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";

export interface SourceFile {
  /** From the root of the checkout, with "/". */
  readonly path: string;
  readonly text: string;
}

export interface Finding {
  readonly path: string;
  /** Counted from 1; absent when the whole file is meant. */
  readonly line?: number;
  readonly problem: string;
}

const notOurs = new Set(["node_modules", "var", "dist", "coverage", ".git"]);
const textNames = /\.(ts|js|json|md|sh|py|yaml|yml|sample|html|css)$/;

/** All text files below `root`, in the order of their paths. */
export function readSourceTree(root: string): SourceFile[] {
  const found: SourceFile[] = [];
  const visit = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const full = join(directory, entry.name);
      if (entry.isDirectory() && !notOurs.has(entry.name)) visit(full);
      if (entry.isFile() && textNames.test(entry.name))
        found.push({ path: relative(root, full), text: readFileSync(full, "utf8") });
    }
  };
  visit(root);
  return found.sort((left, right) => (left.path < right.path ? -1 : 1));
}

/** True for the programs and modules that our rules of style are about: not for what a script wrote. */
export function isCode({ path }: SourceFile): boolean {
  return /\.(ts|js)$/.test(path) && !path.includes("/generated/") && !path.startsWith("web/");
}

export function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || path.startsWith("test/");
}

/** The text without whole-line and block comments; line numbers stay. */
export function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, (comment) => comment.replaceAll(/[^\n]/g, "")).replaceAll(/^[ \t]*\/\/.*$/gm, "");
}

export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
