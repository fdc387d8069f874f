// The operator's tool: looks at (and in gc, works on) registry and backends, beside the running service or without it.
//
//   andiron-manage [--config-file F] service list
//   andiron-manage [--config-file F] vdisk list | show ID | verify [ID] [--no-data]
//   andiron-manage [--config-file F] registry dump [PREFIX]
//   andiron-manage [--config-file F] gc status | run
//   andiron-manage [--config-file F] jobs list [--all] | show ID | cancel ID
//   andiron-manage [--config-file F] notifications list | show ID | purge
//
// Exit code 0: fine; 1: findings or failure; 2: wrong use. Output is a table, or JSON with --json.
// A record of the engine that cannot be read is told of on stderr, with exit code 1; others are shown.

import { AndironError } from "../common/errors.ts";
import { systemRandom } from "../common/random.ts";
import { Cleaner } from "../engine/cleaner/cleaner.ts";
import { readAll } from "../engine/cleaner/log-state.ts";
import { openViewer } from "./viewer.ts";
import type { EpochRecord, LogRecord, RetiredRecord, RouterRecord, SnapshotRecord, VdiskRecord } from "../engine/records.ts";
import { keys, parseRecord, readableRecords } from "../engine/records.ts";
import { Verifier } from "../engine/verify.ts";
import type { Registry } from "../registry/registry.ts";
import { openSqliteRegistry } from "../registry/sqlite/open.ts";
import { engineSettings, openBackends } from "./engine-part.ts";
import { askForEnd, listJobs, showJob } from "./manage-jobs.ts";
import { listNotifications, purgeNotifications, showNotifications } from "./manage-notifications.ts";
import type { ProcessSetup } from "./process-setup.ts";
import { setUpProcess } from "./process-setup.ts";
import { describeFailure } from "./service-run.ts";

const program = "andiron-manage";
const exit = { fine: 0, failed: 1, usage: 2 } as const;
const usage = `usage: ${program} [--config-file FILE] [--json] service list
       ${program} vdisk list | show ID | verify [ID] [--no-data]
       ${program} registry dump [PREFIX]
       ${program} gc status | run
       ${program} jobs list [--all] | show ID | cancel ID
       ${program} notifications list | show ID | purge
`;

interface Command {
  readonly setup: ProcessSetup;
  readonly registry: Registry;
  readonly json: boolean;
  readonly operands: readonly string[];
  /** Says what is wrong with a record. */
  readonly damaged: (problem: string) => void;
}

const commands: Readonly<Record<string, (command: Command) => Promise<number>>> = {
  "service list": listServices,
  "vdisk list": listVdisks,
  "vdisk show": showVdisk,
  "vdisk verify": verifyVdisks,
  "registry dump": dumpRegistry,
  "gc status": showGarbage,
  "gc run": collectGarbage,
  "jobs list": listAllJobs,
  "jobs show": showOneJob,
  "jobs cancel": cancelOneJob,
  "notifications list": async ({ registry, json }) => {
    print(await listNotifications(registry), json);
    return exit.fine;
  },
  "notifications show": showWaiting,
  "notifications purge": async ({ registry }) => {
    process.stdout.write(`${await purgeNotifications(registry)} records deleted\n`);
    return exit.fine;
  },
};

/** Those below a prefix that can be read. */
async function readable<T extends { readonly v: 1 }>({ registry, damaged }: Command, prefix: string): Promise<T[]> {
  return readableRecords<T>(await readAll(registry, prefix), ({ message }) => damaged(message));
}

async function listServices(command: Command): Promise<number> {
  const routers = await readable<RouterRecord>(command, keys.routers);
  const rows = routers.map((router) => ({
    router: router.id,
    host: router.host,
    pools: router.pools.join(","),
    nbd: router.nbdHosts.map((host) => `${host}:${router.nbdPort}`).join(","),
    reported: new Date(router.reportedAtMs).toISOString(),
  }));
  print(rows, command.json);
  return exit.fine;
}

async function listVdisks(command: Command): Promise<number> {
  const vdisks = await readable<VdiskRecord>(command, keys.vdisks);
  const rows = vdisks.map(({ id, name, pool, sizeBytes, state, exports }) => ({
    id,
    name,
    pool,
    sizeBytes,
    state,
    exports: exports.length,
  }));
  print(rows, command.json);
  return exit.fine;
}

async function showVdisk(command: Command): Promise<number> {
  const { registry, operands } = command;
  const [id] = operands;
  if (id === undefined) return wrongUse();
  const entry = await registry.get(keys.vdisk(id));
  if (entry === undefined) throw vdiskNotFound(id);
  const vdisk = parseRecord<VdiskRecord>(entry.key, entry.value);
  const log = await registry.get(keys.log(vdisk.log));
  const [logRecord] = readableRecords<LogRecord>(log === undefined ? [] : [log], ({ message }) => command.damaged(message));
  const snapshots = await readable<SnapshotRecord>(command, keys.snapshots);
  const shown = {
    vdisk,
    log: logRecord ?? null,
    epochs: await readable<EpochRecord>(command, keys.epochs(vdisk.log)),
    snapshots: snapshots.filter((snapshot) => snapshot.vdisk === id),
  };
  process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
  return exit.fine;
}

async function verifyVdisks({ setup, registry, json, operands }: Command): Promise<number> {
  const [id] = operands;
  if (id !== undefined && (await registry.get(keys.vdisk(id))) === undefined) throw vdiskNotFound(id);
  const backends = await openBackends({ config: setup.config, registry }, undefined);
  let clean = true;
  for (const [pool, backend] of backends) {
    const context = openViewer({ pool, registry, backend, settings: engineSettings(setup.config), log: setup.log });
    const result = await new Verifier(context, { readData: !setup.flags.has("no-data") }).run(id);
    clean &&= result.findings.length === 0;
    if (json) process.stdout.write(`${JSON.stringify({ pool, ...result })}\n`);
    else {
      for (const finding of result.findings) process.stdout.write(`${finding}\n`);
      const { logs, segments, views, clusters, unchecked, findings } = result;
      if (unchecked > 0) process.stdout.write(`${pool}: ${unchecked} views not checked: their end is in their owner's journal\n`);
      process.stdout.write(
        `${pool}: ${logs} logs, ${segments} segments, ${views} views, ${clusters} clusters checked, ` +
          `${findings.length} findings\n`,
      );
    }
    await backend.close();
  }
  return clean ? exit.fine : exit.failed;
}

async function dumpRegistry({ registry, operands, damaged }: Command): Promise<number> {
  for (const { key, value, modRevision, leaseId } of await readAll(registry, operands[0] ?? "")) {
    const shown = shownValue(value);
    if (shown.damagedChars !== undefined) damaged(`record ${key} is not JSON`);
    process.stdout.write(`${JSON.stringify({ key, modRevision, leaseId, ...shown }, withoutSecrets)}\n`);
  }
  return exit.fine;
}

/** What is no JSON is not shown: there could be a secret in it. */
function shownValue(text: string): { readonly value?: unknown; readonly damagedChars?: number } {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return { damagedChars: text.length };
  }
}

/** The name in an attachment's connection_info lets whoever knows it into the disk. */
function withoutSecrets(key: string, value: unknown): unknown {
  return key === "connectionInfo" && typeof value === "object" && value !== null ? { ...value, name: "***" } : value;
}

async function showGarbage(command: Command): Promise<number> {
  const retired = await readable<RetiredRecord>(command, keys.retiredAll);
  const logs = await readable<LogRecord>(command, keys.logs);
  const rows = [
    { what: "objects that wait to be deleted", count: retired.length },
    {
      what: "logs without a disk (kept by snapshots or clones)",
      count: logs.filter((log) => log.vdisk === null && log.dead !== true).length,
    },
    { what: "logs that are being deleted", count: logs.filter((log) => log.dead === true).length },
    { what: "logs in all", count: logs.length },
  ];
  print(rows, command.json);
  return exit.fine;
}

/** One pass of the cleaner over what nobody owns. What it retires is deleted by the routers when it has aged. */
async function collectGarbage({ setup, registry, json }: Command): Promise<number> {
  const backends = await openBackends({ config: setup.config, registry }, undefined);
  const rows = [];
  for (const [pool, backend] of backends) {
    const context = openViewer({ pool, registry, backend, settings: engineSettings(setup.config), log: setup.log });
    rows.push({ pool, ...(await new Cleaner(context).pass()) });
    await backend.close();
  }
  print(rows, json);
  return exit.fine;
}

async function listAllJobs({ setup, registry, json }: Command): Promise<number> {
  print(await listJobs(registry, setup.flags.has("all"), setup.config.jobs.tries_max), json);
  return exit.fine;
}

async function showOneJob({ setup, registry, operands: [id] }: Command): Promise<number> {
  if (id === undefined) return wrongUse();
  process.stdout.write(`${JSON.stringify(await showJob(registry, id, setup.config.jobs.tries_max), null, 2)}\n`);
  return exit.fine;
}

async function cancelOneJob({ registry, operands: [id] }: Command): Promise<number> {
  if (id === undefined) return wrongUse();
  await askForEnd(registry, id);
  return exit.fine;
}

async function showWaiting({ registry, operands: [id] }: Command): Promise<number> {
  if (id === undefined) return wrongUse();
  process.stdout.write(`${JSON.stringify(await showNotifications(registry, id), null, 2)}\n`);
  return exit.fine;
}

function print(rows: readonly Readonly<Record<string, unknown>>[], json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(rows)}\n`);
    return;
  }
  const columns = Object.keys(rows[0] ?? { nothing: "" });
  const cells = [columns, ...rows.map((row) => columns.map((column) => String(row[column])))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)));
  for (const line of cells)
    process.stdout.write(
      `${line
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join("  ")
        .trimEnd()}\n`,
    );
}

const vdiskNotFound = (id: string): AndironError => new AndironError("vdisk_not_found", `vDisk ${id} does not exist`);

function wrongUse(): number {
  process.stderr.write(usage);
  return exit.usage;
}

/** Undefined for a command line that is wrong, which is then said. */
function setUp(): ProcessSetup | undefined {
  try {
    return setUpProcess({ program, argv: process.argv.slice(2), flags: ["json", "no-data", "all"], lockState: false });
  } catch (error) {
    if (!(error instanceof AndironError) || error.code !== "invalid_request") throw error;
    process.stderr.write(`${describeFailure(program, error)}\n`);
    return undefined;
  }
}

async function main(): Promise<number> {
  const setup = setUp();
  if (setup === undefined) return wrongUse();
  const [group, verb, ...operands] = setup.rest;
  const command = commands[`${group} ${verb}`];
  if (command === undefined) return wrongUse();
  const registry = await openSqliteRegistry({ path: setup.config.registry.connection, random: systemRandom });
  let unreadable = 0;
  const damaged = (problem: string): void => {
    unreadable++;
    process.stderr.write(`${program}: ${problem}\n`);
  };
  try {
    const code = await command({ setup, registry, json: setup.flags.has("json"), operands, damaged });
    return unreadable > 0 ? exit.failed : code;
  } finally {
    await registry.close();
    await setup.log.flush();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${describeFailure(program, error)}\n`);
  process.exitCode = exit.failed;
}
