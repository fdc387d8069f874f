// Everything that can be said about the code without running it: types, lint, format and our own rules, side by side,
// reported together. Succeeds when all do.

import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const tools = join(root, "node_modules", ".bin");

const checks = [
  { name: "types", command: [join(tools, "tsc"), "-p", "."] },
  { name: "lint", command: [join(tools, "oxlint"), "--type-aware", "--deny-warnings", "--format=unix"] },
  { name: "format", command: [join(tools, "oxfmt"), "--check"] },
  { name: "tidy", command: [process.execPath, "scripts/tidy.ts"] },
] as const;

const results = await Promise.all(
  checks.map(async ({ name, command }) => {
    const { code, output } = await run(command);
    if (code !== 0) console.log(`--- ${name}\n${output.trim()}\n`);
    return `${name} ${code === 0 ? "ok" : "FAILED"}`;
  }),
);
console.log(`check: ${results.join(", ")}`);
process.exitCode = results.every((result) => result.endsWith(" ok")) ? 0 : 1;

function run([program, ...argv]: readonly [string, ...string[]]): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, PATH: `${tools}${delimiter}${process.env["PATH"] ?? ""}` };
    const child = spawn(program, argv, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    }
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}
