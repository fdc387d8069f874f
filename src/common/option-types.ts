// The kinds of configuration options. A constructor each: int(), bool(), port(), ... makes the Option that stands in the
// table of options.ts. Defaults are kept as the text one would write in the file, and are parsed like it, so that what the
// sample file shows is what happens. Pure; it reads no file.

import { isIP } from "node:net";

export interface Option<T> {
  /** For the docs: "integer, 1 to 65535". */
  readonly kind: string;
  /** As it would be written in the file; may refer to other options by $name. */
  readonly defaultText: string;
  readonly help: string;
  /** Repeated lines add up (their values are joined by newlines) instead of the last one winning. */
  readonly repeats: boolean;
  /** The value of `text`, substitutions done. Throws OptionProblem. */
  readonly parse: (text: string) => T;
}

/** What is wrong with a value, to follow its quotation: `"x" is not an integer`. */
export class OptionProblem extends Error {
  override name = "OptionProblem";
}

interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

/** `value` is text where it refers to another option. */
export function int(value: number | string, help: string, bounds: Bounds = {}): Option<number> {
  return option(`integer${describeBounds(bounds)}`, String(value), help, (text) => {
    if (!/^[+-]?\d+$/.test(text)) throw new OptionProblem("is not an integer");
    return bounded(Number(text), bounds);
  });
}

export function float(value: number | string, help: string, bounds: Bounds = {}): Option<number> {
  return option(`number${describeBounds(bounds)}`, String(value), help, (text) => {
    const number = text === "" ? Number.NaN : Number(text);
    if (!Number.isFinite(number)) throw new OptionProblem("is not a number");
    return bounded(number, bounds);
  });
}

/** 0 means: any free port. */
export function port(value: number, help: string): Option<number> {
  return { ...int(value, help, { min: 0, max: 65535 }), kind: "port, 0 to 65535" };
}

export function bool(value: boolean, help: string): Option<boolean> {
  return option("boolean", String(value), help, (text) => {
    const word = text.toLowerCase();
    if (["true", "1", "on", "yes"].includes(word)) return true;
    if (["false", "0", "off", "no"].includes(word)) return false;
    throw new OptionProblem("is not a boolean (true, false, yes, no, on, off, 1, 0)");
  });
}

export function string(value: string, help: string): Option<string> {
  return option("string", value, help, (text) => text);
}

/** Separated by commas; spaces around the items and empty items are dropped. */
export function list(value: readonly string[], help: string): Option<readonly string[]> {
  return option("list", value.join(","), help, (text) =>
    text
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== ""),
  );
}

/** One value a line; the option may be given several times. */
export function multi(help: string): Option<readonly string[]> {
  const made = option("string, may be repeated", "", help, (text) => text.split("\n").filter((item) => item !== ""));
  return { ...made, repeats: true };
}

/** A host name or an address to listen on or to tell others; IPv6 with or without brackets. */
export function host(value: string, help: string): Option<string> {
  return option("host name or address", value, help, (text) => {
    const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
    if (isIP(bare) !== 0) return bare;
    if (!/^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?$/.test(text))
      throw new OptionProblem("is not a host name or address");
    return text;
  });
}

/** A path; where a program needs it absolute it resolves it itself. Empty: none. */
export function path(value: string, help: string): Option<string> {
  return option("path", value, help, (text) => {
    if (text.includes("\0") || text.includes("\n")) throw new OptionProblem("is not a path");
    return text;
  });
}

export function oneOf<const T extends string>(choices: readonly T[], value: NoInfer<T>, help: string): Option<T> {
  return option(`one of ${choices.join(", ")}`, value, help, (text) => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw new OptionProblem(`is not one of: ${choices.join(", ")}`);
    return found;
  });
}

function option<T>(kind: string, defaultText: string, help: string, parse: (text: string) => T): Option<T> {
  return { kind, defaultText, help, repeats: false, parse };
}

function bounded(number: number, { min = -Number.MAX_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER }: Bounds): number {
  if (number < min) throw new OptionProblem(`is less than ${min}`);
  if (number > max) throw new OptionProblem(`is more than ${max}`);
  return number;
}

function describeBounds({ min, max }: Bounds): string {
  if (min !== undefined && max !== undefined) return `, ${min} to ${max}`;
  if (min !== undefined) return `, at least ${min}`;
  return max === undefined ? "" : `, at most ${max}`;
}
