// Whether a file is what Glance says that it is, stands alone, and how large the disk in it is: asked before any program of
// QEMU sees the file. What is accepted here is read as `driver`, which is told to qemu-img and never guessed.

import { headBytes, isIso, recogniseHead } from "./head.ts";
import { BoundedSource, type ImageSource, unacceptable } from "./image-source.ts";
import { inspectQcow2 } from "./qcow2.ts";
import { inspectVdi } from "./vdi.ts";
import { inspectVhd } from "./vhd.ts";
import { inspectVhdx } from "./vhdx.ts";
import { inspectVmdk } from "./vmdk.ts";

export interface InspectionRules {
  /** vmdk_allowed_types. */
  readonly vmdkAllowedTypes: readonly string[];
}

export interface Inspected {
  /** QEMU's name of the format. */
  readonly driver: "raw" | "qcow2" | "vmdk" | "vdi" | "vpc" | "vhdx";
  readonly virtualSizeBytes: number;
}

type Inspect = (source: BoundedSource, rules: InspectionRules) => Promise<number>;

/** By Glance's disk_format: those that have to be converted. */
const converted: Readonly<Record<string, { readonly driver: Inspected["driver"]; readonly inspect: Inspect }>> = {
  qcow2: { driver: "qcow2", inspect: inspectQcow2 },
  vmdk: { driver: "vmdk", inspect: (source, { vmdkAllowedTypes }) => inspectVmdk(source, vmdkAllowedTypes) },
  vdi: { driver: "vdi", inspect: inspectVdi },
  vhd: { driver: "vpc", inspect: inspectVhd },
  vhdx: { driver: "vhdx", inspect: inspectVhdx },
};

const containers: readonly (string | null)[] = ["bare", "ovf", null];

/** How the bytes of such an image get into a volume; throws image_unacceptable when they don't. */
export function wayOf(diskFormat: string | null, containerFormat: string | null): "copied" | "converted" {
  if (!containers.includes(containerFormat)) throw unacceptable("its container format is not supported");
  if (diskFormat === "raw" || diskFormat === "iso") return "copied";
  if (diskFormat !== null && Object.hasOwn(converted, diskFormat)) return "converted";
  throw unacceptable("its disk format is not supported");
}

/** Of an image that is copied: throws image_unacceptable when its first `headBytes`, or all of it, are of something else. */
export function checkCopiedHead(diskFormat: string, head: Buffer): void {
  const format = recogniseHead(head);
  if (format !== undefined) throw unacceptable(`it is said to be ${diskFormat === "iso" ? "iso" : "raw"}, and is ${format}`);
  if (diskFormat === "iso" && !isIso(head)) throw unacceptable("it is said to be iso, and is not");
}

/** The whole file is there. Throws image_unacceptable. */
export async function inspectImage(source: ImageSource, diskFormat: string, rules: InspectionRules): Promise<Inspected> {
  const bounded = new BoundedSource(source);
  if (diskFormat === "raw" || diskFormat === "iso") {
    checkCopiedHead(diskFormat, await bounded.readSome(0, headBytes));
    return { driver: "raw", virtualSizeBytes: source.sizeBytes };
  }
  const format = Object.hasOwn(converted, diskFormat) ? converted[diskFormat] : undefined;
  if (format === undefined) throw unacceptable("its disk format is not supported");
  const recognised = recogniseHead(await bounded.readSome(0, 4096));
  // A fixed VHD begins with the disk's own bytes.
  const isFixedVhd = diskFormat === "vhd" && recognised === undefined;
  if (recognised !== diskFormat && !isFixedVhd) throw unacceptable(`it is said to be ${diskFormat}, and is not`);
  return { driver: format.driver, virtualSizeBytes: await format.inspect(bounded, rules) };
}
