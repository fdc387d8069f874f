// Runs Debian's Tempest, Cinder's plugin for it and ours against the cloud of test/cloud, and reads the results from the
// subunit stream that it leaves. Everything that it writes is in the folder that it is given; nothing is installed.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cloud } from "../test/cloud/cloud.ts";
import { runOk } from "../test/harness/command.ts";
import { prepareAccounts } from "./accounts.ts";
import { accountsName, writeConfiguration } from "./configuration.ts";
import { type Lists, type TestResult, parseList, parseResults, rowsFor } from "./verdict.ts";

/** The tests that judge this service. */
export const everything = String.raw`^(tempest\.api\.volume|cinder_tempest_plugin\.api|andiron_tempest_plugin)\.`;
/** Those, and all that do something with a server and volumes: for a cloud with Nova. */
export const everythingWithServers = `${everything}|^(${[
  String.raw`tempest\.api\.compute\.volumes\.`,
  String.raw`tempest\.api\.compute\.admin\.test_(volume|live_migration)`,
  String.raw`tempest\.api\.compute\.servers\..*[vV]olume`,
  String.raw`tempest\.scenario\.test_(volume|shelve|encrypted|stamp|snapshot|minimum)`,
  String.raw`cinder_tempest_plugin\.scenario\.`,
].join("|")})`;
/** Each of these must have a test that passes: a plugin that does not load would not be missed otherwise. */
export const suites: readonly string[] = ["tempest.api.volume.", "cinder_tempest_plugin.api.", "andiron_tempest_plugin."];

/** The one test that Tempest skips unless it makes a project for it; so it runs by itself. */
const needsNewProject = "tempest.api.volume.test_volume_absolute_limits.AbsoluteLimitsTests.test_get_volume_absolute_limits";
const concurrency = 2;
const pluginName = "andiron_tempest_plugin";

export interface TempestRun {
  readonly results: readonly TestResult[];
  /** What Tempest printed. */
  readonly output: string;
}

/** Runs the tests that match `regex`; resolves when all are done, whatever came of them. */
export async function runTempest(cloud: Cloud, regex: string, folder: string, say: (text: string) => void): Promise<TempestRun> {
  const bytes = (seed: number): Uint8Array => cloud.servers?.guestImage ?? imageBytes(seed);
  const images = {
    first: await cloud.glance.createPublicImage({ name: "first", bytes: bytes(1), format: "raw" }),
    second: await cloud.glance.createPublicImage({ name: "second", bytes: bytes(2), format: "raw" }),
  };
  await mkdir(join(folder, "alone"), { recursive: true });
  await writeFile(join(folder, accountsName), await prepareAccounts(cloud.keystone, concurrency));
  await writeFile(join(folder, "tempest.conf"), writeConfiguration(cloud, images, folder, "accounts"));
  const selection = ["--regex", regex, "--exclude-regex", literally(needsNewProject)];
  const { results, output } = await runOnce(folder, selection, say);
  if (!new RegExp(regex).test(needsNewProject)) return { results, output };
  await writeFile(join(folder, "alone", "tempest.conf"), writeConfiguration(cloud, images, join(folder, "alone"), "dynamic"));
  const alone = await runOnce(join(folder, "alone"), ["--regex", literally(needsNewProject)], say);
  return { results: [...results, ...alone.results], output: output + alone.output };
}

/** One run over the tempest.conf of the folder. */
async function runOnce(folder: string, selection: readonly string[], say: (text: string) => void): Promise<TempestRun> {
  const env = { ...process.env, LC_ALL: "C.UTF-8", ...(await surroundings(folder)) };
  const args = ["run", "--config-file", join(folder, "tempest.conf"), ...selection, "--concurrency", `${concurrency}`];
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "tempest", ...args], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      say(text);
    });
  }
  await once(child, "close"); // its code says no more than the results do
  return { results: await readResults(folder, env, output), output };
}

function literally(name: string): string {
  return name.replaceAll(".", String.raw`\.`);
}

/** The rows of the two lists of this folder that count in such a cloud. */
export async function readLists(withNova: boolean): Promise<Lists> {
  const read = async (name: string): Promise<Lists["skips"]> => {
    return rowsFor(parseList(await readFile(join(import.meta.dirname, name), "utf8")), withNova);
  };
  return { failures: await read("allowed-failures.txt"), skips: await read("expected-skips.txt") };
}

/** What makes our plugin known to Tempest without installing it, and keeps what Python writes in the folder. */
async function surroundings(folder: string): Promise<Record<string, string>> {
  const python = join(folder, "python");
  const described = join(python, `${pluginName}-0.1.0.dist-info`);
  await mkdir(described, { recursive: true });
  await writeFile(join(described, "METADATA"), `Metadata-Version: 2.1\nName: ${pluginName}\nVersion: 0.1.0\n`);
  const setup = await readFile(join(import.meta.dirname, "setup.cfg"), "utf8");
  const [, entryPoint] = /^tempest\.test_plugins =\n\s+(\S.*)$/m.exec(setup) ?? [];
  if (entryPoint === undefined) throw new Error("setup.cfg names no entry point of Tempest");
  await writeFile(join(described, "entry_points.txt"), `[tempest.test_plugins]\n${entryPoint}\n`);
  return {
    PYTHONPATH: [import.meta.dirname, python].join(":"),
    PYTHONPYCACHEPREFIX: join(folder, "pycache"),
    XDG_CACHE_HOME: join(folder, "cache"),
    TEMPEST_CONFIG_DIR: folder,
    TEMPEST_CONFIG: "tempest.conf",
  };
}

async function readResults(
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
  output: string,
): Promise<TestResult[]> {
  const clean = Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
  const script = "stestr last --subunit | subunit2csv --no-passthrough";
  try {
    // Both end with 1 when a test has failed.
    const csv = await runOk("sh", ["-c", `${script} || true`], { folder, env: clean });
    return parseResults(csv);
  } catch (error) {
    throw new Error(`Tempest left no results\n${output.slice(-4000)}`, { cause: error });
  }
}

/** A small disk image, not all zeroes. */
function imageBytes(seed: number): Uint8Array {
  return new Uint8Array(1024 * 1024).fill(seed);
}
