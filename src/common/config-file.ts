// Reads the text of one oslo-style INI file into entries. Pure: it opens no file and knows no option.
//
// The format, as oslo.config reads it:
// - `[group]` begins a group; what stands before the first one belongs to [DEFAULT].
// - `name = value` or `name: value`, whichever sign comes first. A value in one pair of quotes loses them.
// - A line that begins with space or tab continues the value above it (joined by newlines); a blank line ends a value.
// - `#` and `;` begin a comment only as the first character of a line: a value may hold both.
// - An option may be repeated: every entry is kept, in order; who reads them decides.

import { AndironError } from "./errors.ts";

export interface ConfigEntry {
  readonly group: string;
  readonly name: string;
  readonly value: string;
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
}

const fileCharactersMax = 4 * 1024 * 1024;

/** All entries of `text`, in order. Throws config_invalid with file and line for what is no INI. */
export function parseConfigFile(text: string, file: string): ConfigEntry[] {
  if (text.length > fileCharactersMax)
    throw new AndironError("config_invalid", `${file}: longer than ${fileCharactersMax} characters`);
  const entries: ConfigEntry[] = [];
  let group = "DEFAULT";
  let open: { name: string; lines: string[]; line: number } | undefined;
  const close = (): void => {
    if (open === undefined) return;
    entries.push({ group, name: open.name, value: unquote(open.lines.join("\n").trimEnd()), file, line: open.line });
    open = undefined;
  };

  const lines = text.split(/\r?\n/);
  for (const [index, raw] of lines.entries()) {
    const content = raw.trimEnd();
    const line = index + 1;
    if (/^[ \t]/.test(content)) {
      if (open === undefined) throw broken(file, line, "an indented line with no option above it to continue");
      open.lines.push(content.trimStart());
      continue;
    }
    close();
    if (content === "" || content.startsWith("#") || content.startsWith(";")) continue;
    if (content.startsWith("[")) {
      group = readGroup(content, file, line);
    } else {
      const [name, value] = splitAssignment(content, file, line);
      open = { name, lines: [value], line };
    }
  }
  close();
  return entries;
}

function readGroup(content: string, file: string, line: number): string {
  const name = /^\[([^\]]*)\]$/.exec(content)?.[1]?.trim();
  if (name === undefined) throw broken(file, line, `a group is written [name], not ${content}`);
  if (name === "") throw broken(file, line, "a group without a name");
  return name;
}

function splitAssignment(content: string, file: string, line: number): [name: string, value: string] {
  const at = content.search(/[=:]/);
  if (at < 0) throw broken(file, line, `"${content}" is neither "name = value", nor [group], nor a comment`);
  const name = content.slice(0, at).trim();
  if (name === "") throw broken(file, line, "a value without an option's name");
  return [name, content.slice(at + 1).trim()];
}

function unquote(value: string): string {
  const quote = value[0];
  const quoted = value.length > 1 && (quote === '"' || quote === "'") && value.endsWith(quote);
  return quoted ? value.slice(1, -1) : value;
}

function broken(file: string, line: number, problem: string): AndironError {
  return new AndironError("config_invalid", `${file}:${line}: ${problem}`);
}
