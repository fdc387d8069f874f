// A command's own run: its directory is TMPDIR and goes with the process, and stays when that is asked for.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { runVariable } from "./run-directory.ts";

const folder = mkdtempSync(join(tmpdir(), "own-run-"));
after(() => rmSync(folder, { recursive: true }));

const program = `
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { beginOwnRun } from ${JSON.stringify(new URL("own-run.ts", import.meta.url).href)};
const directory = beginOwnRun("sample", console.error);
writeFileSync(directory + "/file", "x");
console.log(JSON.stringify({ directory, tmpdir: tmpdir(), run: process.env["${runVariable}"] }));
`;

interface Seen {
  readonly directory: string;
  readonly tmpdir: string;
  readonly run?: string;
}

function runSample(env: Readonly<Record<string, string>>): { readonly seen: Seen; readonly said: string } {
  const { KEEP_STATE: _, ...rest } = process.env;
  const options = { encoding: "utf8", env: { ...rest, TMPDIR: folder, ...env } } as const;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], options);
  return { seen: JSON.parse(stdout) as Seen, said: stderr };
}

test("the run's directory is where everything goes, and goes with the process", () => {
  const { seen } = runSample({});
  assert.equal(seen.tmpdir, seen.directory);
  assert.ok(seen.directory.endsWith(`/${seen.run}`), seen.run);
  assert.equal(existsSync(seen.directory), false);
});

test("with KEEP_STATE it stays, and it is said where", () => {
  const { seen, said } = runSample({ KEEP_STATE: "1" });
  assert.equal(existsSync(join(seen.directory, "file")), true);
  assert.match(said, new RegExp(`kept ${seen.directory}`));
});
