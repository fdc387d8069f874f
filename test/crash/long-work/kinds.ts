// The kinds of long work of the campaign. A new one is a file beside this one and a row here.

import { BackupDeleting, BackupMaking, BackupRestoring } from "./backup.ts";
import { Cascade } from "./cascade.ts";
import { GroupCopy, GroupDelete, GroupSnapshot } from "./group.ts";
import { CachedImageCopy, ImageCopy } from "./image-copy.ts";
import { ImageUpload } from "./image-upload.ts";
import { VolumeMove } from "./move.ts";
import { Reimage } from "./reimage.ts";
import type { LongWork, Rig } from "./work.ts";

const makers = {
  "copy-raw": (rig) => new ImageCopy(rig, "copy-raw", "raw"),
  "copy-qcow2": (rig) => new ImageCopy(rig, "copy-qcow2", "qcow2"),
  "copy-cached": (rig) => new CachedImageCopy(rig, "copy-cached"),
  reimage: (rig) => new Reimage(rig),
  "upload-raw": (rig) => new ImageUpload(rig, "upload-raw", "raw"),
  "upload-qcow2": (rig) => new ImageUpload(rig, "upload-qcow2", "qcow2"),
  migrate: (rig) => new VolumeMove(rig, "migrate"),
  retype: (rig) => new VolumeMove(rig, "retype"),
  cascade: (rig) => new Cascade(rig),
  backup: (rig) => new BackupMaking(rig),
  restore: (rig) => new BackupRestoring(rig),
  "backup-delete": (rig) => new BackupDeleting(rig),
  "group-snapshot": (rig) => new GroupSnapshot(rig),
  "group-copy": (rig) => new GroupCopy(rig),
  "group-delete": (rig) => new GroupDelete(rig),
} satisfies Readonly<Record<string, (rig: Rig) => LongWork>>;

type KindName = keyof typeof makers;

export const kindNames = Object.keys(makers) as readonly KindName[];

/** Those that are named; all of them when none is. Throws for a name of none. */
export function makeKinds(rig: Rig, names: readonly string[]): LongWork[] {
  const unknown = names.filter((name) => !kindNames.includes(name as KindName));
  if (unknown.length > 0) throw new Error(`no kind is called ${unknown.join()}; there are ${kindNames.join()}`);
  return kindNames.filter((name) => names.length === 0 || names.includes(name)).map((name) => makers[name](rig));
}
