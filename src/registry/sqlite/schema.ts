// The file: how it is opened, what tables it has, how it grows from version to version.
//
// - A file is ours when its application_id says so; an empty file becomes ours; anything else is refused unchanged.
// - `user_version` is the schema's version. Each step of `steps` raises it by one, all missing ones in one transaction;
//   the ledger table remembers when. A file newer than the last step is refused: an old program must not write to it.
// - WAL, synchronous=FULL: a COMMIT that returned survives power loss. The file is readable by its owner only: export
//   names in it are secrets.
// It does not read or write records.

import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { AndironError } from "../../common/errors.ts";
import type { Clock } from "../../common/clock.ts";

export const applicationId = 0x416e_6472; // "Andr"

const steps: readonly string[] = [
  `CREATE TABLE ledger (version INTEGER PRIMARY KEY, applied_at_ms INTEGER NOT NULL);
   CREATE TABLE state (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     revision INTEGER NOT NULL,        -- of the last transaction that wrote
     first_revision INTEGER NOT NULL,  -- oldest one that changes still holds
     history_bytes INTEGER NOT NULL    -- sum of the lengths of changes.events
   );
   INSERT INTO state VALUES (1, 0, 1, 0);
   CREATE TABLE entries (
     key TEXT NOT NULL PRIMARY KEY,
     value TEXT NOT NULL,
     create_revision INTEGER NOT NULL,
     mod_revision INTEGER NOT NULL,
     lease_id TEXT
   );
   CREATE INDEX entries_by_lease ON entries (lease_id) WHERE lease_id IS NOT NULL;
   CREATE TABLE changes (revision INTEGER PRIMARY KEY, events TEXT NOT NULL);
   CREATE TABLE leases (id TEXT PRIMARY KEY, ttl_ms INTEGER NOT NULL, boot_id TEXT NOT NULL, expires_ms REAL NOT NULL);`,
];

export const schemaVersion = steps.length;

const busy = 5;
const corrupt = 11;
const notDatabase = 26;
const fsyncFailed = [1034, 1290]; // SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC

function resultCode(error: unknown): number {
  return error instanceof Error && "errcode" in error ? Number(error.errcode) : 0;
}

/** True when another process holds the lock: trying again is all it takes. */
export function isBusy(error: unknown): boolean {
  return (resultCode(error) & 0xff) === busy;
}

/** True after a failed fsync, when the operating system may believe that lost pages are clean. */
export function isFsyncFailure(error: unknown): boolean {
  return fsyncFailed.includes(resultCode(error));
}

/** An AndironError for whatever SQLite threw; AndironErrors pass. */
export function asRegistryError(error: unknown, path: string): AndironError {
  if (error instanceof AndironError) return error;
  const code = resultCode(error) & 0xff;
  if (code === corrupt || code === notDatabase) {
    const hint = "restore the file from a copy; sqlite3's .recover may save records";
    return new AndironError("registry_damaged", `the registry file ${path} is damaged`, { cause: error, hint });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new AndironError("registry_unavailable", `the registry file ${path}: ${reason}`, { cause: error });
}

function readPragma(database: DatabaseSync, name: string): number {
  const row = database.prepare(`PRAGMA ${name}`).get();
  return Number(row?.[name]);
}

/** Throws registry_too_new when a newer program has upgraded the file; returns its version. */
export function checkVersion(database: DatabaseSync, path: string): number {
  const version = readPragma(database, "user_version");
  if (version > schemaVersion) {
    throw new AndironError(
      "registry_too_new",
      `the registry file ${path} has version ${version}, this program knows ${schemaVersion}`,
      {
        hint: "run the newer Andiron, or restore the copy that was made before the upgrade",
      },
    );
  }
  return version;
}

function checkOurs(database: DatabaseSync, path: string): void {
  if (readPragma(database, "application_id") === applicationId) return;
  const tables = database.prepare("SELECT count(*) AS count FROM sqlite_schema").get();
  if (Number(tables?.["count"]) === 0) return;
  throw new AndironError("registry_damaged", `${path} is a database, but not an Andiron registry`, {
    hint: "check the configured path",
  });
}

function upgrade(database: DatabaseSync, path: string, wallMs: number): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    database.exec(`PRAGMA application_id = ${applicationId}`);
    for (let version = checkVersion(database, path); version < schemaVersion; version++) {
      database.exec(steps[version] ?? "");
      database.exec(`INSERT INTO ledger VALUES (${version + 1}, ${Math.trunc(wallMs)}); PRAGMA user_version = ${version + 1}`);
    }
    database.exec("COMMIT");
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

function openOnce(path: string, clock: Clock, durable: boolean): DatabaseSync {
  closeSync(openSync(path, "a", 0o600));
  const database = new DatabaseSync(path, { timeout: 1000 });
  try {
    checkOurs(database, path);
    const version = checkVersion(database, path);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864");
    if (!durable) database.exec("PRAGMA synchronous = OFF");
    database.exec("PRAGMA trusted_schema = OFF; PRAGMA cache_size = -16384");
    if (version < schemaVersion) upgrade(database, path, clock.wallMs());
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Opens the file for writing, creating or upgrading it. Waits up to `lockTimeoutMs` for other processes that do the same.
 * Without `durable` power loss may take anything: for what is thrown away afterwards.
 * Throws registry_damaged, registry_too_new, registry_unavailable.
 */
export async function openDatabase(path: string, clock: Clock, lockTimeoutMs: number, durable = true): Promise<DatabaseSync> {
  const deadlineMs = clock.monotonicMs() + lockTimeoutMs;
  for (;;) {
    try {
      return openOnce(path, clock, durable);
    } catch (error) {
      if (!isBusy(error) || clock.monotonicMs() >= deadlineMs) throw asRegistryError(error, path);
      await clock.sleep(10);
    }
  }
}

/** Opens an existing file for reading only, while others write. Same errors. */
export function openDatabaseForReading(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    if (readPragma(database, "application_id") !== applicationId) {
      throw new AndironError("registry_damaged", `${path} is not an Andiron registry`, { hint: "check the configured path" });
    }
    if (checkVersion(database, path) < schemaVersion) {
      throw new AndironError("registry_unavailable", `the registry file ${path} has not been upgraded yet`, {
        hint: "start the service once",
      });
    }
    return database;
  } catch (error) {
    database?.close();
    throw asRegistryError(error, path);
  }
}
