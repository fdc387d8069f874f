// What all ways of attaching have in common: rows, exports, the rules of who may detach, and what a volume is by its rows.
// Every function works on a transaction that the caller owns, except mayDetach(), which asks Nova and comes before it.

import type { Tx } from "../registry/atomic.ts";
import type { RequestContext } from "./context.ts";
import { type CinderFault, conflict, invalid, invalidVolume } from "./faults.ts";
import { withoutKey } from "./metadata-rules.ts";
import { cinderLimits, type Attachment, type ConnectionInfo, type Connector, type Volume } from "./model.ts";
import { readAttachments, type CinderPorts } from "./ports.ts";
import { backEndLimits, frontEndFigures } from "./qos-figures.ts";
import { attachmentKind, deleteRecord, qosKind, readRecord, typeKind, volumeKind, writeRecord } from "./records.ts";
import { checkNotMoving, isMigrating, statusByAttachments } from "./status.ts";

export type AttachMode = "rw" | "ro";

export function newAttachment(
  ports: CinderPorts,
  context: RequestContext,
  volume: Volume,
  id: string,
  rest: Pick<Attachment, "status" | "instanceId" | "attachMode">,
): Attachment {
  if (volume.attachmentIds.length >= cinderLimits.attachmentsPerVolumeMax) {
    throw invalidVolume(`Volume ${volume.id} has ${volume.attachmentIds.length} attachments, the most it can have.`);
  }
  return {
    v: 1,
    id,
    volumeId: volume.id,
    projectId: volume.projectId,
    userId: context.userId,
    attachedHost: null,
    mountpoint: null,
    connector: null,
    connectionInfo: null,
    unclaimed: false,
    createdAtMs: ports.clock.wallMs(),
    updatedAtMs: null,
    attachedAtMs: null,
    ...rest,
  };
}

/** The mode asked for, or what the volume allows; throws "invalid" for writing to a read-only volume. */
export function chooseMode(volume: Volume, asked: AttachMode | null | undefined): AttachMode {
  const readOnly = volume.adminMetadata["readonly"] === "True";
  const mode = asked ?? (readOnly ? "ro" : "rw");
  if (readOnly && mode === "rw") throw invalid(`Invalid attaching mode '${mode}' for volume ${volume.id}.`);
  return mode;
}

/** Throws "invalid" for a connector that is too large to be kept. */
export function checkConnector(connector: Connector): void {
  const sizeBytes = Buffer.byteLength(JSON.stringify(connector));
  if (sizeBytes <= cinderLimits.connectorBytesMax) return;
  throw invalid(`Connector of ${sizeBytes} bytes is larger than ${cinderLimits.connectorBytesMax}.`);
}

/** Exports the volume for the attachment. A repeated call keeps the export, so that Nova may retry. */
export async function connect(
  ports: CinderPorts,
  tx: Tx,
  volume: Volume,
  attachment: Attachment,
  connector: Connector,
): Promise<Attachment> {
  checkNotMoving(volume);
  if (volume.status === "downloading") throw invalidVolume(`Volume ${volume.id} is being filled with an image.`);
  const mode = chooseMode(volume, modeOf(connector) ?? attachment.attachMode);
  const connectionInfo = attachment.connectionInfo ?? (await exportVolume(ports, tx, volume, attachment.id, mode));
  return {
    ...attachment,
    connector,
    connectionInfo,
    attachMode: connectionInfo.access_mode,
    attachedHost: textOf(connector, "host") ?? attachment.attachedHost,
    mountpoint: textOf(connector, "mountpoint") ?? attachment.mountpoint,
    attachedAtMs: ports.clock.wallMs(),
    updatedAtMs: ports.clock.wallMs(),
  };
}

async function exportVolume(
  ports: CinderPorts,
  tx: Tx,
  volume: Volume,
  attachmentId: string,
  mode: AttachMode,
): Promise<ConnectionInfo> {
  const type = volume.typeId === null ? undefined : await readRecord(tx, typeKind, volume.typeId);
  const qos = type?.qosSpecsId == null ? undefined : await readRecord(tx, qosKind, type.qosSpecsId);
  const limits = backEndLimits(qos, volume.sizeGib);
  const wanted = { id: attachmentId, vdiskId: volume.id, readOnly: mode === "ro", limits };
  const made = await ports.control.createExport(tx, wanted);
  return {
    driver_volume_type: "nbd",
    hosts: made.hosts,
    ports: made.ports.map(String),
    name: made.exportName,
    access_mode: mode,
    discard: true,
    qos_specs: frontEndFigures(qos, volume.sizeGib),
    encrypted: volume.encryptionKeyId !== undefined,
    cacheable: false,
    volume_id: volume.id,
    attachment_id: attachmentId,
  };
}

/** Writes the volume with its new set of rows, and the rows of `changed`. Its status is as given or follows from the rows. */
export function writeAttachments(
  ports: CinderPorts,
  tx: Tx,
  volume: Volume,
  rows: readonly Attachment[],
  changed: readonly Attachment[],
): Volume {
  for (const attachment of changed) writeRecord(tx, attachmentKind, attachment.id, attachment);
  const next = { ...volume, attachmentIds: rows.map((row) => row.id), updatedAtMs: ports.clock.wallMs() };
  writeRecord(tx, volumeKind, volume.id, next);
  return next;
}

/** Ends one attachment: its row, its export, and what the volume is without it. `exported`: there was an export to cut. */
export async function removeAttachment(
  ports: CinderPorts,
  tx: Tx,
  volume: Volume,
  rows: readonly Attachment[],
  attachment: Attachment,
): Promise<{ readonly volume: Volume; readonly exported: boolean }> {
  const remaining = rows.filter((row) => row.id !== attachment.id);
  deleteRecord(tx, attachmentKind, attachment.id);
  if (attachment.connectionInfo !== null) await ports.control.revokeExport(tx, attachment.id);
  const next = writeAttachments(ports, tx, withStatusOf(volume, remaining), remaining, []);
  return { volume: next, exported: attachment.connectionInfo !== null };
}

/** Ends all attachments of a volume, whose record the caller writes. Ids of the exports to wait for. */
export async function dropAttachments(ports: CinderPorts, tx: Tx, volume: Volume): Promise<string[]> {
  const revoked: string[] = [];
  for (const attachment of await readAttachments(tx, volume)) {
    deleteRecord(tx, attachmentKind, attachment.id);
    if (attachment.connectionInfo === null) continue;
    await ports.control.revokeExport(tx, attachment.id);
    revoked.push(attachment.id);
  }
  return revoked;
}

/** The volume with the status that its rows give it; an upload, a migration or a job under way keeps its own. */
export function withStatusOf(volume: Volume, rows: readonly Attachment[]): Volume {
  const found = statusByAttachments(rows.filter((row) => !row.unclaimed));
  const keeps = volume.status === "uploading" || isMigrating(volume) || volume.jobId !== undefined;
  const adminMetadata =
    found.attachStatus === "detached" ? withoutKey(volume.adminMetadata, "attached_mode") : volume.adminMetadata;
  return { ...volume, attachStatus: found.attachStatus, status: keeps ? volume.status : found.status, adminMetadata };
}

/**
 * CVE-2023-2088: what a server uses may be taken away by Nova only. Throws "conflict" unless the caller bears a service
 * token, the attachment is of no server or has no connection, or Nova says that the server does not use it.
 */
export async function mayDetach(ports: CinderPorts, context: RequestContext, attachment: Attachment): Promise<void> {
  if (isServiceRequest(ports, context)) return;
  if (attachment.instanceId === null || attachment.connectionInfo === null) return;
  const used = await ports.servers.attachmentId(context, attachment.instanceId, attachment.volumeId);
  if (used !== attachment.id) return;
  throw usedByServer(attachment.instanceId);
}

/** Whether a service vouches for the request: it bears a service token with one of service_token_roles. */
export function isServiceRequest({ settings }: CinderPorts, { serviceRoles }: RequestContext): boolean {
  return serviceRoles.some((role) => settings.serviceTokenRoles.includes(role));
}

export function usedByServer(instanceId: string): CinderFault {
  return conflict(`ConflictNovaUsingAttachment: Detach volume from instance ${instanceId} using the Compute API`);
}

/** The text at `key` of a connector, if it is one. */
export function textOf(connector: Connector | null, key: string): string | undefined {
  const value = connector?.[key];
  return typeof value === "string" && value !== "" ? value : undefined;
}

function modeOf(connector: Connector): AttachMode | undefined {
  const mode = textOf(connector, "mode");
  return mode === "rw" || mode === "ro" ? mode : undefined;
}
