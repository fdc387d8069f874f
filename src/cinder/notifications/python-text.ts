// A flat object of texts as Python's str() shows such a dict: where Cinder sends that, so do we. Pure.

export function pythonText(value: Readonly<Record<string, string>>): string {
  const items = Object.entries(value).map(([key, text]) => `${pythonQuote(key)}: ${pythonQuote(text)}`);
  return `{${items.join(", ")}}`;
}

const short: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** As Python's repr() shows a text. */
export function pythonQuote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  let quoted = mark;
  for (const char of text) {
    if (char === mark) quoted += `\\${char}`;
    else quoted += short[char] ?? (isShown(char) ? char : escape(char.codePointAt(0)!));
  }
  return quoted + mark;
}

/** What Python calls printable: no control, format, surrogate, private or unassigned character, no separator but the space. */
function isShown(char: string): boolean {
  return char === " " || !/[\p{C}\p{Z}]/u.test(char);
}

function escape(code: number): string {
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\U${code.toString(16).padStart(8, "0")}`;
}
