// Where a profile's time is counted.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sumProfile } from "./cpu-profile.ts";

const frame = (functionName: string, url = "") => ({ functionName, url, lineNumber: 9 });
const profile = {
  nodes: [
    { id: 1, callFrame: frame("(root)"), children: [2, 5, 6] },
    { id: 2, callFrame: frame("append", "file:///x/src/engine/journal/journal.ts"), children: [3] },
    { id: 3, callFrame: frame("writevSync", "node:fs"), children: [4] },
    { id: 4, callFrame: frame("writeBuffers") },
    { id: 5, callFrame: frame("(idle)") },
    { id: 6, callFrame: frame("onread", "node:net") },
  ],
  startTime: 1000,
  samples: [2, 3, 4, 5, 6, 6],
  timeDeltas: [0, 10, 20, 30, 40, 50],
};

test("time in Node and C++ is counted for our function that called it, and idle time for nobody", () => {
  const { folders, functions } = sumProfile(profile, 0, 1e9);
  assert.deepEqual(folders, [
    { name: "engine/journal", us: 60 },
    { name: "node", us: 50 },
  ]);
  assert.deepEqual(
    functions.map(({ name, us }) => `${us} ${name}`),
    [
      "50 node:net onread",
      "30 writeBuffers, for engine/journal/journal.ts append",
      "20 node:fs writevSync, for engine/journal/journal.ts append",
      "10 engine/journal/journal.ts append:10",
    ],
  );
});

test("only samples within the window count", () => {
  const { folders } = sumProfile(profile, 1010, 1060);
  assert.deepEqual(folders, [{ name: "engine/journal", us: 50 }]);
});
