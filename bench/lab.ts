// One run's surroundings: Andiron and its peers running side by side on one directory, a filled disk on each, and the
// quiet between two measurements.
//
// - Every target's main disk is written over its whole range before anything is measured.
// - After writes the file system is synced and our own background work (upload, checkpoint) is waited for, so that nobody
//   measures what somebody else left behind.
// - dispose() ends all processes and removes all files.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../src/common/clock.ts";
import { runOk } from "../test/harness/command.ts";
import { prepareAndiron, type AndironProcess, type ConfigGroups } from "../test/harness/service.ts";
import { runFio } from "./fio.ts";
import { openAndiron, openPeer, ourName, peerNames, type Disk, type Target, type TargetName } from "./target.ts";

const mebibyte = 2 ** 20;

export interface Scale {
  readonly rounds: number;
  readonly runMs: number;
  /** Before the rounds, not counted. */
  readonly warmUpMs: number;
  /** Of each target's main disk; all of it stays in the caches. */
  readonly rangeBytes: number;
  /** Of a disk of which nothing is in a cache. */
  readonly coldBytes: number;
  /** Written before steady state is measured: at least four times the journal of that Andiron. */
  readonly steadyBytes: number;
  readonly copyBytes: number;
  readonly sparseGibibytes: number;
  /** 0: nothing is synced or waited for. */
  readonly settleMsMax: number;
  readonly apiCalls: number;
}

export const fullScale: Scale = {
  rounds: 5,
  runMs: 3000,
  warmUpMs: 1000,
  rangeBytes: 512 * mebibyte,
  coldBytes: 4096 * mebibyte,
  steadyBytes: 1024 * mebibyte,
  copyBytes: 512 * mebibyte,
  sparseGibibytes: 8,
  settleMsMax: 10_000,
  apiCalls: 50,
};

export const quickScale: Scale = {
  rounds: 1,
  runMs: 150,
  warmUpMs: 0,
  rangeBytes: 64 * mebibyte,
  coldBytes: 64 * mebibyte,
  steadyBytes: 64 * mebibyte,
  copyBytes: 64 * mebibyte,
  sparseGibibytes: 1,
  settleMsMax: 0,
  apiCalls: 4,
};

/** The cache holds the range this many times. */
const fillPasses = 2;

/** Share of one core below which our process counts as idle, over this time. */
const idleShare = 0.1;
const idleWindowMs = 100;

const steadyDirtyBytes = 256 * mebibyte;
const dirtyLimitFiles = ["dirty_ratio", "dirty_background_ratio", "dirty_bytes", "dirty_background_bytes"].map(
  (name) => `/proc/sys/vm/${name}`,
);

export class Lab {
  readonly scale: Scale;
  readonly service: AndironProcess;
  readonly targets: ReadonlyMap<TargetName, Target>;
  readonly #mainDisks = new Map<Target, Promise<Disk>>();
  #dirtyLimits: readonly { readonly path: string; readonly before: string }[] | undefined;
  readonly #variants = new Map<string, Promise<Target>>();

  constructor(scale: Scale, service: AndironProcess, targets: readonly Target[]) {
    this.scale = scale;
    this.service = service;
    this.targets = new Map(targets.map((target) => [target.name, target]));
  }

  /** All files of all targets are below it. */
  get folder(): string {
    return this.service.folder;
  }

  /** The target's filled disk; the first caller waits for it to be filled. */
  mainDisk(target: Target): Promise<Disk> {
    let disk = this.#mainDisks.get(target);
    if (disk === undefined) {
      disk = this.filledDisks(target, 1, this.scale.rangeBytes).then(([first]) => first!);
      this.#mainDisks.set(target, disk);
    }
    return disk;
  }

  /** Another Andiron, configured otherwise and started by the first who asks, in place of ours; a peer is what it is. */
  variant(target: Target, name: string, config: ConfigGroups): Promise<Target> {
    if (target.name !== ourName) return Promise.resolve(target);
    let variant = this.#variants.get(name);
    if (variant === undefined) {
      variant = startAndiron(config).then(({ target: other }) => other);
      this.#variants.set(name, variant);
    }
    return variant;
  }

  /** A target besides those of the lab, opened by the first who asks and stopped with the lab. */
  addTarget(name: string, open: () => Target): Promise<Target> {
    let target = this.#variants.get(name);
    if (target === undefined) {
      target = Promise.resolve(open());
      this.#variants.set(name, target);
    }
    return target;
  }

  /** The system writes what is dirty at once, and holds writers up soon. Put back by dispose(). Root only. */
  lowerDirtyLimits(): void {
    if (this.#dirtyLimits !== undefined) return;
    this.#dirtyLimits = dirtyLimitFiles.map((path) => ({ path, before: readFileSync(path, "utf8") }));
    for (const path of dirtyLimitFiles.slice(-2))
      writeFileSync(path, String(steadyDirtyBytes / (path.includes("background") ? 2 : 1)));
  }

  /** New disks, the first `rangeBytes` written as often as it takes to have touched all of the cache's memory. */
  async filledDisks(target: Target, count: number, rangeBytes: number, passes: number = fillPasses): Promise<readonly Disk[]> {
    const disks: Disk[] = [];
    while (disks.length < count) disks.push(await target.openDisk(Math.ceil(rangeBytes / 1024 / mebibyte)));
    // Our cache takes writes of up to 64 KiB.
    const fill = { pattern: "write", blockBytes: 64 * 1024, depth: 32 } as const;
    await runFio(disks, fill, rangeBytes, { passes }, this.folder);
    await this.settle();
    return disks;
  }

  /** Waits until what was written is on the disk and our process idles, at most `settleMsMax`. */
  async settle(): Promise<void> {
    if (this.scale.settleMsMax === 0) return;
    await runOk("sync", ["-f", this.folder]);
    const ours = this.targets.get(ourName);
    if (ours === undefined) return;
    const deadlineMs = systemClock.monotonicMs() + this.scale.settleMsMax;
    for (let used = ours.cpuSeconds(); systemClock.monotonicMs() < deadlineMs;) {
      await systemClock.sleep(idleWindowMs);
      const now = ours.cpuSeconds();
      if ((now - used) * 1000 < idleShare * idleWindowMs) return;
      used = now;
    }
  }

  async dispose(): Promise<void> {
    for (const target of this.targets.values()) if (target.name !== ourName) await target.stop();
    for (const variant of this.#variants.values()) await (await variant.catch(() => undefined))?.stop();
    await this.service.dispose();
    // Of a pair, the ratio and the bytes, the one that was written last counts: zero says that it is the other.
    for (const { path, before } of this.#dirtyLimits ?? []) if (before.trim() !== "0") writeFileSync(path, before);
  }
}

/** An Andiron that listens on a socket of its own, and goes first as little as its peers do. */
async function startAndiron(config: ConfigGroups): Promise<{ readonly service: AndironProcess; readonly target: Target }> {
  const service = await prepareAndiron({
    ...config,
    nbd: { port: 0, unix_socket: "$state_path/nbd.sock", ...config["nbd"] },
    engine: { main_thread_nice: 0, ...config["engine"] },
  });
  try {
    await service.start();
    return { service, target: await openAndiron(service, join(service.statePath, "nbd.sock")) };
  } catch (error) {
    await service.dispose();
    throw error;
  }
}

/** Starts Andiron, with a cache that holds the range twice, and the peers that are asked for. */
export async function openLab(scale: Scale, wanted: ReadonlySet<TargetName>): Promise<Lab> {
  const { service, target } = await startAndiron({ engine: { cache_bytes: fillPasses * scale.rangeBytes } });
  const targets = [target];
  for (const name of peerNames) if (wanted.has(name)) targets.push(openPeer(name, service.folder));
  return new Lab(scale, service, targets);
}
