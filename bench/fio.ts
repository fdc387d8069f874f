// fio's nbd engine: a workload in, figures out. It runs in a home of its own and leaves no file behind.

import { runOk } from "../test/harness/command.ts";
import type { Disk } from "./target.ts";
import { uriOf } from "./target.ts";

export interface Workload {
  readonly pattern: "randread" | "randwrite" | "randrw" | "read" | "write";
  readonly blockBytes: number;
  readonly depth: number;
  /** Clients at a time, each with a connection of its own. Default 1. */
  readonly clients?: number;
  /** A flush after each write. */
  readonly flushes?: boolean;
}

export interface FioFigures {
  readonly iops: number;
  readonly mebibytesPerSecond: number;
  readonly p999Ms: number;
  readonly requests: number;
}

interface FioReport {
  readonly jobs: readonly {
    readonly error: number;
    readonly mixed: {
      readonly iops: number;
      readonly bw_bytes: number;
      readonly total_ios: number;
      readonly clat_ns: { readonly percentile: Readonly<Record<string, number>> };
    };
  }[];
}

/** How long: for a time, whatever is done in it, so many times over the whole range, or for so many bytes. */
export type Extent = { readonly runMs: number } | { readonly passes: number } | { readonly ioBytes: number };

/** Runs the workload on the first `rangeBytes` of each disk, all disks at once; resolves with the sum. */
export async function runFio(
  disks: readonly Disk[],
  workload: Workload,
  rangeBytes: number,
  extent: Extent,
  folder: string,
): Promise<FioFigures> {
  const common = {
    ioengine: "nbd",
    rw: workload.pattern,
    bs: workload.blockBytes,
    iodepth: workload.depth,
    size: rangeBytes,
    numjobs: workload.clients ?? 1,
    unified_rw_reporting: 1,
    output_format: "json",
    percentile_list: 99.9,
    ...(workload.pattern === "randrw" ? { rwmixread: 70 } : {}),
    ...(workload.flushes === true ? { fsync: 1 } : {}),
    ...optionsOf(extent),
  };
  const options = Object.entries(common).map(([name, value]) => `--${name.replace("output_format", "output-format")}=${value}`);
  const flags = ["--norandommap", "--thread", "--group_reporting", ...("runMs" in extent ? ["--time_based"] : [])];
  const jobs = disks.flatMap((disk, number) => [`--name=disk${number}`, `--uri=${uriOf(disk)}`]);
  const text = await runOk("fio", [...options, ...flags, ...jobs], { folder, timeoutMs: 1_200_000 });
  return readReport(text);
}

function optionsOf(extent: Extent): Readonly<Record<string, string | number>> {
  if ("passes" in extent) return { loops: extent.passes };
  return "ioBytes" in extent ? { io_size: extent.ioBytes } : { runtime: `${extent.runMs}ms` };
}

/** Takes the figures from fio's JSON, which follows what its engines print. Throws on an I/O error. */
export function readReport(text: string): FioFigures {
  const { jobs } = JSON.parse(text.slice(text.indexOf("{\n"))) as FioReport;
  const job = jobs[0];
  if (job === undefined || job.error !== 0 || job.mixed.total_ios === 0) throw new Error(`fio failed:\n${text.slice(0, 2000)}`);
  const { iops, bw_bytes, total_ios, clat_ns } = job.mixed;
  const p999Ns = clat_ns.percentile["99.900000"] ?? 0;
  return { iops, mebibytesPerSecond: bw_bytes / 2 ** 20, p999Ms: p999Ns / 1e6, requests: total_ios };
}
