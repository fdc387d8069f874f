// Writes the generated files of the repository (scripts/generated-files.ts). Says which of them changed.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { generatedFiles } from "./generated-files.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

for (const { path, render } of generatedFiles) {
  const full = join(root, path);
  const text = render();
  if (existsSync(full) && readFileSync(full, "utf8") === text) continue;
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, text);
  console.log(`wrote ${path}`);
}
