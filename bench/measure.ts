// What is measured and what is aimed at, as a list: each measure runs on one target and gives the figures of one or more
// rows. The aims are ratios, above 1 is better for us.

import { join } from "node:path";
import { systemClock } from "../src/common/clock.ts";
import { runOk } from "../test/harness/command.ts";
import { runFio, type Workload } from "./fio.ts";
import type { Lab } from "./lab.ts";
import type { Aim, RowSpec } from "./row.ts";
import { uriOf, type Disk, type PeerName, type Target } from "./target.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const diskCount = 8;
/** Data of a sparse image: this many pieces of 1 MiB, evenly spread. */
const sparsePieces = 32;

export type Aims = Readonly<Partial<Record<PeerName, Aim>>>;

/** One run on one target: a value for each row. */
export type Run = (runMs: number) => Promise<readonly number[]>;

export interface Measure {
  readonly rows: readonly (RowSpec & { readonly aims: Aims })[];
  readonly peers: readonly PeerName[];
  /** Leaves dirty data behind. */
  readonly writes: boolean;
  /** Under which the same as another row is measured: its rows are picked by words that say so, and not by that other's name. */
  readonly condition?: string;
  /** Only root can measure it. */
  readonly needsRoot?: boolean;
  /** Measured in no more rounds than this. */
  readonly roundsMax?: number;
  /** Called once for each target, before its warm-up. */
  prepare(lab: Lab, target: Target): Promise<Run>;
}

const filePeers: readonly PeerName[] = ["qemu-nbd", "nbdkit file"];
const allPeers: readonly PeerName[] = [...filePeers, "nbdkit memory"];

/** Aims against qemu-nbd, nbdkit file and nbdkit memory; 0 for none. */
function aimsOf(qemu: number, file: number, memory = 0): Aims {
  const aims: Partial<Record<PeerName, Aim>> = {};
  if (qemu > 0) aims["qemu-nbd"] = { ratio: qemu };
  if (file > 0) aims["nbdkit file"] = { ratio: file };
  if (memory > 0) aims["nbdkit memory"] = { ratio: memory };
  return aims;
}

const inOperations = (name: string, aims: Aims) => ({ name, unit: "IOPS", better: "higher", aims }) as const;
const inMebibytes = (name: string, aims: Aims) => ({ name, unit: "MiB/s", better: "higher", aims }) as const;
/** At most 0.4, 0.8 and 0.8 of the peers' cost. */
const inCpu = (name: string) => ({ name, unit: "us", better: "lower", aims: aimsOf(1 / 0.4, 1 / 0.8, 1 / 0.8) }) as const;

function random(pattern: "randread" | "randwrite", depth: number, aims: Aims): Measure {
  const name = `random ${pattern === "randread" ? "read hot" : "write"} QD${depth}`;
  const workload: Workload = { pattern, blockBytes: 4 * kibibyte, depth };
  return {
    rows: depth < 32 ? [inOperations(name, aims)] : [inOperations(name, aims), inCpu(`server CPU per request, ${name}`)],
    peers: allPeers,
    writes: pattern === "randwrite",
    async prepare(lab, target) {
      const disk = await lab.mainDisk(target);
      if (pattern === "randread") await warm(lab, disk);
      return async (runMs) => {
        const before = target.cpuSeconds();
        const { iops, requests } = await runFio([disk], workload, lab.scale.rangeBytes, { runMs }, lab.folder);
        const cpuUs = ((target.cpuSeconds() - before) * 1e6) / requests;
        return depth < 32 ? [iops] : [iops, Math.max(cpuUs, 0.1)];
      };
    },
  };
}

/**
 * Nothing is cached: neither by Andiron (whose cache is as small as can be) nor by the kernel (which is told to drop its pages
 * before each run). The range is large, so that little of it is read twice in a run.
 */
function coldRead(aims: Aims): Measure {
  const workload: Workload = { pattern: "randread", blockBytes: 4 * kibibyte, depth: 32 };
  const name = "random read cold QD32";
  return {
    rows: [inOperations(name, aims), { ...inCpu(`server CPU per request, ${name}`), aims: {} }],
    peers: filePeers,
    writes: false,
    needsRoot: true,
    async prepare(lab, main) {
      const target = await lab.variant(main, "cold", { engine: { cache_bytes: 4 * mebibyte } });
      const [disk] = await lab.filledDisks(target, 1, lab.scale.coldBytes, 1);
      return async (runMs) => {
        await runOk("sh", ["-c", "sync && echo 3 > /proc/sys/vm/drop_caches"]);
        const before = target.cpuSeconds();
        const { iops, requests } = await runFio([disk!], workload, lab.scale.coldBytes, { runMs }, lab.folder);
        return [iops, Math.max(((target.cpuSeconds() - before) * 1e6) / requests, 0.1)];
      };
    },
  };
}

function mixed(): Measure {
  const workload: Workload = { pattern: "randrw", blockBytes: 4 * kibibyte, depth: 32 };
  const latencyAims: Aims = { "qemu-nbd": { ratio: 1 / 0.7, oursMax: 6 }, "nbdkit file": { ratio: 1 } };
  return {
    rows: [
      inOperations("70/30 mix QD32", {}),
      { name: "70/30 mix QD32, p99.9 latency", unit: "ms", better: "lower", aims: latencyAims },
    ],
    peers: filePeers,
    writes: true,
    async prepare(lab, target) {
      const disk = await lab.mainDisk(target);
      await warm(lab, disk);
      return async (runMs) => {
        const { iops, p999Ms } = await runFio([disk], workload, lab.scale.rangeBytes, { runMs }, lab.folder);
        return [iops, p999Ms];
      };
    },
  };
}

function sequential(pattern: "read" | "write", aims: Aims): Measure {
  const workload: Workload = { pattern, blockBytes: mebibyte, depth: 8 };
  return {
    rows: [inMebibytes(`sequential 1 MiB ${pattern} QD8`, aims)],
    peers: allPeers,
    writes: pattern === "write",
    async prepare(lab, target) {
      const disk = await lab.mainDisk(target);
      return async (runMs) => [(await runFio([disk], workload, lab.scale.rangeBytes, { runMs }, lab.folder)).mebibytesPerSecond];
    },
  };
}

function flushing(name: string, clients: number, aims: Aims): Measure {
  const workload: Workload = { pattern: "randwrite", blockBytes: 4 * kibibyte, depth: 1, clients, flushes: true };
  return {
    rows: [inOperations(name, aims)],
    peers: filePeers,
    writes: true,
    async prepare(lab, target) {
      const disk = await lab.mainDisk(target);
      return async (runMs) => [(await runFio([disk], workload, lab.scale.rangeBytes, { runMs }, lab.folder)).iops];
    },
  };
}

function manyDisks(aims: Aims): Measure {
  const workload: Workload = { pattern: "randrw", blockBytes: 4 * kibibyte, depth: 8 };
  return {
    rows: [inOperations(`${diskCount} disks at once, 70/30 mix QD8 each, sum`, aims)],
    peers: filePeers,
    writes: true,
    async prepare(lab, target) {
      const rangeBytes = lab.scale.rangeBytes / diskCount;
      const disks = await lab.filledDisks(target, diskCount, rangeBytes);
      return async (runMs) => [(await runFio(disks, workload, rangeBytes, { runMs }, lab.folder)).iops];
    },
  };
}

/** QEMU's own client: a fixed stride over the filled range, 16 requests in flight at most, whatever the depth says. */
function qemuClient(direction: "read" | "write", depth: number, aims: Aims): Measure {
  return {
    rows: [inOperations(`QEMU's client, ${direction} QD${depth}`, aims)],
    peers: allPeers,
    writes: direction === "write",
    async prepare(lab, target) {
      const disk = await lab.mainDisk(target);
      const image =
        `driver=raw,size=${lab.scale.rangeBytes},file.driver=nbd,file.server.type=unix,` +
        `file.server.path=${disk.socketPath},file.export=${disk.exportName}`;
      const stride = ["-s", "4096", "-S", String(mebibyte + 4096), ...(direction === "write" ? ["-w"] : [])];
      const bench = async (count: number): Promise<number> => {
        const args = ["bench", "-c", String(count), "-d", String(depth), ...stride, "-t", "none", "--image-opts", image];
        const seconds = Number(/Run completed in ([\d.]+) seconds/.exec(await runOk("qemu-img", args))?.[1]);
        return count / Math.max(seconds, 0.001);
      };
      // It takes a count, not a time: a short run says how many.
      const rate = await bench(500 * Math.min(depth, 4));
      return async (runMs) => [await bench(Math.max(100, Math.round((rate * runMs) / 1000)))];
    },
  };
}

function copying(kind: "full" | "sparse", direction: "in" | "out"): Measure {
  return {
    rows: [inMebibytes(`nbdcopy of a ${kind} image ${direction}`, aimsOf(1.2, 1))],
    peers: filePeers,
    writes: direction === "in",
    async prepare(lab, target) {
      const image = await makeImage(lab, kind);
      const disk = await target.openDisk(kind === "full" ? 1 : lab.scale.sparseGibibytes);
      const copyIn = ["--flush", image.path, uriOf(disk)];
      await runOk("nbdcopy", copyIn);
      const args = direction === "in" ? copyIn : [uriOf(disk), "null:"];
      return async () => {
        const startMs = systemClock.monotonicMs();
        await runOk("nbdcopy", args, { timeoutMs: 600_000 });
        return [image.bytes / mebibyte / ((systemClock.monotonicMs() - startMs) / 1000)];
      };
    },
  };
}

/** An image of random bytes, or of a few of them in a sparse file; made once a run, by name. */
async function makeImage(lab: Lab, kind: "full" | "sparse"): Promise<{ readonly path: string; readonly bytes: number }> {
  const path = join(lab.folder, `${kind}.img`);
  if (kind === "full") {
    await runOk("sh", ["-c", '[ -e "$1" ] || head -c "$2" /dev/urandom > "$1"', "sh", path, String(lab.scale.copyBytes)]);
    return { path, bytes: lab.scale.copyBytes };
  }
  const bytes = lab.scale.sparseGibibytes * 1024 * mebibyte;
  const stepMebibytes = bytes / mebibyte / sparsePieces;
  const script = `[ -e "$1" ] && exit; truncate -s "$2" "$1"
    for i in $(seq 0 ${sparsePieces - 1}); do
      dd if=/dev/urandom of="$1" bs=1M count=1 seek=$((i * ${stepMebibytes})) conv=notrunc status=none
    done`;
  await runOk("sh", ["-c", script, "sh", path, String(bytes)]);
  return { path, bytes };
}

/** Reads the whole range once, so that caches hold what they can. */
async function warm(lab: Lab, disk: Disk): Promise<void> {
  await runFio([disk], { pattern: "read", blockBytes: mebibyte, depth: 8 }, lab.scale.rangeBytes, { passes: 1 }, lab.folder);
}

/** Reads before writes, so that reads find what was filled in. */
export const measures: readonly Measure[] = [
  random("randread", 1, aimsOf(2, 1, 1)),
  random("randread", 32, aimsOf(3, 1.5, 1.3)),
  qemuClient("read", 1, aimsOf(2, 1, 1)),
  qemuClient("read", 32, aimsOf(3, 1.5, 1.3)),
  sequential("read", aimsOf(1.5, 1, 0.9)),
  coldRead(aimsOf(0.9, 0)),
  random("randwrite", 1, aimsOf(2, 1, 0.9)),
  random("randwrite", 32, aimsOf(3, 1.2, 1)),
  qemuClient("write", 1, aimsOf(2, 1, 0.9)),
  qemuClient("write", 32, aimsOf(3, 1.2, 1)),
  mixed(),
  sequential("write", aimsOf(1, 0.9, 0.5)),
  flushing("write + flush QD1", 1, aimsOf(1.2, 1)),
  flushing("32 writers each flushing", 32, aimsOf(3, 3)),
  manyDisks(aimsOf(2, 1)),
  copying("full", "in"),
  copying("full", "out"),
  copying("sparse", "in"),
  copying("sparse", "out"),
];
