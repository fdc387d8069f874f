// Reads a policy file: the part of YAML 1.2 in which such files are written, and JSON.
//
//   document = { name ":" value }
//   name     = plain | 'quoted' | "quoted"
//   value    = plain, on lines that are indented | 'quoted' | "quoted" | [flow, list] | > or | block | "- " list, two deep
//
// - What it does not know (anchors, aliases, tags, nested maps, tabs as indentation) is an error with its line, never a guess:
//   an unquoted ! is a tag in YAML, and would otherwise be read as "yes to everybody".
// - A name that is there twice is an error.
// Pure; it knows nothing of what the values mean.

import type { CheckSource } from "./check-parser.ts";
import { PolicyProblem } from "./check-parser.ts";

const fileCharactersMax = 1024 * 1024;

/** The rules of a file by name. Throws PolicyProblem with the line. */
export function parsePolicyFile(text: string): Map<string, CheckSource> {
  if (text.length > fileCharactersMax) throw new PolicyProblem(`is longer than ${fileCharactersMax} characters`);
  if (/^\s*\{/.test(text)) return readJson(text);
  return new DocumentReader(text).read();
}

function readJson(text: string): Map<string, CheckSource> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new PolicyProblem(`is no JSON: ${(cause as Error).message}`, { cause });
  }
  return new Map(Object.entries(parsed as object).map(([name, value]) => [name, asSource(value, `the rule "${name}"`)]));
}

function asSource(value: unknown, what: string): CheckSource {
  const isText = (item: unknown): item is string => typeof item === "string";
  const isAlternative = (item: unknown): item is string | string[] => isText(item) || (Array.isArray(item) && item.every(isText));
  if (isText(value) || (Array.isArray(value) && value.every(isAlternative))) return value;
  throw new PolicyProblem(`${what} has to be text, or a list of texts or of lists of texts`);
}

interface Line {
  readonly number: number;
  readonly indent: number;
  /** Without indentation and, outside of blocks, without trailing comment. */
  readonly text: string;
}

class DocumentReader {
  readonly #lines: readonly Line[];
  #at = 0;

  constructor(text: string) {
    this.#lines = text.split(/\r?\n/).map((raw, index) => {
      const indent = /^ */.exec(raw)![0].length;
      return { number: index + 1, indent, text: raw.slice(indent).trimEnd() };
    });
  }

  read(): Map<string, CheckSource> {
    const rules = new Map<string, CheckSource>();
    for (let line = this.#next(); line !== undefined; line = this.#next()) {
      if (line.indent === 0 && (line.text === "---" || line.text === "...")) continue;
      if (line.indent > 0) throw problem(line, "is indented, but belongs to no rule");
      const [name, rest] = this.#splitName(line);
      if (rules.has(name)) throw problem(line, `gives the rule "${name}" a second time`);
      rules.set(name, this.#value(line, rest, name));
    }
    return rules;
  }

  /** The next line with something on it. */
  #next(): Line | undefined {
    while (this.#at < this.#lines.length && isBlank(this.#lines[this.#at]!)) this.#at++;
    return this.#lines[this.#at++];
  }

  #peek(): Line | undefined {
    const line = this.#next();
    if (line !== undefined) this.#at--;
    return line;
  }

  #splitName(line: Line): [string, string] {
    const found = /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'#&*!|>%@`[\]{},?-](?:[^\s:#]|:(?!\s|$))*)\s*:(?:\s+(.*))?$/.exec(
      line.text,
    );
    if (found === null) throw problem(line, "is no rule: it has to be NAME: CHECK");
    const name = found[1]!;
    return [/^["']/.test(name) ? unquote(name, line) : name, found[2] ?? ""];
  }

  #value(line: Line, rest: string, name: string): CheckSource {
    if (rest === "" || rest.startsWith("#")) {
      const following = this.#peek();
      if (following?.text.startsWith("-") === true) return this.#list(following.indent);
      if (following === undefined || following.indent === 0) throw problem(line, `gives the rule "${name}" no value`);
      this.#at++;
      return this.#inline(following, following.text, name);
    }
    return this.#inline(line, rest, name);
  }

  #inline(line: Line, rest: string, name: string): CheckSource {
    if (/^[|>]/.test(rest)) return this.#block(line, rest);
    if (rest.startsWith("[")) return asSource(this.#flow(line, rest), `line ${line.number}: the rule "${name}"`);
    if (/^["']/.test(rest)) return this.#quoted(line, rest);
    return [plain(line, rest), ...this.#continued()].join(" ").trim();
  }

  /** Further lines of a plain value. */
  #continued(): string[] {
    const parts: string[] = [];
    for (let line = this.#peek(); line !== undefined && line.indent > 0; line = this.#peek()) {
      this.#at++;
      if (/:(\s|$)/.test(withoutComment(line.text)))
        throw problem(line, "is a map inside a rule, or a value that has to be quoted");
      parts.push(plain(line, line.text));
    }
    return parts;
  }

  /** A quoted text, over as many lines as it takes; line breaks become spaces. */
  #quoted(line: Line, rest: string): string {
    const closed = rest.startsWith('"') ? /^"(?:[^"\\]|\\.)*"\s*(#.*)?$/ : /^'(?:[^']|'')*'\s*(#.*)?$/;
    let text = rest;
    while (!closed.test(text)) {
      const more = this.#lines[this.#at++];
      if (more === undefined || (more.indent === 0 && more.text !== "")) throw problem(line, "has a quotation that does not end");
      text = `${text} ${more.text}`;
    }
    return unquote(text.replace(/(["'])\s*(#[^"']*)?$/, "$1"), line);
  }

  #block(line: Line, rest: string): string {
    if (!/^[|>][+-]?\s*(#.*)?$/.test(rest)) throw problem(line, "begins a block in a way that is not supported");
    const parts: string[] = [];
    for (let next = this.#lines[this.#at]; next !== undefined; next = this.#lines[this.#at]) {
      if (next.text !== "" && next.indent === 0) break;
      parts.push(next.text);
      this.#at++;
    }
    return parts.join(" ").trim();
  }

  /** `- item` lines at `indent`; an item is text, a flow list, or a list that begins on the same line. */
  #list(indent: number): CheckSource {
    const items: (string | readonly string[])[] = [];
    for (let line = this.#peek(); line?.indent === indent && /^-(\s|$)/.test(line.text); line = this.#peek()) {
      this.#at++;
      const inner = /^-\s+(-.*)$/.exec(line.text);
      const item = inner === null ? this.#item(line, line.text) : [this.#item(line, inner[1]!), ...this.#innerItems(indent)];
      items.push(typeof item === "string" ? item : item.map((part) => flat(part, line)));
    }
    return items;
  }

  #innerItems(indent: number): (string | readonly string[])[] {
    const items: (string | readonly string[])[] = [];
    for (let line = this.#peek(); line !== undefined && line.indent > indent; line = this.#peek()) {
      this.#at++;
      items.push(this.#item(line, line.text));
    }
    return items;
  }

  #item(line: Line, text: string): string | readonly string[] {
    const rest = /^-\s+(.*)$/.exec(text)?.[1] ?? "";
    if (rest.startsWith("[")) return asAlternative(this.#flow(line, rest), line);
    return /^["']/.test(rest) ? this.#quoted(line, rest) : plain(line, rest);
  }

  /** [a, 'b', ["c"]], over as many lines as it takes. */
  #flow(line: Line, rest: string): unknown {
    let text = withoutComment(rest);
    const depth = (part: string): number => part.split("[").length - part.split("]").length;
    while (depth(text.replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'/g, "")) > 0) {
      const more = this.#next();
      if (more === undefined) throw problem(line, "has a list that does not end");
      text = `${text} ${withoutComment(more.text)}`;
    }
    const json = text.replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^[\],\s][^[\],]*/g, (part) => {
      return JSON.stringify(/^["']/.test(part) ? unquote(part.trim(), line) : plain(line, part.trim()));
    });
    try {
      return JSON.parse(json);
    } catch (cause) {
      throw new PolicyProblem(`line ${line.number} has a list that cannot be read`, { cause });
    }
  }
}

function asAlternative(value: unknown, line: Line): readonly string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw problem(line, "has a list that is nested too deep");
}

function flat(part: string | readonly string[], line: Line): string {
  if (typeof part === "string") return part;
  throw problem(line, "has a list that is nested too deep");
}

/** An unquoted text. Throws for what would mean something else in YAML. */
function plain(line: Line, given: string): string {
  const text = withoutComment(given);
  if (/^[&*!|>%@`"'{}[\],#?-]/.test(text)) throw problem(line, `has ${text.slice(0, 20)}, which has to be quoted`);
  if (/:(\s|$)/.test(text)) throw problem(line, "has a colon before a space, so that its value has to be quoted");
  return text;
}

function unquote(text: string, line: Line): string {
  if (text.startsWith("'")) return text.slice(1, -1).replaceAll("''", "'");
  try {
    return String(JSON.parse(text.replaceAll("\t", "\\t")));
  } catch (cause) {
    throw new PolicyProblem(`line ${line.number} has a quotation with an escape that is not supported`, { cause });
  }
}

function withoutComment(text: string): string {
  return text.replace(/(^|\s)#.*$/, "").trim();
}

function isBlank({ text }: Line): boolean {
  return text === "" || text.startsWith("#");
}

function problem(line: Line, what: string): PolicyProblem {
  return new PolicyProblem(`line ${line.number} ${what}`);
}
