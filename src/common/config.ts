// The configuration of a process: defaults from the table in options.ts, overridden by files, checked, typed.
//
// - Files are read in the order given, then the *.conf files of each directory in the order of their names; the last
//   value of an option wins.
// - $name, ${name} and ${group.name} in a value stand for another option's value; $$ is a dollar sign.
// - Everything wrong is reported at once, each with file, line, group and option, in one config_invalid.
// - An option that is not known in a group that is known is a warning with the nearest name, never an error: files outlive
//   versions. Groups that are not ours are left alone.
// It holds no state: loading twice gives two configurations.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { checkTogether } from "./config-rules.ts";
import { type ConfigEntry, parseConfigFile } from "./config-file.ts";
import { AndironError } from "./errors.ts";
import { nearestName } from "./nearest-name.ts";
import { type Option, OptionProblem } from "./option-types.ts";
import { backendOptions, optionGroups } from "./options.ts";

type ValuesOf<Group> = { readonly [Name in keyof Group]: Group[Name] extends Option<infer Value> ? Value : never };
export type OptionValues = { readonly [Group in keyof typeof optionGroups]: ValuesOf<(typeof optionGroups)[Group]> };
export type BackendValues = ValuesOf<typeof backendOptions>;

export interface Config extends OptionValues {
  /** By the names in enabled_backends, in that order. */
  readonly backends: ReadonlyMap<string, BackendValues>;
  /** To be logged once the log is open. */
  readonly warnings: readonly string[];
}

export interface ConfigSources {
  readonly files: readonly string[];
  readonly directories: readonly string[];
  /** What $hostname stands for. */
  readonly hostname: string;
  /** What $default_state_path stands for. */
  readonly defaultStatePath: string;
}

type Group = Readonly<Record<string, Option<unknown>>>;

const referenceDepthMax = 16;

export interface ConfigArguments {
  readonly files: string[];
  readonly directories: string[];
  /** Those of the program's own flags that were given. */
  readonly flags: ReadonlySet<string>;
  readonly rest: string[];
}

/**
 * The files and directories that a command line names, and what is left of it. `flags` are the program's own options without
 * a value, by their names without dashes. Throws invalid_request for a bad one.
 */
export function readConfigArguments(argv: readonly string[], flags: readonly string[] = []): ConfigArguments {
  const text = { type: "string", multiple: true } as const;
  const flag = { type: "boolean" } as const;
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: { ...Object.fromEntries(flags.map((name) => [name, flag])), "config-file": text, "config-dir": text },
      allowPositionals: true,
    });
    return {
      files: values["config-file"] ?? [],
      directories: values["config-dir"] ?? [],
      flags: new Set(flags.filter((name) => name in values)),
      rest: positionals,
    };
  } catch (cause) {
    throw new AndironError("invalid_request", `command line: ${(cause as Error).message}`, { cause });
  }
}

/** Reads, checks and types the configuration. Throws config_invalid, with a line for each problem. */
export function loadConfig(sources: ConfigSources): Config {
  const entries = readEntries(sources);
  const problems: string[] = [];
  const resolver = new Resolver(entries, builtIns(sources), problems);
  const groups: Record<string, unknown> = {};
  for (const [name, group] of Object.entries(optionGroups)) groups[name] = resolver.group(name, group, new Map());
  const values = groups as OptionValues;

  const backends = new Map<string, BackendValues>();
  for (const name of values.DEFAULT.enabled_backends) {
    if (name in optionGroups)
      problems.push(`${resolver.where("DEFAULT", "enabled_backends")}: "${name}" is a group of another use`);
    else backends.set(name, resolver.group(name, backendOptions, new Map([["backend_name", name]])) as BackendValues);
  }
  const config = { ...values, backends, warnings: findUnknown(entries, backends) };
  if (problems.length === 0) {
    for (const broken of checkTogether(config)) {
      problems.push(`${resolver.where(broken.group, broken.name)}: ${broken.problem}`);
    }
  }
  if (problems.length > 0) throw new AndironError("config_invalid", problems.join("\n"));
  return config;
}

function builtIns({ files, directories, hostname, defaultStatePath }: ConfigSources): Record<string, string> {
  const [place = "/etc/andiron"] = [...files.map((file) => dirname(file)), ...directories];
  return { hostname, default_state_path: defaultStatePath, config_dir: place };
}

function readEntries({ files, directories }: ConfigSources): ConfigEntry[] {
  const paths = [...files];
  for (const directory of directories) {
    const names = attempt(directory, () => readdirSync(directory)).filter((name) => name.endsWith(".conf"));
    paths.push(...names.sort().map((name) => join(directory, name)));
  }
  return paths.flatMap((path) =>
    parseConfigFile(
      attempt(path, () => readFileSync(path, "utf8")),
      path,
    ),
  );
}

function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new AndironError("config_invalid", `cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}

function findUnknown(entries: readonly ConfigEntry[], backends: ReadonlyMap<string, unknown>): string[] {
  const known = new Map<string, Group>(Object.entries(optionGroups));
  for (const name of backends.keys()) known.set(name, backendOptions);
  const warnings: string[] = [];
  for (const { group, name, file, line } of entries) {
    const options = known.get(group);
    if (options === undefined || Object.hasOwn(options, name)) continue;
    const near = nearestName(name, Object.keys(options));
    const advice = near === undefined ? "" : `; did you mean ${near}?`;
    warnings.push(`${file}:${line}: [${group}] ${name} is not an option of this version and is ignored${advice}`);
  }
  return warnings;
}

/** Turns entries into values; collects what is wrong with them in `problems`. */
class Resolver {
  readonly #entries = new Map<string, ConfigEntry[]>();
  readonly #builtIns: ReadonlyMap<string, string>;
  readonly #problems: string[];

  constructor(entries: readonly ConfigEntry[], builtIns: Readonly<Record<string, string>>, problems: string[]) {
    this.#builtIns = new Map(Object.entries(builtIns));
    this.#problems = problems;
    for (const entry of entries) {
      const key = `${entry.group}.${entry.name}`;
      this.#entries.set(key, [...(this.#entries.get(key) ?? []), entry]);
    }
  }

  group(name: string, options: Group, extra: ReadonlyMap<string, string>): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const [option, { parse }] of Object.entries(options)) {
      let text = this.#text(name, option, options) ?? "";
      try {
        text = this.#substitute(text, name, options, extra, 0);
        values[option] = parse(text);
      } catch (error) {
        if (!(error instanceof OptionProblem)) throw error;
        this.#problems.push(`${this.where(name, option)}: "${text}" ${error.message}`);
      }
    }
    return values;
  }

  /** "andiron.conf:12: [nbd] port", or without a place when the value is the default. */
  where(group: string, name: string): string {
    const entry = this.#entries.get(`${group}.${name}`)?.at(-1);
    return entry === undefined ? `[${group}] ${name}` : `${entry.file}:${entry.line}: [${group}] ${name}`;
  }

  #text(group: string, name: string, options: Group): string | undefined {
    const entries = this.#entries.get(`${group}.${name}`) ?? [];
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (option?.repeats === true && entries.length > 0) return entries.map((entry) => entry.value).join("\n");
    return entries.at(-1)?.value ?? option?.defaultText;
  }

  #substitute(text: string, group: string, options: Group, extra: ReadonlyMap<string, string>, depth: number): string {
    if (depth > referenceDepthMax) throw new OptionProblem("refers to itself");
    return text.replaceAll(/\$(?:\$|\{([\w.-]+)\}|(\w+))/g, (whole, braced?: string, plain?: string) => {
      const name = braced ?? plain;
      if (name === undefined) return "$";
      const found = extra.get(name) ?? this.#refer(name, group, options, extra, depth) ?? this.#builtIns.get(name);
      if (found === undefined) throw new OptionProblem(`refers to ${whole}, which is no option`);
      return found;
    });
  }

  /** The text of the option that `name` means inside `group`: its own, [DEFAULT]'s, or group.name. */
  #refer(name: string, group: string, options: Group, extra: ReadonlyMap<string, string>, depth: number): string | undefined {
    const dot = name.lastIndexOf(".");
    if (dot >= 0) {
      const other = name.slice(0, dot);
      const table: Group | undefined = Object.entries(optionGroups).find(([key]) => key === other)?.[1];
      const text = table && this.#text(other, name.slice(dot + 1), table);
      return text === undefined ? undefined : this.#substitute(text, other, table ?? {}, new Map(), depth + 1);
    }
    const own = this.#text(group, name, options);
    if (own !== undefined) return this.#substitute(own, group, options, extra, depth + 1);
    const shared = this.#text("DEFAULT", name, optionGroups.DEFAULT);
    return shared === undefined ? undefined : this.#substitute(shared, "DEFAULT", optionGroups.DEFAULT, new Map(), depth + 1);
  }
}
