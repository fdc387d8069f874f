// A device into an image file of another format: by qemu-img, confined, over an NBD socket of ours. conversion.ts, backwards.
//
//   device ─► nbd.sock ─► qemu-img convert (nobody, limits) ─► file
//
// The device is read as raw bytes, whatever a guest wrote into it, so nothing of a stranger is parsed; its time is limited by its
// size. All names in the arguments are constants.

import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { BlockDevice } from "../engine/device.ts";
import { runConfined, isRoot } from "./confined-process.ts";
import { cpuSecondsFor, giveTo, imageFileName, socketName, withSocket } from "./conversion.ts";
import { socketExportName } from "./device-socket.ts";
import { unacceptable } from "./image-source.ts";

export interface DeviceConversionOptions {
  /** A directory of this conversion alone, with an empty file `imageFileName`. */
  readonly folder: string;
  /** What the device becomes. */
  readonly diskFormat: string;
  /** Where the format can do that (image_compress_on_upload). */
  readonly isCompressed: boolean;
  readonly device: BlockDevice;
  /** image_conversion_cpu_limit, for each GiB of the device; to compress it takes more (below). */
  readonly cpuSecondsPerGib: number;
  readonly addressSpaceBytesMax: number;
  readonly wallMsMax: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** QEMU's driver and its options, by Glance's name. A vhd has exactly the device's size, not one that a geometry can say. */
const targets: Readonly<Record<string, readonly [driver: string, options?: string]>> = {
  qcow2: ["qcow2"],
  vmdk: ["vmdk"],
  vdi: ["vdi"],
  vhd: ["vpc", "subformat=dynamic,force_size=on"],
  vhdx: ["vhdx"],
  ploop: ["parallels"],
};
const compressible = new Set(["qcow2"]);
/** zlib takes half a minute for a GiB where a plain copy takes a few seconds. */
const compressionFactor = 5;

export const isConverted = (diskFormat: string): boolean => diskFormat !== "raw";

/** Resolves when the file holds the device. Throws image_unacceptable, scratch_full, or what the device threw. */
export async function convertDevice(options: DeviceConversionOptions): Promise<void> {
  const { folder, diskFormat, device, clock, cpuSecondsPerGib } = options;
  const target = targets[diskFormat];
  if (target === undefined) throw unacceptable(`no image of the format ${diskFormat} can be made`);
  if (isRoot()) await giveTo(folder, 0o660);
  const [driver, driverOptions] = target;
  const isCompressed = options.isCompressed && compressible.has(diskFormat);
  const source = {
    driver: "raw",
    file: { driver: "nbd", server: { type: "unix", path: socketName }, export: socketExportName },
  };
  const args = [
    "convert",
    ...(isCompressed ? ["-c"] : []),
    "-O",
    driver,
    ...(driverOptions === undefined ? [] : ["-o", driverOptions]),
    `json:${JSON.stringify(source)}`,
    imageFileName,
  ];
  const cpuSecondsMax = cpuSecondsFor(device.sizeBytes, isCompressed ? cpuSecondsPerGib * compressionFactor : cpuSecondsPerGib);
  const fileBytesMax = Math.ceil(device.sizeBytes * 1.1) + 64 * 1024 * 1024;
  const { end, failure } = await withSocket(folder, device, clock, () =>
    runConfined({ ...options, program: "qemu-img", args, cpuSecondsMax, fileBytesMax }),
  );
  if (failure instanceof Error) throw failure;
  if (end.kind === "out of time") throw unacceptable("making it takes too long");
  if (end.code === 0) return;
  if (/No space left|quota exceeded/i.test(end.complaint)) {
    throw new AndironError("scratch_full", "the disk of image_conversion_dir is full");
  }
  throw unacceptable(`qemu-img cannot make it: ${end.complaint.slice(0, 300)}`);
}
