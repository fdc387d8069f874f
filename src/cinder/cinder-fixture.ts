// A running Cinder for tests: the embedded registry on a file of its own, the engine of records, and everything swept up
// afterwards. Used by test files only.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { systemClock, type Clock } from "../common/clock.ts";
import { systemRandom } from "../common/random.ts";
import type { Registry } from "../registry/registry.ts";
import { openSqliteRegistry } from "../registry/sqlite/open.ts";
import { createCinder, type CinderOptions, type CinderService } from "./cinder.ts";
import type { RequestContext } from "./context.ts";
import { type BackupBytes, noBackupBytes } from "./backups/backup-bytes.ts";
import type { DiskCopies, MoveTask } from "./disk-copies.ts";
import { noImages } from "./images.ts";
import { noKeys } from "./keys.ts";
import { gibBytes, type LogLevel } from "./model.ts";
import type { Outbox } from "./notifications/notices.ts";
import { RulePolicy } from "./policy/rule-policy.ts";
import { anyProject, noServers } from "./ports.ts";
import { RecordControl } from "./record-control.ts";
import { defaultSettings, type CinderSettings, type QuotaDefaults } from "./settings.ts";

export interface CinderFixture {
  readonly cinder: CinderService;
  readonly control: RecordControl;
  readonly registry: Registry;
  readonly clock: Clock;
  /** Failures of background work: a test that expects none checks that this is empty. */
  readonly troubles: string[];
  /** Another process's view: a second Cinder over a second handle of the same registry. */
  openPeer(): Promise<CinderService>;
}

export interface FixtureOptions {
  readonly settings?: Partial<CinderSettings>;
  readonly quotas?: Partial<QuotaDefaults>;
  readonly servers?: CinderOptions["servers"];
  readonly projects?: CinderOptions["projects"];
  readonly images?: CinderOptions["images"];
  readonly keys?: CinderOptions["keys"];
  readonly copies?: CinderOptions["copies"];
  readonly backups?: CinderOptions["backups"];
  readonly policy?: CinderOptions["policy"];
  readonly jobKinds?: CinderOptions["jobKinds"];
  /** Where notifications go; it is asked for before Cinder is made. */
  readonly outbox?: (registry: Registry) => Promise<Outbox>;
  /** A wall clock that stands still. */
  readonly wallMs?: number;
}

export const admin = requestContext("demo", true);
export const member = requestContext("demo", false);
export const stranger = requestContext("other", false);

export function requestContext(projectId: string, isAdmin: boolean): RequestContext {
  return {
    requestId: "req-11111111-2222-4333-8444-555555555555",
    userId: `user-of-${projectId}`,
    projectId,
    roles: isAdmin ? ["admin", "member", "reader"] : ["member", "reader"],
    isAdmin,
    serviceRoles: [],
  };
}

/** There are no bytes: `reach` says up to where a GiB is copied, and compared, in a step. */
export function copiesOfGib(reach: (task: MoveTask, signal: AbortSignal) => Promise<number>): DiskCopies {
  return {
    async step(task, { signal }) {
      const { state } = task;
      if (state.phase === "rounds") return { state: { ...state, phase: "permitted" }, doneBytes: 0 };
      const offset = await reach(task, signal);
      const doneBytes = offset - state.offset;
      const since = "the beginning";
      if (offset < gibBytes) return { state: { ...state, since, offset }, doneBytes };
      return { state: { ...state, since, phase: state.phase === "copy" ? "compare" : "rounds", offset: 0 }, doneBytes };
    },
    end: () => Promise.resolve(),
  };
}

/** Backups are written, restored and erased in one step. */
const backupsAtOnce: BackupBytes = {
  ...noBackupBytes,
  isConfigured: true,
  defaultContainer: "volumebackups",
  write: ({ backupId, container }) =>
    Promise.resolve({
      cursor: {},
      done: 0,
      result: { location: { v: 1, name: `${container}/${backupId}` }, objectCount: 2, encryptionKeyId: null },
    }),
  restore: () => Promise.resolve({ cursor: {}, done: 0, isDone: true }),
  erase: () => Promise.resolve({ cursor: {}, done: 0, isDone: true }),
};

/** Ends with the test. */
export async function openFixture(test: TestContext, options: FixtureOptions = {}): Promise<CinderFixture> {
  const directory = await mkdtemp(join(tmpdir(), "andiron-cinder-"));
  const path = join(directory, "registry.db");
  const closers: (() => Promise<void>)[] = [];
  test.after(async () => {
    for (const close of closers.reverse()) await close();
    await rm(directory, { recursive: true, force: true });
  });
  const settings: CinderSettings = {
    ...defaultSettings,
    ...options.settings,
    quotas: { ...defaultSettings.quotas, ...options.quotas },
  };
  const { wallMs } = options;
  const clock: Clock = wallMs === undefined ? systemClock : { ...systemClock, wallMs: () => wallMs };
  const troubles: string[] = [];
  let level: LogLevel = "INFO";
  const open = async (): Promise<{ cinder: CinderService; control: RecordControl; registry: Registry }> => {
    const registry = await openSqliteRegistry({ path, random: systemRandom });
    closers.push(() => registry.close());
    const control = new RecordControl(registry, { clock, random: systemRandom });
    const cinder = createCinder({
      registry,
      control,
      settings,
      clock,
      random: systemRandom,
      policy: options.policy ?? new RulePolicy(),
      servers: options.servers ?? noServers,
      projects: options.projects ?? anyProject,
      images: options.images ?? noImages,
      keys: options.keys ?? noKeys,
      copies: options.copies ?? copiesOfGib(async () => gibBytes),
      backups: options.backups ?? backupsAtOnce,
      log: { level: () => level, setLevel: (wanted) => void (level = wanted) },
      jobObserver: { progressed: () => undefined, failed: () => undefined, ended: () => undefined },
      ...(options.outbox === undefined ? {} : { outbox: await options.outbox(registry) }),
      ...(options.jobKinds === undefined ? {} : { jobKinds: options.jobKinds }),
      onTrouble: (what, error) => troubles.push(`${what}: ${String(error)}`),
    });
    await cinder.start();
    closers.push(() => cinder.stop());
    return { cinder, control, registry };
  };
  const main = await open();
  return { ...main, clock, troubles, openPeer: async () => (await open()).cinder };
}
