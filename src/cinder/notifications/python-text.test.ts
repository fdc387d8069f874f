// Tests that a dict of texts is shown as Python shows it; the expectations are what Python 3.11 printed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pythonText } from "./python-text.ts";

test("texts are quoted as Python quotes them", () => {
  const shown: [Record<string, string>, string][] = [
    [{}, "{}"],
    [{ a: "b", c: "" }, "{'a': 'b', 'c': ''}"],
    [{ quote: "it's" }, `{'quote': "it's"}`],
    [{ quotes: `it's "it"` }, `{'quotes': 'it\\'s "it"'}`],
    [{ "back\\slash": "a\nb\tc\r" }, "{'back\\\\slash': 'a\\nb\\tc\\r'}"],
    [{ control: "\u0000\u007f\u00a0" }, "{'control': '\\x00\\x7f\\xa0'}"],
    [{ wide: "é漢😀\u200b" }, "{'wide': 'é漢😀\\u200b'}"],
  ];
  for (const [value, expected] of shown) assert.equal(pythonText(value), expected);
});
