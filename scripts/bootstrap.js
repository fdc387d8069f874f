// Runs a TypeScript program of this repository on the Node it is written for, installing first when that is needed.
// Behind `npm start`, `npm test` and every other script:   node scripts/bootstrap.js [--NODE-OPTION...] PROGRAM.ts [ARGUMENT...]
//
// - Plain JavaScript for Node 18 and later: it runs before anything is installed.
// - Installs only when package-lock.json (or the platform) is not the one that the stamp in node_modules names; the
//   stamp is written after a complete install, so that a broken one is never taken for a good one.
// - Never installs under a running service of the same checkout, and never twice at once (flock, which dies with us).
// - Passes arguments, signals and the exit code through.
// It knows nothing of what it starts, and it does not update the lock file.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const nodeMajor = 24;
const self = fileURLToPath(import.meta.url);
const root = dirname(dirname(self));
const stampPath = join(root, "node_modules", ".andiron-stamp");

main(process.argv.slice(2));

function main(argv) {
  if (argv[0] === "--install") return install();
  const at = argv.findIndex((word) => !word.startsWith("--"));
  const program = argv[at];
  if (program === undefined) fail("usage: node scripts/bootstrap.js [--NODE-OPTION...] PROGRAM.ts [ARGUMENT...]");
  if (readStamp() !== wantedStamp()) installLocked();
  const node = findNode();
  if (!existsSync(join(root, program))) fail(`${program} does not exist in this checkout`);
  run(node, [...argv.slice(0, at), join(root, program), ...argv.slice(at + 1)]);
}

/** What the stamp says after a complete install of this lock file on this platform. */
function wantedStamp() {
  const hash = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  return `${hash} ${process.platform} ${process.arch}`;
}

function readStamp() {
  return existsSync(stampPath) ? readFileSync(stampPath, "utf8").trim() : undefined;
}

/** Installs, one bootstrap of this checkout at a time. The kernel's lock is given up with its process, however that ends. */
function installLocked() {
  refuseUnderService();
  mkdirSync(join(root, "var"), { recursive: true });
  const lock = join(root, "var", "install.lock");
  const done = spawnSync("flock", [lock, process.execPath, self, "--install"], { stdio: ["ignore", 2, 2] });
  if (done.error?.code === "ENOENT") return install();
  if (done.status !== 0) process.exit(done.status ?? 1);
}

function install() {
  if (readStamp() === wantedStamp()) return; // whoever held the lock before us has done it
  refuseUnderService();
  console.error("bootstrap: installing what package-lock.json names (npm ci)");
  const npm = process.env["npm_execpath"];
  const command = npm ? [process.execPath, npm] : ["npm"];
  const options = ["ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund", "--loglevel=error"];
  const done = spawnSync(command[0], [...command.slice(1), ...options], { cwd: root, stdio: ["ignore", 2, 2] });
  if (done.status !== 0) fail(`npm ci failed (${done.error?.message ?? `exit code ${done.status}`}); see its messages above`);
  writeFileSync(stampPath, `${wantedStamp()}\n`);
}

/** Replacing node_modules below a running service would break it: its later imports would find other files, or none. */
function refuseUnderService() {
  const holder = readHolder(join(root, "var", "lock.json"));
  if (holder === undefined) return;
  fail(
    `package-lock.json has changed, but a service of this checkout is running (pid ${holder.pid}: ${holder.command}).\n` +
      `Nothing was installed. Stop it (kill ${holder.pid}) and run this again.`,
  );
}

/** The live holder of the state directory's lock, as src/common/state-lock.ts writes it; undefined when it is dead. */
function readHolder(path) {
  try {
    const holder = JSON.parse(readFileSync(path, "utf8"));
    const stat = readFileSync(`/proc/${holder.pid}/stat`, "utf8");
    const startTicks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return Number(startTicks) === holder.startTicks ? holder : undefined;
  } catch {
    return undefined;
  }
}

/** A Node of the wanted version or later: the installed one first, then the one that runs us. */
function findNode() {
  const candidates = [
    join(root, "node_modules", `node-${process.platform}-${process.arch}`, "bin", "node"),
    join(root, "node_modules", ".bin", "node"),
    process.execPath,
  ];
  const tried = [];
  for (const candidate of candidates) {
    if (!existsSync(candidate)) continue;
    const version = spawnSync(candidate, ["--version"], { encoding: "utf8" }).stdout?.trim() || "does not run";
    if (Number(/^v(\d+)\./.exec(version)?.[1]) >= nodeMajor) return candidate;
    tried.push(`  ${candidate}: ${version}`);
  }
  return fail(
    `Andiron needs Node ${nodeMajor}, and could not get it for ${process.platform}-${process.arch}. Found only:\n` +
      `${tried.join("\n")}\n` +
      `npm installs it as the optional package node-${process.platform}-${process.arch}; if that package cannot be had here,\n` +
      `install Node ${nodeMajor} or later (https://nodejs.org) and run this again with it.`,
  );
}

function run(node, argv) {
  if (typeof process.execve === "function") {
    process.removeAllListeners("warning"); // execve is said to be experimental; we are gone before it could fail us
    process.execve(node, [node, ...argv], process.env);
  }
  const child = spawn(node, argv, { stdio: "inherit" });
  child.on("error", (error) => fail(`cannot start ${node}: ${error.message}`));
  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR2"]) {
    process.on(signal, () => {
      // What is typed at the terminal reaches the child by itself: passing it on would be a second one.
      const typed = (signal === "SIGINT" || signal === "SIGQUIT") && process.stdin.isTTY;
      if (!typed) child.kill(signal);
    });
  }
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

function fail(message) {
  console.error(`bootstrap: ${message}`);
  process.exit(1);
}
