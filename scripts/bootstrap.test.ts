// The bootstrap in checkouts made for the purpose, whose npm is a script that notes that it was called.

import assert from "node:assert/strict";
import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { lockState } from "../src/common/state-lock.ts";

const folder = mkdtempSync(join(tmpdir(), "boot-"));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

/** A checkout of two programs and a bootstrap; its `npm ci` succeeds or fails as told, and counts its calls. */
const makeCheckout = (npmExitCode = 0): string => {
  const root = join(folder, String(++count));
  mkdirSync(join(root, "scripts"), { recursive: true });
  mkdirSync(join(root, "bin"));
  copyFileSync(join(import.meta.dirname, "bootstrap.js"), join(root, "scripts", "bootstrap.js"));
  writeFileSync(join(root, "package.json"), '{"type":"module"}');
  writeFileSync(join(root, "package-lock.json"), "{}");
  writeFileSync(
    join(root, "show.ts"),
    "const shown: string[] = [...process.execArgv, ...process.argv.slice(2)]; console.log(shown.join('|')); process.exit(7);",
  );
  writeFileSync(
    join(root, "wait.ts"),
    "process.on('SIGTERM', () => process.exit(9)); console.log('up'); setInterval(() => 0, 1000);",
  );
  const npm = join(root, "bin", "npm");
  writeFileSync(npm, `#!/bin/sh\necho call >> "${root}/calls"\nsleep 0.2\nmkdir -p node_modules\nexit ${npmExitCode}\n`);
  chmodSync(npm, 0o755);
  return root;
};
const environment = (root: string): NodeJS.ProcessEnv => {
  const { npm_execpath: _, ...rest } = process.env;
  return { ...rest, PATH: `${join(root, "bin")}:${process.env["PATH"] ?? ""}` };
};
const boot = (root: string, ...argv: string[]): SpawnSyncReturns<string> => {
  return spawnSync(process.execPath, ["scripts/bootstrap.js", ...argv], { cwd: root, env: environment(root), encoding: "utf8" });
};
const callsOf = (root: string): number => {
  const path = join(root, "calls");
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n").length : 0;
};

test("options before the program are Node's", () => {
  assert.equal(boot(makeCheckout(), "--max-semi-space-size=8", "show.ts", "--a").stdout, "--max-semi-space-size=8|--a\n");
});

test("npm start has V8's options that the event loop's delays were measured with, and a compile cache", () => {
  const { scripts } = JSON.parse(readFileSync(join(import.meta.dirname, "..", "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const [cache, node, bootstrap, ...words] = scripts["start"]!.split(" ");
  assert.equal(cache, "NODE_COMPILE_CACHE=node_modules/.cache/andiron");
  assert.deepEqual([node, bootstrap, words.pop()], ["node", "scripts/bootstrap.js", "src/bin/andiron.ts"]);
  const done = boot(makeCheckout(), ...words, "show.ts");
  assert.equal(done.stdout, "--max-semi-space-size=8|--heap-growing-percent=60|--no-parallel-scavenge\n", done.stderr);
});

test("it installs once, passes arguments and exit code through, and installs again when the lock file changes", () => {
  const root = makeCheckout();
  for (const calls of [1, 1]) {
    const done = boot(root, "show.ts", "a b", "--c");
    assert.equal(done.stdout, "a b|--c\n", done.stderr);
    assert.equal(done.status, 7);
    assert.equal(callsOf(root), calls);
  }
  writeFileSync(join(root, "package-lock.json"), '{"changed":true}');
  assert.equal(boot(root, "show.ts").status, 7);
  assert.equal(callsOf(root), 2);
});

test("a failed install is reported, and tried again the next time", () => {
  const root = makeCheckout(3);
  for (const calls of [1, 2]) {
    const done = boot(root, "show.ts");
    assert.equal(done.status, 1);
    assert.match(done.stderr, /npm ci failed \(exit code 3\)/);
    assert.equal(callsOf(root), calls);
  }
});

test("two at once install once", async () => {
  const root = makeCheckout();
  const start = () =>
    spawn(process.execPath, ["scripts/bootstrap.js", "show.ts"], { cwd: root, env: environment(root), stdio: "ignore" });
  const codes = await Promise.all([once(start(), "exit"), once(start(), "exit")]);
  assert.deepEqual(codes, [
    [7, null],
    [7, null],
  ]);
  assert.equal(callsOf(root), 1);
});

test("it refuses to install under a running service, and starts without installing when nothing changed", () => {
  const root = makeCheckout();
  boot(root, "show.ts");
  const lock = lockState(join(root, "var"));
  assert.equal(boot(root, "show.ts").status, 7);
  writeFileSync(join(root, "package-lock.json"), '{"changed":true}');
  const refused = boot(root, "show.ts");
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, new RegExp(`a service of this checkout is running \\(pid ${process.pid}: `));
  assert.equal(callsOf(root), 1);
  lock.release();
  assert.equal(boot(root, "show.ts").status, 7);
});

test("a signal reaches the program, and its exit code comes back", async () => {
  const root = makeCheckout();
  const child = spawn(process.execPath, ["scripts/bootstrap.js", "wait.ts"], {
    cwd: root,
    env: environment(root),
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [9, null]);
});

test("a program that is not there is named", () => {
  assert.match(boot(makeCheckout(), "absent.ts").stderr, /absent\.ts does not exist in this checkout/);
});
