// A lock on a state directory that dies with its process, whatever ends it: so a restarted service may take it as proof
// that its predecessor is dead.
//
// - The lock is the kernel's (an exclusive lock on DIRECTORY/lock, taken through SQLite because Node has no file locks of
//   its own). No file's presence means anything, nothing has to be cleaned up, and a kill -9 gives the lock up.
// - DIRECTORY/lock.json says who holds it (pid, start time, command). It is for messages and for scripts/bootstrap.js: it
//   never decides. A dead process's lock.json is told by its start time.
// - A held lock is kept in `held`: SQLite's connection is closed when it is garbage, and the lock would go with it.
// - POSIX locks are per process: nothing else in the process may open DIRECTORY/lock, or the lock would be lost.
// It guards the processes of one machine. Between machines the registry's leases decide.

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AndironError } from "./errors.ts";
import { type ProcessIdentity, identifyProcess } from "./process-identity.ts";

export interface StateLock {
  /** Gives the lock up. Safe to call twice. */
  release(): void;
}

const held = new Set<DatabaseSync>();

/** SQLite's result codes for a lock that another connection holds, and for a full lock table. */
const busyCodes = new Set([5, 6]);

/**
 * Takes the lock on `directory`, making the directory when it is not there; never waits.
 * Throws state_locked, naming the holder, when a live process has it.
 */
export function lockState(directory: string): StateLock {
  mkdirSync(directory, { recursive: true, mode: 0o750 });
  const database = new DatabaseSync(join(directory, "lock"));
  try {
    // In memory: a rollback journal would leave a file for the next holder to look at.
    database.exec("PRAGMA journal_mode = MEMORY; PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    if (!isBusy(cause)) throw cause;
    throw lockedError(directory, cause);
  }
  held.add(database);
  writeHolder(directory);
  return {
    release: () => {
      if (!held.delete(database)) return;
      rmSync(holderPath(directory), { force: true });
      database.close();
    },
  };
}

/** Who holds the lock on `directory`, as far as it has said so and lives. For messages: it may change at any time. */
export function readLockHolder(directory: string): ProcessIdentity | undefined {
  try {
    const said = JSON.parse(readFileSync(holderPath(directory), "utf8")) as ProcessIdentity;
    const live = identifyProcess(said.pid);
    return live?.startTicks === said.startTicks ? live : undefined;
  } catch {
    return undefined;
  }
}

function writeHolder(directory: string): void {
  const path = holderPath(directory);
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(identifyProcess(process.pid))}\n`);
  renameSync(draft, path);
}

function lockedError(directory: string, cause: unknown): AndironError {
  const holder = readLockHolder(directory);
  const who = holder === undefined ? "a process that has not said who it is" : `pid ${holder.pid} (${holder.command})`;
  const hint = "stop that process, or give this one its own [DEFAULT] state_path";
  return new AndironError("state_locked", `the state directory ${directory} is in use by ${who}`, { cause, hint });
}

function holderPath(directory: string): string {
  return join(directory, "lock.json");
}

function isBusy(error: unknown): boolean {
  if (!(error instanceof Error) || !("errcode" in error)) return false;
  return typeof error.errcode === "number" && busyCodes.has(error.errcode & 0xff);
}
