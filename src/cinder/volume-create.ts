// Creates a volume: empty, of a snapshot, of another volume, or of an image. One transaction makes the record, charges the
// quota and has the engine make the vDisk.
//
//   request ─► source, size, type, zone ─► pool? ── none ──► error (no vDisk, a message says why)
//                                            │
//                                            ▼
//                                createVdisk: ready ──► available
//                                           pending ──► creating ──► available | error   (reconciler.ts)
//                                   of an image: creating, jobId ──► downloading ──► ...   (jobs/volume-from-image.ts)
//                                   of an image that is in the cache: as of another volume       (image-cache.ts)
//                                   of a backup: creating, jobId ──► ...                 (jobs/backup-restore.ts)

import type { PoolInfo, VdiskSource } from "../engine/control.ts";
import type { Tx } from "../registry/atomic.ts";
import type { BackupRestoration } from "./backups/backup-restoration.ts";
import type { RequestContext } from "./context.ts";
import { asksFor } from "./extra-specs.ts";
import { invalid, invalidInput, invalidVolume, notFound } from "./faults.ts";
import { readGroup } from "./groups/group-records.ts";
import { checkJoinAtCreation } from "./groups/group-status.ts";
import { checkImage, resolveImage, snapshotOfImage } from "./image-rules.ts";
import { readSignature } from "./image-signature.ts";
import type { ImageCache } from "./image-cache.ts";
import type { JobQueue } from "./jobs/job-queue.ts";
import type { VolumeFromImage } from "./jobs/volume-from-image.ts";
import { checkMetadata, checkTexts } from "./metadata-rules.ts";
import { gibBytes, type Group, type Volume } from "./model.ts";
import { type Payload, unplacedPayload } from "./notifications/payloads.ts";
import { ownTarget } from "./policy.ts";
import { isPoolDisabled, isVisible, type CinderPorts } from "./ports.ts";
import { groupKind, volumeKind, writeRecord } from "./records.ts";
import { choosePool, poolOfHost, volumeHost, type PoolDemand } from "./scheduler.ts";
import { chooseKey, commitWithKey, type KeyFor } from "./volume-keys.ts";
import { writeMessage } from "./user-messages.ts";
import {
  chooseSize,
  chooseType,
  chooseZone,
  type Origin,
  readOrigin,
  type Request,
  type VolumeRequest,
} from "./volume-origin.ts";
import type { CreateVolume } from "./verbs.ts";

export interface CreatedVolume {
  readonly volume: Volume;
  readonly typeName: string | null;
}

export interface CreationJobs {
  readonly queue: JobQueue;
  readonly fromImage: VolumeFromImage;
  readonly cache: ImageCache;
  readonly restoration: BackupRestoration;
}

interface Ids {
  readonly volume: string;
  readonly message: string;
  readonly job: string;
}

export async function createVolume(
  ports: CinderPorts,
  jobs: CreationJobs,
  context: RequestContext,
  request: VolumeRequest,
): Promise<CreatedVolume> {
  ports.policy.enforce(context, "volume:create", ownTarget(context));
  if (context.projectId === "") throw invalid("A volume needs a project, and the token is of none.");
  checkTexts(request);
  checkMetadata(request.metadata ?? {});
  if (request.sameHost !== undefined || request.differentHost !== undefined) await ports.index.fresh();
  const pools = await ports.control.pools();
  const ids = { volume: ports.random.uuid(), message: ports.random.uuid(), job: ports.random.uuid() };
  const found =
    request.imageReference === undefined ? undefined : await resolveImage(ports.images, context, request.imageReference);
  const snapshotId = found === undefined || request.followsSnapshots !== true ? undefined : snapshotOfImage(found);
  if (snapshotId !== undefined) await checkImageSnapshot(ports, context, snapshotId);
  const image = snapshotId === undefined ? found : undefined;
  if (image !== undefined) ports.images.vouch(ids.job, context);
  try {
    const signed = image === undefined ? {} : { image, signed: await readSignature(ports, context, image) };
    const given: Request = { ...request, ...(snapshotId === undefined ? {} : { snapshotId }), ...signed };
    const created = await commitWithKey(ports, context, (tx, keyFor) =>
      create(ports, jobs, { tx, keyFor, context, pools, ids }, given),
    );
    if (created.volume.jobId !== undefined) jobs.queue.wake();
    else if (image !== undefined) await ports.images.endCopy(ids.job);
    return created;
  } catch (error) {
    if (image !== undefined) await ports.images.endCopy(ids.job);
    throw error;
  }
}

async function checkImageSnapshot(ports: CinderPorts, context: RequestContext, id: string): Promise<void> {
  await ports.index.fresh();
  const snapshot = ports.index.snapshots.get(id);
  if (snapshot !== undefined && isVisible(context, snapshot)) return;
  throw notFound(`Nova specific image is found, but boot volume snapshot id:${id} not found.`);
}

interface Circumstances {
  readonly tx: Tx;
  readonly keyFor: KeyFor;
  readonly context: RequestContext;
  readonly pools: readonly PoolInfo[];
  readonly ids: Ids;
}

async function create(
  ports: CinderPorts,
  jobs: CreationJobs,
  { tx, keyFor, context, pools, ids }: Circumstances,
  request: Request,
): Promise<CreatedVolume> {
  const origin = await readOrigin(ports, tx, context, request);
  const sizeGib = chooseSize(request, origin);
  const image =
    request.image === undefined ? undefined : checkImage(request.image, sizeGib, request.signed ?? { isSigned: false });
  const group = await readGroupOf(tx, context, request);
  const zone = group?.availabilityZone ?? chooseZone(ports, request, origin);
  const type = await chooseType(ports, tx, context, request, origin);
  if (group !== undefined) checkJoinAtCreation(group, context.projectId, type);
  const wish = await chooseKey(tx, context, type, origin);
  const multiattach = asksFor(type.extraSpecs["multiattach"]);
  if (multiattach) {
    if (wish !== undefined) throw invalidVolume("Multiattach cannot be used with encrypted volumes.");
    ports.policy.enforce(context, "volume:multiattach", ownTarget(context));
  }
  await ports.ledger.checkVolumeSize(tx, context.projectId, sizeGib);
  await ports.ledger.charge(tx, { projectId: context.projectId, typeId: type.id, volumes: 1, gigabytes: sizeGib });
  const demand = { sizeGib, extraSpecs: type.extraSpecs, availabilityZone: zone, ...hintedPools(ports, context, request, group) };
  const choice = schedule(ports, pools, origin.host === null ? demand : { ...demand, pool: poolOfHost(origin.host) });
  const pool = "pool" in choice ? choice.pool : undefined;
  const host = pool === undefined ? null : volumeHost(ports.settings, pool);
  const chosen = { typeId: type.id, host, availabilityZone: zone, sizeGib, multiattach, createdAtMs: ports.clock.wallMs() };
  const key = wish === undefined || pool === undefined ? {} : { encryptionKeyId: keyFor(wish) };
  const draft = { ...draftOf(context, request, origin, ids.volume, chosen), ...key };
  // What is encrypted is of this volume alone, and not for the cache.
  const isShared = wish === undefined;
  const cached =
    image === undefined || pool === undefined || !isShared ? undefined : await jobs.cache.find(tx, pool, image, sizeGib);
  const source = sourceOf(request, cached);
  const isFilled = image !== undefined && pool !== undefined && cached === undefined;
  const diskGib = isFilled && isShared ? jobs.cache.firstGib(pool, request.image!, sizeGib) : sizeGib;
  const volume =
    pool === undefined
      ? failWithoutPool(ports, tx, context, draft, "reasons" in choice ? choice.reasons : [], ids.message)
      : await makeVdisk(ports, tx, { ...draft, bootable: draft.bootable || cached !== undefined }, { pool, diskGib, source });
  const { backup } = origin;
  const status = request.isRestored === true ? "restoring-backup" : "creating";
  const written: Volume = isFilled
    ? { ...volume, status: "creating", jobId: ids.job }
    : backup === undefined || pool === undefined
      ? volume
      : await jobs.restoration.begin(tx, context, backup, { ...volume, status }, ids.job);
  writeRecord(tx, volumeKind, written.id, written);
  if (group !== undefined) writeRecord(tx, groupKind, group.id, { ...group, volumeIds: [...group.volumeIds, written.id] });
  await tellOfCreation(ports, tx, context, request.isRestored === true ? volume : written, () =>
    unplacedPayload(written, type, "reasons" in choice ? choice.reasons.join("; ") : ""),
  );
  if (isFilled) await jobs.queue.enqueue(tx, jobs.fromImage, jobs.fromImage.request(written, image, ids.job, context.requestId));
  return { volume: written, typeName: type.name };
}

function draftOf(
  { projectId, userId }: RequestContext,
  request: Request,
  { bootable, imageMetadata }: Origin,
  id: string,
  chosen: Pick<Volume, "typeId" | "host" | "availabilityZone" | "sizeGib" | "multiattach" | "createdAtMs">,
): Volume {
  return {
    v: 1,
    id,
    projectId,
    userId,
    name: request.name ?? null,
    description: request.description ?? null,
    ...chosen,
    status: "creating",
    attachStatus: "detached",
    migrationStatus: null,
    previousStatus: null,
    updatedAtMs: null,
    bootable,
    snapshotId: request.snapshotId ?? null,
    sourceVolumeId: request.sourceVolumeId ?? null,
    groupId: request.groupId ?? null,
    consumesQuota: true,
    metadata: request.metadata ?? {},
    adminMetadata: {},
    imageMetadata,
    snapshotCount: 0,
    attachmentIds: [],
  };
}

async function readGroupOf(tx: Tx, context: RequestContext, { groupId, volumeType }: Request): Promise<Group | undefined> {
  if (groupId === undefined) return undefined;
  const group = await readGroup(tx, context, groupId);
  if (volumeType !== undefined) return group;
  throw invalidInput("volume_type must be provided when creating a volume in a group.");
}

/** What is not there yet has begun; its end is told by who ends it. `unplaced`: what to say when there was no pool for it. */
async function tellOfCreation(
  ports: CinderPorts,
  tx: Tx,
  context: RequestContext,
  volume: Volume,
  unplaced: () => Payload,
): Promise<void> {
  if (volume.host === null) {
    return ports.notices.plain(tx, context, "scheduler.create_volume", `volume/${volume.id}`, unplaced);
  }
  const isReady = volume.status === "available";
  await ports.notices.volume(tx, context, isReady ? "create" : "createBegins", volume);
}

function schedule(ports: CinderPorts, pools: readonly PoolInfo[], demand: PoolDemand): ReturnType<typeof choosePool> {
  return choosePool(ports.settings, pools, demand, (pool) => isPoolDisabled(ports, pool));
}

/** The group's pool, and those of the volumes that the hints name: from the index, since a hint guards nothing. */
function hintedPools(
  ports: CinderPorts,
  context: RequestContext,
  { sameHost, differentHost }: CreateVolume,
  group: Group | undefined,
): Pick<PoolDemand, "samePools" | "differentPools"> {
  const poolsOf = (ids: readonly string[]): ReadonlySet<string> => {
    const hosts = ids
      .map((id) => ports.index.volumes.get(id))
      .filter((volume) => volume !== undefined && isVisible(context, volume));
    return new Set(hosts.flatMap((volume) => (volume?.host == null ? [] : [poolOfHost(volume.host)])));
  };
  const ofGroup = group?.host == null ? [] : [poolOfHost(group.host)];
  return {
    ...(sameHost === undefined && ofGroup.length === 0 ? {} : { samePools: new Set([...poolsOf(sameHost ?? []), ...ofGroup]) }),
    ...(differentHost === undefined ? {} : { differentPools: poolsOf(differentHost) }),
  };
}

interface Disk {
  readonly pool: string;
  readonly diskGib: number;
  readonly source: VdiskSource | undefined;
}

/** `cached`: the vDisk of the cache that has the image. */
function sourceOf({ snapshotId, sourceVolumeId }: CreateVolume, cached: string | undefined): VdiskSource | undefined {
  if (snapshotId !== undefined) return { kind: "snapshot", snapshotId };
  const vdiskId = sourceVolumeId ?? cached;
  return vdiskId === undefined ? undefined : { kind: "vdisk", vdiskId };
}

async function makeVdisk(ports: CinderPorts, tx: Tx, draft: Volume, { pool, diskGib, source }: Disk): Promise<Volume> {
  const vdisk = { id: draft.id, pool, name: vdiskName(draft.id, draft.name), sizeBytes: diskGib * gibBytes };
  const state = await ports.control.createVdisk(tx, { ...vdisk, ...(source === undefined ? {} : { source }) });
  return { ...draft, status: state === "ready" ? "available" : state === "error" ? "error" : "creating" };
}

function failWithoutPool(
  ports: CinderPorts,
  tx: Tx,
  context: RequestContext,
  draft: Volume,
  reasons: readonly string[],
  messageId: string,
): Volume {
  writeMessage(ports, tx, messageId, {
    action: "schedule-volume",
    detail: "no-backend",
    resourceType: "VOLUME",
    resourceId: draft.id,
    projectId: context.projectId,
    requestId: context.requestId,
    reason: reasons.join("; "),
  });
  return { ...draft, status: "error" };
}

/** The name its vDisk asks for: the user's, or one made of the id. */
export function vdiskName(volumeId: string, name: string | null): string {
  return name === null || name.trim() === "" ? `volume-${volumeId}` : name;
}
