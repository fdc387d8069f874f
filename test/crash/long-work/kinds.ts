// The kinds of long work of the campaign. A new one is a file beside this one and a row here.

import { Cascade } from "./cascade.ts";
import { CachedImageCopy, ImageCopy } from "./image-copy.ts";
import { ImageUpload } from "./image-upload.ts";
import { VolumeMove } from "./move.ts";
import { Reimage } from "./reimage.ts";
import type { LongWork, Rig } from "./work.ts";

const makers: readonly ((rig: Rig) => LongWork)[] = [
  (rig) => new ImageCopy(rig, "copy-raw", "raw"),
  (rig) => new ImageCopy(rig, "copy-qcow2", "qcow2"),
  (rig) => new CachedImageCopy(rig, "copy-cached"),
  (rig) => new Reimage(rig),
  (rig) => new ImageUpload(rig, "upload-raw", "raw"),
  (rig) => new ImageUpload(rig, "upload-qcow2", "qcow2"),
  (rig) => new VolumeMove(rig, "migrate"),
  (rig) => new VolumeMove(rig, "retype"),
  (rig) => new Cascade(rig),
];

/** Those that are named; all of them when none is. Throws for a name of none. */
export function makeKinds(rig: Rig, names: readonly string[]): LongWork[] {
  const all = makers.map((make) => make(rig));
  const unknown = names.filter((name) => !all.some((work) => work.name === name));
  if (unknown.length > 0) throw new Error(`no kind is called ${unknown.join()}; there are ${all.map(({ name }) => name).join()}`);
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}
