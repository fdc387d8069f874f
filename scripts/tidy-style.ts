// Tidy rules that look at one file at a time: sizes, head comments, names, exports, titles. Pure: files in, findings out.

import { type Finding, type SourceFile, isCode, lineOf, withoutComments } from "./source-tree.ts";

const fileLinesMax = 500;
const lineColumnsMax = 130;

/** A file that does everything is a file that nobody can place. The name to use instead is the thing's own. */
const bannedNames = /(^|-)(utils?|helpers?|managers?|misc|common)\.[jt]s$|^index\.[jt]s$/;

export function findLongFiles(files: readonly SourceFile[]): Finding[] {
  return files.filter(isCode).flatMap(({ path, text }) => {
    const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
    return lines <= fileLinesMax
      ? []
      : [{ path, problem: `has ${lines} lines; at most ${fileLinesMax}: split it by what it is about` }];
  });
}

export function findLongLines(files: readonly SourceFile[]): Finding[] {
  return files.filter(isCode).flatMap(({ path, text }) =>
    text.split("\n").flatMap((content, index) => {
      if (content.length <= lineColumnsMax) return [];
      return [{ path, line: index + 1, problem: `has ${content.length} columns; at most ${lineColumnsMax}` }];
    }),
  );
}

export function findMissingHeads(files: readonly SourceFile[]): Finding[] {
  return files.filter(isCode).flatMap(({ path, text }) => {
    const head = text.startsWith("#!") ? text.slice(text.indexOf("\n") + 1) : text;
    if (head.startsWith("// ")) return [];
    return [{ path, line: 1, problem: "does not begin with a // comment: what it is, its invariants, what it does not do" }];
  });
}

export function findBannedNames(files: readonly SourceFile[]): Finding[] {
  return files.filter(isCode).flatMap(({ path }) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (bannedNames.test(name)) return [{ path, problem: "is named for nothing in particular: name it after what it holds" }];
    const stem = name.replace(/(\.[a-z]+)+$/, "");
    return /^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem) ? [] : [{ path, problem: "is not named in kebab-case" }];
  });
}

export function findDefaultExports(files: readonly SourceFile[]): Finding[] {
  return files.filter(isCode).flatMap(({ path, text }) => {
    const code = withoutComments(text);
    return [...code.matchAll(/^export (?:default\b|\{[^}]*\bas default\b)/gm)].map(({ index }) => ({
      path,
      line: lineOf(code, index),
      problem: "exports a default: give it a name",
    }));
  });
}

/** A module of nothing but re-exports hides where things are. */
export function findBarrels(files: readonly SourceFile[]): Finding[] {
  return files.filter(isCode).flatMap(({ path, text }) => {
    const code = withoutComments(text).trim();
    const rest = code.replaceAll(/^export\s[^;]*?\sfrom\s+"[^"]+";?$/gm, "").trim();
    return code !== "" && rest === "" ? [{ path, problem: "only re-exports: import from where things are" }] : [];
  });
}

/** Left-over notes to oneself belong into an issue. */
export function findLeftovers(files: readonly SourceFile[]): Finding[] {
  const words = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "X" + "XX"].join("|")})\\b`, "g");
  return files.filter(isCode).flatMap(({ path, text }) =>
    [...text.matchAll(words)].map(({ index, 0: word }) => ({
      path,
      line: lineOf(text, index),
      problem: `says ${word}: do it, or open an issue`,
    })),
  );
}

export function findTitles(files: readonly SourceFile[]): Finding[] {
  return files.flatMap(({ path, text }) => {
    if (!path.endsWith(".md")) return [];
    const prose = text.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, "");
    const titles = [...prose.matchAll(/^# \S/gm)].length;
    return titles === 1 ? [] : [{ path, problem: `has ${titles} titles (# ...); exactly one` }];
  });
}
