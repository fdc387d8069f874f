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
  /** image_conversion_cpu_limit. */
  readonly cpuSecondsMax: number;
  /** image_conversion_address_space_limit. */
  readonly addressSpaceBytesMax: number;
  readonly wallMsMax: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Another program than qemu-img: for tests. */
  readonly program?: string;
}

export const imageFileName = "image";
const socketName = "nbd.sock";

/** Resolves when all of the image is on the device, and flushed. Throws image_unacceptable, or what the device threw. */
export async function convertImage(options: ConversionOptions): Promise<void> {
  const { folder, image, device, clock } = options;
  if (image.virtualSizeBytes > device.sizeBytes) throw unacceptable("the disk in it is larger than the volume");
  const isOther = isRoot();
  if (isOther) await giveTo(folder);
  const path = join(folder, socketName);
  const socket = await serveDevice(device, path, isOther ? 0o660 : 0o600, clock);
  let end: ConfinedEnd;
  try {
    if (isOther) await chown(path, 0, nobody.gid);
    end = await runConfined({ ...options, program: options.program ?? "qemu-img", args: argumentsFor(image) });
  } finally {
    await socket.close();
    await rm(path, { force: true });
  }
  const failure = socket.failure();
  if (failure instanceof AndironError && failure.code !== "out_of_range") throw failure;
  if (end.kind === "out of time") throw unacceptable("reading it takes too long");
  if (end.code !== 0) throw unacceptable(`qemu-img cannot read it: ${end.complaint.slice(0, 300)}`);
  await device.flush();
}

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

/** Lets the confined process in, and no farther than it needs: it reads, and connects. */
async function giveTo(folder: string): Promise<void> {
  for (const [path, mode] of [
    [folder, 0o750],
    [join(folder, imageFileName), 0o640],
  ] as const) {
    await chown(path, 0, nobody.gid);
    await chmod(path, mode);
  }
}
