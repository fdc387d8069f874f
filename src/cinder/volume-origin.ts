// What a new volume takes from where it comes from (an image, a backup, a snapshot, another volume, nothing), and the size, the
// zone and the type that follow from that and from the request. Everything is checked; nothing is written.

import type { Tx } from "../registry/atomic.ts";
import type { Backup } from "./backups/backup.ts";
import { readBackup } from "./backups/backup-records.ts";
import type { RequestContext } from "./context.ts";
import { invalid, invalidBackup, invalidInput, typeNameNotFound, typeNotFound } from "./faults.ts";
import { imageMetadataOf } from "./image-rules.ts";
import type { SignedImage } from "./image-signature.ts";
import type { ImageDescription } from "./images.ts";
import { cinderLimits, type Metadata, type Snapshot, type Volume, type VolumeType } from "./model.ts";
import { readSnapshot, readVolume, type CinderPorts } from "./ports.ts";
import { readRecord, typeKind, volumeKind } from "./records.ts";
import { checkCloneSource, checkSnapshotAsSource, volumeTooLarge } from "./status.ts";
import { isUuid, readDefaultType, readTypeByReference } from "./type-reference.ts";
import { isTypeUsable } from "./type-visibility.ts";
import type { CreateVolume } from "./verbs.ts";

/** `isRestored`: a backup is restored, and the volume is made for that; not: a volume is made, and filled from a backup. */
export type VolumeRequest = CreateVolume & { readonly isRestored?: boolean };

/** With the image that it names, as it was found. */
export type Request = VolumeRequest & { readonly image?: ImageDescription; readonly signed?: SignedImage };

/** What the new volume takes from where it comes from. */
export interface Origin {
  readonly sizeGib: number | undefined;
  readonly host: string | null;
  readonly zone: string | undefined;
  readonly typeId: string | null;
  /** An image's wish for a type, by id or name. */
  readonly typeReference?: string | undefined;
  /** Of a source that is encrypted. */
  readonly encryptionKeyId?: string | undefined;
  /** The bytes are there already, and mean what they meant. */
  readonly hasBytes: boolean;
  readonly bootable: boolean;
  readonly imageMetadata: Metadata;
  readonly backup?: Backup;
}

const noOrigin: Origin = {
  sizeGib: undefined,
  host: null,
  zone: undefined,
  typeId: null,
  bootable: false,
  imageMetadata: {},
  hasBytes: false,
};

export async function readOrigin(ports: CinderPorts, tx: Tx, context: RequestContext, request: Request): Promise<Origin> {
  if (request.image !== undefined) {
    if (request.snapshotId !== undefined || request.sourceVolumeId !== undefined) {
      throw invalidInput("May specify only one of snapshot, imageRef or source volume");
    }
    const imageMetadata = imageMetadataOf(request.image, ports.settings.verifiesImageSignatures);
    const { cinder_img_volume_type: typeReference, cinder_encryption_key_id: encryptionKeyId } = request.image.properties;
    return { ...noOrigin, imageMetadata, typeReference, encryptionKeyId, hasBytes: true };
  }
  if (request.backupId !== undefined) return originOfBackup(ports, tx, context, request);
  if (request.snapshotId !== undefined) {
    const snapshot = await readSnapshot(tx, context, request.snapshotId);
    if (request.sourceVolumeId !== undefined) {
      await readVolume(tx, context, request.sourceVolumeId);
      throw invalidInput("May specify only one of snapshot, imageRef or source volume");
    }
    checkSnapshotAsSource(snapshot);
    return originOfSnapshot(snapshot, await readRecord(tx, volumeKind, snapshot.volumeId));
  }
  if (request.sourceVolumeId !== undefined) {
    const source = await readVolume(tx, context, request.sourceVolumeId);
    checkCloneSource(source);
    return { ...source, zone: source.availabilityZone, hasBytes: true };
  }
  return noOrigin;
}

async function originOfBackup(ports: CinderPorts, tx: Tx, context: RequestContext, request: Request): Promise<Origin> {
  if (request.snapshotId !== undefined || request.sourceVolumeId !== undefined) {
    throw invalidInput("May specify only one of backup, snapshot or source volume");
  }
  const backup = await readBackup(tx, context, request.backupId!);
  ports.policy.enforce(context, "backup:get", backup);
  if (backup.status !== "available") throw invalidBackup("Originating backup status must be one of 'available' values");
  return { ...noOrigin, sizeGib: backup.sizeGib, backup, hasBytes: true };
}

function originOfSnapshot(snapshot: Snapshot, volume: Volume | undefined): Origin {
  return {
    sizeGib: snapshot.sizeGib,
    host: volume?.host ?? null,
    zone: snapshot.availabilityZone,
    typeId: snapshot.typeId,
    bootable: volume?.bootable ?? false,
    imageMetadata: volume?.imageMetadata ?? {},
    encryptionKeyId: snapshot.encryptionKeyId,
    hasBytes: true,
  };
}

const cannotComply = "The server could not comply with the request since it is either malformed or otherwise incorrect.";

export function chooseSize(request: CreateVolume, origin: Origin): number {
  const sizeGib = request.sizeGib ?? origin.sizeGib;
  if (sizeGib === undefined) throw invalid(cannotComply);
  if (!Number.isSafeInteger(sizeGib) || sizeGib < 1) {
    throw invalidInput(`Volume size '${sizeGib}' must be an integer and greater than 0`);
  }
  if (sizeGib > cinderLimits.volumeGibMax) throw invalidInput(volumeTooLarge(sizeGib));
  if (origin.sizeGib !== undefined && sizeGib < origin.sizeGib) {
    if (origin.backup !== undefined) {
      throw invalidInput(
        `Volume size ${sizeGib}GB cannot be smaller than the backup size ${origin.sizeGib}GB. It must be >= backup size.`,
      );
    }
    throw invalidInput(
      request.snapshotId === undefined
        ? `Volume size '${sizeGib}'GB cannot be smaller than original volume size  ${origin.sizeGib}GB. ` +
            "They must be >= original volume size."
        : `Volume size '${sizeGib}'GB cannot be smaller than the snapshot size ${origin.sizeGib}GB. ` +
            "They must be >= original snapshot size.",
    );
  }
  return sizeGib;
}

export function chooseZone(ports: CinderPorts, request: CreateVolume, origin: Origin): string {
  const own = ports.settings.availabilityZone;
  const zone = request.availabilityZone ?? origin.zone ?? own;
  if (zone === own) return zone;
  if (ports.settings.allowZoneFallback) return own;
  throw invalid(`Availability zone '${zone}' is invalid.`);
}

/** The type asked for, else the source's, else the default type. */
export async function chooseType(
  ports: CinderPorts,
  tx: Tx,
  context: RequestContext,
  request: CreateVolume,
  origin: Origin,
): Promise<VolumeType> {
  const reference = request.volumeType ?? origin.typeReference;
  if (reference !== undefined) {
    const type = await readTypeByReference(tx, reference);
    if (type === undefined || !isTypeUsable(context, type)) {
      throw isUuid(reference) ? typeNotFound(reference) : typeNameNotFound(reference);
    }
    return type;
  }
  if (origin.typeId !== null) {
    const type = await readRecord(tx, typeKind, origin.typeId);
    if (type !== undefined && type.retiring === undefined) return type;
  }
  return readDefaultType(tx, ports.settings, context.projectId);
}
