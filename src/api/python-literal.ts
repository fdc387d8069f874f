// Python literals as they stand in query strings (`metadata={'a': 'b'}`, `id=['x', 'y']`): the clients of Cinder send what
// str() makes of a dict. Strings, numbers, True, False, None, lists, tuples, sets and dicts; nothing that would need
// evaluation. Depth and length are bounded.

export type Literal = string | number | boolean | null | readonly Literal[] | LiteralDict;

export interface LiteralDict {
  readonly entries: readonly (readonly [Literal, Literal])[];
}

const charactersMax = 16 * 1024;
const depthMax = 8;
const numberPattern = /[-+]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?/y;
const wordPattern = /True|False|None/y;
const prefixPattern = /[uU]?(?=['"])/y;
const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "0": "\0",
  "\n": "",
};

/** The literal that `text` is, or undefined when it is none. */
export function parsePythonLiteral(text: string): Literal | undefined {
  if (text.length > charactersMax) return undefined;
  const reader = new LiteralReader(text);
  try {
    return reader.readWhole();
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** A dict whose keys and values are texts (numbers and booleans as Python writes them); undefined for anything else. */
export function asTextRecord(literal: Literal | undefined): Record<string, string> | undefined {
  if (literal === undefined || literal === null || typeof literal !== "object" || !("entries" in literal)) return undefined;
  if (typeof literal.entries === "function") return undefined; // an array's method
  const record: Record<string, string> = {};
  for (const [key, value] of literal.entries) {
    const keyText = asText(key);
    const valueText = asText(value);
    if (keyText === undefined || valueText === undefined) return undefined;
    Object.defineProperty(record, keyText, { value: valueText, enumerable: true, writable: true, configurable: true });
  }
  return record;
}

/** A scalar as Python's str() writes it. */
export function asText(literal: Literal): string | undefined {
  if (typeof literal === "string") return literal;
  if (typeof literal === "number") return String(literal);
  if (literal === null) return "None";
  if (typeof literal === "boolean") return literal ? "True" : "False";
  return undefined;
}

class LiteralReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  readWhole(): Literal {
    const literal = this.#read(0);
    this.#skipSpace();
    if (this.#at < this.#text.length) throw new SyntaxError("more than one literal");
    return literal;
  }

  #read(depth: number): Literal {
    if (depth > depthMax) throw new SyntaxError("too deep");
    this.#skipSpace();
    switch (this.#text[this.#at]) {
      case "[":
        return this.#readSequence("]", depth);
      case "(":
        return this.#readSequence(")", depth);
      case "{":
        return this.#readBraces(depth);
      default:
        return this.#readScalar();
    }
  }

  #readScalar(): Literal {
    const word = this.#take(wordPattern);
    if (word !== undefined) return word === "None" ? null : word === "True";
    if (this.#take(prefixPattern) !== undefined) return this.#readString();
    const digits = this.#take(numberPattern);
    if (digits === undefined) throw new SyntaxError("no literal");
    return Number(digits.replaceAll("_", ""));
  }

  #readString(): string {
    const quote = this.#text[this.#at++];
    let value = "";
    for (;;) {
      const character = this.#text[this.#at++];
      if (character === undefined) throw new SyntaxError("an open string");
      if (character === quote) return value;
      value += character === "\\" ? this.#readEscape() : character;
    }
  }

  #readEscape(): string {
    const kind = this.#text[this.#at++] ?? "";
    const digits = { x: 2, u: 4, U: 8 }[kind];
    if (digits === undefined) return escapes[kind] ?? `\\${kind}`;
    const code = this.#text.slice(this.#at, this.#at + digits);
    if (!/^[0-9a-fA-F]+$/.test(code) || code.length < digits) throw new SyntaxError("a cut escape");
    const point = Number.parseInt(code, 16);
    if (point > 0x10ffff) throw new SyntaxError("no character");
    this.#at += digits;
    return String.fromCodePoint(point);
  }

  #readSequence(end: string, depth: number): Literal[] {
    this.#at++;
    const items: Literal[] = [];
    for (;;) {
      if (this.#passes(end)) return items;
      items.push(this.#read(depth + 1));
      if (!this.#passes(",")) {
        if (this.#passes(end)) return items;
        throw new SyntaxError("a comma is missing");
      }
    }
  }

  /** A dict, or a set, which is a sequence to us. */
  #readBraces(depth: number): Literal {
    this.#at++;
    const entries: (readonly [Literal, Literal])[] = [];
    const items: Literal[] = [];
    while (!this.#passes("}")) {
      const key = this.#read(depth + 1);
      if (this.#passes(":")) entries.push([key, this.#read(depth + 1)]);
      else items.push(key);
      if (this.#passes(",")) continue;
      if (!this.#passes("}")) throw new SyntaxError("a comma is missing");
      break;
    }
    if (items.length > 0 && entries.length > 0) throw new SyntaxError("neither a dict nor a set");
    return items.length > 0 ? items : { entries };
  }

  #passes(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    while (this.#text[this.#at] === " " || this.#text[this.#at] === "\t" || this.#text[this.#at] === "\n") this.#at++;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match[0];
  }
}
