// An image file, inspected before, onto a device: by qemu-img, confined, over an NBD socket of ours.
//
//   file ─► qemu-img convert (nobody, limits) ─► nbd.sock ─► the device
//
// - The format is told, a backing file is not opened whatever the header says, and all names in the arguments are constants.
// - What fails in the device is the device's error; all else that fails is the image's.
// - The device must read as zeroes where nothing is written: zeroes of the image are left out.

import { chmod, chown, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { BlockDevice } from "../engine/device.ts";
import { type ConfinedEnd, isRoot, nobody, runConfined } from "./confined-process.ts";
import { serveDevice, socketExportName } from "./device-socket.ts";
import { unacceptable } from "./image-source.ts";
import type { Inspected } from "./inspection.ts";

export interface ConversionOptions {
  /** A directory of this conversion alone, which holds the image under `imageFileName`. */
  readonly folder: string;
  readonly image: Inspected;
  readonly device: BlockDevice;
  /** image_conversion_cpu_limit, for each GiB of the disk in it. */
  readonly cpuSecondsPerGib: number;
  /** image_conversion_address_space_limit. */
  readonly addressSpaceBytesMax: number;
  readonly wallMsMax: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Another program than qemu-img: for tests. */
  readonly program?: string;
}

/** Both ways: terabytes at a slow backend's pace. */
export const conversionMsMax = 6 * 3600 * 1000;
export const imageFileName = "image";
export const socketName = "nbd.sock";

/** Resolves when all of the image is on the device, and flushed. Throws image_unacceptable, or what the device threw. */
export async function convertImage(options: ConversionOptions): Promise<void> {
  const { folder, image, device, clock, cpuSecondsPerGib } = options;
  if (image.virtualSizeBytes > device.sizeBytes) throw unacceptable("the disk in it is larger than the volume");
  if (isRoot()) await giveTo(folder, 0o640);
  const { end, failure } = await withSocket(folder, device, clock, () =>
    runConfined({
      ...options,
      program: options.program ?? "qemu-img",
      args: argumentsFor(image),
      cpuSecondsMax: cpuSecondsFor(image.virtualSizeBytes, cpuSecondsPerGib),
    }),
  );
  if (failure instanceof AndironError && failure.code !== "out_of_range") throw failure;
  if (end.kind === "out of time") throw unacceptable("reading it takes too long");
  if (end.code !== 0) throw unacceptable(`qemu-img cannot read it: ${end.complaint.slice(0, 300)}`);
  await device.flush();
}

/** For less than a GiB: as for one. */
export const cpuSecondsFor = (sizeBytes: number, perGib: number): number => Math.ceil(perGib * Math.max(sizeBytes / 2 ** 30, 1));

function argumentsFor({ driver }: Inspected): string[] {
  const source = { driver, file: { driver: "file", filename: imageFileName }, backing: null };
  const target = [
    "driver=raw",
    "file.driver=nbd",
    "file.server.type=unix",
    `file.server.path=${socketName}`,
    `file.export=${socketExportName}`,
  ];
  return [
    "convert",
    "-n",
    "--target-is-zero",
    "--target-image-opts",
    "-S",
    "65536",
    `json:${JSON.stringify(source)}`,
    target.join(","),
  ];
}

/** Runs the program while the device is served at `socketName` in the folder; and the first error of the device, if any. */
export async function withSocket(
  folder: string,
  device: BlockDevice,
  clock: Clock,
  run: () => Promise<ConfinedEnd>,
): Promise<{ readonly end: ConfinedEnd; readonly failure: unknown }> {
  const path = join(folder, socketName);
  const socket = await serveDevice(device, path, isRoot() ? 0o660 : 0o600, clock);
  let end: ConfinedEnd;
  try {
    if (isRoot()) await chown(path, 0, nobody.gid);
    end = await run();
  } finally {
    await socket.close();
    await rm(path, { force: true });
  }
  return { end, failure: socket.failure() };
}

/** Lets the confined process in, and no farther than it needs: it connects, and reads the image, or writes it. */
export async function giveTo(folder: string, imageMode: 0o640 | 0o660): Promise<void> {
  for (const [path, mode] of [
    [folder, 0o750],
    [join(folder, imageFileName), imageMode],
  ] as const) {
    await chown(path, 0, nobody.gid);
    await chmod(path, mode);
  }
}
