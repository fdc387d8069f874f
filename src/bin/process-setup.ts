// What every Andiron process does before its services start: reads the configuration, opens the log, the metrics and,
// for a process with state, the lock on the state directory. In that order: from the log on, all that goes wrong is logged.
//
// Where things are: a checkout (it has scripts/bootstrap.js) keeps its state in var/ and reads etc/andiron/andiron.conf of
// its own; an installed Andiron uses /var/lib/andiron and /etc/andiron/andiron.conf with the files in andiron.conf.d.
// Without --config-file and --config-dir those are read as far as they are there.

import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../common/clock.ts";
import { type Config, type ConfigSources, loadConfig, readConfigArguments } from "../common/config.ts";
import { type Log, followHangups, logFilePath, openLog } from "../common/log.ts";
import { Metrics } from "../common/metrics.ts";
import { type StateLock, lockState } from "../common/state-lock.ts";

export interface ProcessSetup {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly version: string;
  /** Of [DEFAULT] state_path; undefined when it was not asked for. */
  readonly lock: StateLock | undefined;
  /** Those of SetupOptions.flags that were given. */
  readonly flags: ReadonlySet<string>;
  /** Arguments that are not about the configuration, and no flags. */
  readonly rest: readonly string[];
}

export interface SetupOptions {
  /** "andiron", "andiron-api": the first part of its loggers' names, and its log file's name. */
  readonly program: string;
  readonly argv: readonly string[];
  /** The program's own options without a value, by their names without dashes. */
  readonly flags?: readonly string[];
  /** Whether this process is the one that uses the state directory. */
  readonly lockState: boolean;
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Throws AndironError: invalid_request for a bad command line, and config_invalid or state_locked. */
export function setUpProcess({ program, argv, flags: ownFlags, lockState: wantsLock }: SetupOptions): ProcessSetup {
  const { files, directories, flags, rest } = readConfigArguments(argv, ownFlags);
  const sources = findSources(files, directories);
  const config = loadConfig(sources);
  const metrics = new Metrics();
  metrics.collectProcess();
  const version = readVersion();
  metrics.gauge("andiron_build_info").set({ version, node: process.version }, 1);
  const lines = metrics.counter("andiron_log_lines_total");
  const { debug, use_json, state_path } = config.DEFAULT;
  const log = openLog({
    program,
    file: logFilePath(program, config.DEFAULT),
    json: use_json,
    debug,
    clock: systemClock,
    countLine: (level) => lines.add({ level }),
  });
  followHangups(log, () => loadConfig(sources).DEFAULT.debug);
  for (const warning of config.warnings) log.warning(warning);
  const lock = wantsLock ? lockState(state_path) : undefined;
  return { config, log, metrics, version, lock, flags, rest };
}

function findSources(files: readonly string[], directories: readonly string[]): ConfigSources {
  const checkout = existsSync(join(root, "scripts", "bootstrap.js"));
  const shared = { hostname: hostname(), defaultStatePath: checkout ? join(root, "var") : "/var/lib/andiron" };
  if (files.length > 0 || directories.length > 0) return { ...shared, files, directories };
  const place = checkout ? join(root, "etc", "andiron") : "/etc/andiron";
  const file = join(place, "andiron.conf");
  const directory = join(place, "andiron.conf.d");
  return { ...shared, files: existsSync(file) ? [file] : [], directories: existsSync(directory) ? [directory] : [] };
}

function readVersion(): string {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  return version;
}
