// The kinds of long work of the campaign. A new one is a file beside this one and a row here.

import { BackupDeleting, BackupMaking, BackupRestoring } from "./backup.ts";
import { Cascade } from "./cascade.ts";
import { GroupCopy, GroupDelete, GroupSnapshot } from "./group.ts";
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
  (rig) => new BackupMaking(rig),
  (rig) => new BackupRestoring(rig),
  (rig) => new BackupDeleting(rig),
  (rig) => new GroupSnapshot(rig),
  (rig) => new GroupCopy(rig),
  (rig) => new GroupDelete(rig),
];

/** Those that are named; all of them when none is. Throws for a name of none. */
export function makeKinds(rig: Rig, names: readonly string[]): LongWork[] {
  const all = makers.map((make) => make(rig));
  const unknown = names.filter((name) => !all.some((work) => work.name === name));
  if (unknown.length > 0) throw new Error(`no kind is called ${unknown.join()}; there are ${all.map(({ name }) => name).join()}`);
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}
