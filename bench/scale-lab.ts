// The surroundings of the rows about size: an Andiron of its own for each group of rows, disks of 16 TiB on it, and what can be
// counted of its process from outside. Nothing here knows what is measured.

import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../src/common/clock.ts";
import { BlockStorage } from "../test/harness/block-storage.ts";
import { runOk } from "../test/harness/command.ts";
import { prepareAndiron, type AndironProcess, type ConfigGroups } from "../test/harness/service.ts";
import { runFio, type Workload } from "./fio.ts";
import { makeRow, type Row } from "./row.ts";
import { readCpuSeconds, type Disk } from "./target.ts";

export const mebibyte = 2 ** 20;
export const gibibyte = 2 ** 30;
/** The largest disk there can be. */
export const bigGibibytes = 16_384;
export const bigBytes = bigGibibytes * gibibyte;

export interface ScaleScale {
  readonly rounds: number;
  /** Written at random over the big disk. */
  readonly fillBytes: number;
  /** One run of reads or writes. */
  readonly runMs: number;
  readonly apiCalls: number;
  readonly snapshots: number;
  readonly chain: number;
  readonly openDisks: number;
  /** A range that is written over again and again until it is at a steady state. */
  readonly steadyBytes: number;
  readonly steadyPasses: number;
  readonly journalBytes: number;
  /** The long run; 0: it is left out. */
  readonly stallMs: number;
}

export const fullSizes: ScaleScale = {
  rounds: 3,
  fillBytes: 4 * gibibyte,
  runMs: 3000,
  apiCalls: 30,
  snapshots: 1000,
  chain: 100,
  openDisks: 1000,
  steadyBytes: 512 * mebibyte,
  steadyPasses: 12,
  journalBytes: 4 * gibibyte,
  stallMs: 600_000,
};

export const quickSizes: ScaleScale = {
  rounds: 1,
  fillBytes: 64 * mebibyte,
  runMs: 300,
  apiCalls: 4,
  snapshots: 20,
  chain: 5,
  openDisks: 20,
  steadyBytes: 32 * mebibyte,
  steadyPasses: 4,
  journalBytes: 64 * mebibyte,
  stallMs: 0,
};

export const randomWrites: Workload = { pattern: "randwrite", blockBytes: 4096, depth: 32 };
export const randomReads: Workload = { pattern: "randread", blockBytes: 4096, depth: 32 };

const quietMs = 300;
const quietMsMax = 120_000;
/** Of a processor. Where waking up takes long, timers alone take up to a seventh. */
const idleShare = 0.2;

/** A service, and what is known of its process. */
export class ScaleLab {
  readonly service: AndironProcess;
  readonly api: BlockStorage;

  constructor(service: AndironProcess) {
    this.service = service;
    this.api = new BlockStorage(service);
  }

  static async open(config: ConfigGroups = {}): Promise<ScaleLab> {
    const service = await prepareAndiron({
      nbd: { port: 0, unix_socket: "$state_path/nbd.sock", ...config["nbd"] },
      engine: config["engine"] ?? {},
      vpool1: { max_over_subscription_ratio: 1_000_000 }, // disks of 16 TiB are larger than what is there
    });
    try {
      await service.start();
      return new ScaleLab(service);
    } catch (error) {
      await service.dispose();
      throw error;
    }
  }

  get folder(): string {
    return this.service.folder;
  }

  get socketPath(): string {
    return join(this.service.statePath, "nbd.sock");
  }

  /** Attaches a volume; the export lives until detach(). */
  async attach(volumeId: string): Promise<{ readonly id: string; readonly disk: Disk }> {
    const { id, connection_info } = await this.api.attach(volumeId);
    return { id, disk: { socketPath: this.socketPath, exportName: connection_info.name } };
  }

  /** A new attached volume. */
  async disk(gibibytes: number): Promise<{ readonly volumeId: string; readonly attachmentId: string; readonly disk: Disk }> {
    const volumeId = await this.api.createVolume({ size: gibibytes });
    const { id, disk } = await this.attach(volumeId);
    return { volumeId, attachmentId: id, disk };
  }

  /** Detaches, and waits until the disk is given back: everything of it is on the backend then. */
  async release(attachmentId: string): Promise<void> {
    await this.api.delete("attachments", attachmentId);
    await this.#waitUntil("all disks are given back", async () => (await this.metric("andiron_open_disks")) === 0);
  }

  /** Writes `bytes` in 4 KiB at random over the first `rangeBytes`. */
  async fill(disk: Disk, bytes: number, rangeBytes = bigBytes): Promise<void> {
    await runFio([disk], randomWrites, rangeBytes, { ioBytes: bytes }, this.folder);
  }

  /** The value of a metric: the sum of its lines whose labels hold the text. */
  async metric(name: string, labels = ""): Promise<number> {
    const { host, port } = this.service.endpoints.api;
    const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
    const lines = text.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    return lines
      .filter((line) => line.includes(labels))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  /** Bytes that were given to the backend, by upload or by the cleaner. */
  backendBytesWritten(): Promise<number> {
    return this.metric("andiron_backend_bytes_total", 'verb="put');
  }

  async residentBytes(): Promise<number> {
    const text = await readFile(`/proc/${await this.pid()}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024;
  }

  async pid(): Promise<number> {
    return (JSON.parse(await readFile(join(this.service.statePath, "lock.json"), "utf8")) as { pid: number }).pid;
  }

  /** Bytes of all objects of the backend. */
  storedBytes(): Promise<number> {
    return bytesBelow(join(this.service.statePath, "backend"));
  }

  /** Waits until what was written is on the disk and the process idles. */
  async settle(): Promise<void> {
    await runOk("sync", ["-f", this.folder]);
    const pid = await this.pid();
    let used = readCpuSeconds(pid);
    await this.#waitUntil("the service idles", async () => {
      await systemClock.sleep(quietMs);
      const before = used;
      used = readCpuSeconds(pid);
      return (used - before) * 1000 < idleShare * quietMs;
    });
  }

  async dispose(): Promise<void> {
    await this.service.dispose();
  }

  async #waitUntil(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const deadlineMs = systemClock.monotonicMs() + quietMsMax;
    while (!(await isSo())) {
      if (systemClock.monotonicMs() > deadlineMs) throw new Error(`it takes longer than ${quietMsMax} ms until ${what}`);
      await systemClock.sleep(10);
    }
  }
}

/** Calls `body` with a service that is gone afterwards. */
export async function withLab<T>(config: ConfigGroups, body: (lab: ScaleLab) => Promise<T>): Promise<T> {
  const lab = await ScaleLab.open(config);
  try {
    return await body(lab);
  } finally {
    await lab.dispose();
  }
}

/** A figure that must not be above its limit. */
export function limitRow(name: string, unit: string, figures: readonly number[], limit: number): Row {
  const limits = figures.map(() => limit);
  return makeRow({ name, unit, better: "lower" }, "limit", figures, limits, { ratio: 1 });
}

async function bytesBelow(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    // An object may be deleted while they are counted.
    bytes += await stat(join(entry.parentPath, entry.name)).then(
      ({ size }) => size,
      () => 0,
    );
  }
  return bytes;
}
