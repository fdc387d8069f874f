// Where a request's microseconds go: Andiron runs under V8's sampling profiler while fio loads it, one phase after the
// other; afterwards each phase's samples are summed by our folders and by function, per request.
//
// It sees the main thread only, and the profiler itself costs: the shares are what counts, not the sum.

import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sumProfile, type CpuProfile, type Share } from "./cpu-profile.ts";
import { runFio, type Workload } from "./fio.ts";
import { openLab, type Lab, type Scale } from "./lab.ts";
import { formatTable } from "./row.ts";
import { ourName } from "./target.ts";

const samplingUs = 250;
const functionsShown = 25;
const mebibyte = 2 ** 20;

interface Phase {
  readonly name: string;
  readonly workload: Workload;
}

const phases: readonly Phase[] = [
  { name: "random read hot QD32", workload: { pattern: "randread", blockBytes: 4096, depth: 32 } },
  { name: "random read hot QD1", workload: { pattern: "randread", blockBytes: 4096, depth: 1 } },
  { name: "random write QD32", workload: { pattern: "randwrite", blockBytes: 4096, depth: 32 } },
  { name: "random write QD1", workload: { pattern: "randwrite", blockBytes: 4096, depth: 1 } },
  { name: "write + flush QD1", workload: { pattern: "randwrite", blockBytes: 4096, depth: 1, flushes: true } },
  { name: "sequential 1 MiB read QD8", workload: { pattern: "read", blockBytes: mebibyte, depth: 8 } },
  { name: "sequential 1 MiB write QD8", workload: { pattern: "write", blockBytes: mebibyte, depth: 8 } },
];

const phaseNames = phases.map(({ name }) => name);

interface Window {
  readonly name: string;
  readonly fromUs: number;
  readonly toUs: number;
  readonly requests: number;
  readonly iops: number;
  readonly cpuUs: number;
}

export interface ProfileOptions {
  readonly scale: Scale;
  /** A word that a phase's name must hold; undefined: every phase. */
  readonly only: string | undefined;
  readonly say: (line: string) => void;
}

/** Runs the phases that are asked for; resolves with a text for people. */
export async function measureProfile({ scale, only, say }: ProfileOptions): Promise<string> {
  const chosen = phases.filter(({ name }) => only === undefined || name.toLowerCase().includes(only.toLowerCase()));
  if (chosen.length === 0) throw new Error(`no phase is named like ${only}; there are:\n${phaseNames.join("\n")}`);
  const folder = await mkdtemp(join(tmpdir(), "andiron-profile-"));
  try {
    const options = [`--cpu-prof`, `--cpu-prof-dir=${folder}`, `--cpu-prof-interval=${samplingUs}`].join(" ");
    const before = process.env["NODE_OPTIONS"] ?? "";
    process.env["NODE_OPTIONS"] = `${before} ${options}`.trim();
    const lab = await openLab(scale, new Set());
    process.env["NODE_OPTIONS"] = before;
    try {
      const windows = await loadPhases(lab, chosen, say);
      await lab.service.stop();
      return report(await readMainProfile(folder), windows);
    } finally {
      await lab.dispose();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function loadPhases(lab: Lab, chosen: readonly Phase[], say: (line: string) => void): Promise<Window[]> {
  const target = lab.targets.get(ourName)!;
  const disk = await lab.mainDisk(target);
  const windows: Window[] = [];
  for (const { name, workload } of chosen) {
    say(name);
    await lab.settle();
    const cpuSeconds = target.cpuSeconds();
    const fromUs = monotonicUs();
    const { requests, iops } = await runFio([disk], workload, lab.scale.rangeBytes, { runMs: lab.scale.runMs }, lab.folder);
    const cpuUs = (target.cpuSeconds() - cpuSeconds) * 1e6;
    windows.push({ name, fromUs, toUs: monotonicUs(), requests, iops, cpuUs });
  }
  return windows;
}

/** The clock of the profiler's timestamps, which is common to all processes. */
const monotonicUs = (): number => Number(process.hrtime.bigint() / 1000n);

/** Node names the files CPU.date.time.pid.thread.sequence.cpuprofile; the main thread is number 0. */
async function readMainProfile(folder: string): Promise<CpuProfile> {
  const names = await readdir(folder);
  const name = names.find((entry) => /\.0\.\d+\.cpuprofile$/.test(entry));
  if (name === undefined) throw new Error(`the service left no profile of its main thread, only: ${names.join(" ")}`);
  return JSON.parse(await readFile(join(folder, name), "utf8")) as CpuProfile;
}

function report(profile: CpuProfile, windows: readonly Window[]): string {
  return windows
    .map(({ name, fromUs, toUs, requests, iops, cpuUs }) => {
      const { folders, functions } = sumProfile(profile, fromUs, toUs);
      const totalUs = folders.reduce((sum, { us }) => sum + us, 0);
      const line = ({ name: what, us }: Share): string[] => [
        what,
        (us / requests).toFixed(2),
        `${((us / totalUs) * 100).toFixed(1)}%`,
      ];
      const head = `${name}: ${Math.round(iops)} IOPS under the profiler; per request ${(totalUs / requests).toFixed(1)} us of the
main thread, ${(cpuUs / requests).toFixed(1)} us of the process`.replace("\n", " ");
      const table = (what: string, shares: readonly Share[]): string => formatTable([[what, "us", "share"], ...shares.map(line)]);
      return [head, "", table("folder", folders), "", table("function", functions.slice(0, functionsShown)), ""].join("\n");
    })
    .join("\n");
}
