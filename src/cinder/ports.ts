// What every service of this folder stands on, in one bundle that cinder.ts fills; and how a service gets at a record that
// the caller may see. A record of another project is not found, as if it were not there.

import type { Clock } from "../common/clock.ts";
import type { Random } from "../common/random.ts";
import type { Control } from "../engine/control.ts";
import type { Tx } from "../registry/atomic.ts";
import type { RequestContext } from "./context.ts";
import type { BackupBytes } from "./backups/backup-bytes.ts";
import type { DiskCopies } from "./disk-copies.ts";
import { attachmentNotFound, snapshotNotFound, volumeNotFound } from "./faults.ts";
import type { Images } from "./images.ts";
import type { Keys } from "./keys.ts";
import type { ListQuery } from "./list-query.ts";
import type { Attachment, LogLevel, Snapshot, Volume } from "./model.ts";
import type { Notices } from "./notifications/notices.ts";
import type { Policy } from "./policy.ts";
import type { QuotaLedger } from "./quota-ledger.ts";
import type { RecordIndex } from "./record-index.ts";
import type { RecordStore } from "./record-store.ts";
import { attachmentKind, readRecord, snapshotKind, volumeKind } from "./records.ts";
import { backendName } from "./scheduler.ts";
import type { CinderSettings } from "./settings.ts";

/** What Nova knows of a server's volumes, and is told of them. */
export interface ServerVolumes {
  /** Id of the attachment by which the server uses the volume; undefined when it does not. May reject when Nova is away. */
  attachmentId(context: RequestContext, serverId: string, volumeId: string): Promise<string | undefined>;
  /** Has the servers' hosts look at the volume's new size. May reject when Nova is away. */
  volumeExtended(context: RequestContext, serverIds: readonly string[], volumeId: string): Promise<void>;
  /** Tells servers that are rebuilt that the volume has the bytes of their new image. May reject when Nova is away. */
  volumeReimaged(context: RequestContext, serverIds: readonly string[], volumeId: string): Promise<void>;
}

/** No Nova is configured: no server can be harmed by a detach, and none is there to be told anything. */
export const noServers: ServerVolumes = {
  attachmentId: () => Promise.resolve(undefined),
  volumeExtended: () => Promise.resolve(),
  volumeReimaged: () => Promise.resolve(),
};

/** Which projects Keystone has. */
export interface Projects {
  /** "hidden": the caller may not look at it. May reject when Keystone is away. */
  look(context: RequestContext, projectId: string): Promise<"there" | "missing" | "hidden">;
}

/** There is no Keystone: a project is there when somebody names it. */
export const anyProject: Projects = { look: () => Promise.resolve("there") };

/** How much the log of this process says. */
export interface LogControl {
  level(): LogLevel;
  setLevel(level: LogLevel): void;
}

export interface CinderPorts {
  readonly store: RecordStore;
  readonly index: RecordIndex;
  readonly ledger: QuotaLedger;
  readonly control: Control;
  /** Tells other services of the cloud what a transaction does. */
  readonly notices: Notices;
  readonly policy: Policy;
  readonly servers: ServerVolumes;
  readonly projects: Projects;
  readonly images: Images;
  readonly keys: Keys;
  readonly copies: DiskCopies;
  readonly backups: BackupBytes;
  readonly log: LogControl;
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: CinderSettings;
  /** Told of each failure of work that no request waits for. */
  readonly onTrouble: (what: string, error: unknown) => void;
}

/** By an operator: nothing new is to be put there. From the index. */
export function isPoolDisabled({ index, settings }: Pick<CinderPorts, "index" | "settings">, pool: string): boolean {
  return index.services.get(`cinder-volume/${backendName(settings, pool)}`)?.disabled === true;
}

export function isVisible(context: RequestContext, record: { readonly projectId: string }): boolean {
  return context.isAdmin || record.projectId === context.projectId;
}

/** The project that a list is about; undefined: all of them. */
export function searchedProject(context: RequestContext, query: ListQuery): string | undefined {
  return context.isAdmin && query.allTenants ? undefined : context.projectId;
}

export async function readVolume(tx: Tx, context: RequestContext, id: string): Promise<Volume> {
  const volume = await readRecord(tx, volumeKind, id);
  if (volume === undefined || !isVisible(context, volume)) throw volumeNotFound(id);
  return volume;
}

export async function readSnapshot(tx: Tx, context: RequestContext, id: string): Promise<Snapshot> {
  const snapshot = await readRecord(tx, snapshotKind, id);
  if (snapshot === undefined || !isVisible(context, snapshot)) throw snapshotNotFound(id);
  return snapshot;
}

export async function readAttachment(tx: Tx, context: RequestContext, id: string): Promise<Attachment> {
  const attachment = await readRecord(tx, attachmentKind, id);
  if (attachment === undefined || !isVisible(context, attachment)) throw attachmentNotFound(id);
  return attachment;
}

/** All attachments of the volume, oldest first. */
export async function readAttachments(tx: Tx, volume: Volume): Promise<Attachment[]> {
  const attachments: Attachment[] = [];
  for (const id of volume.attachmentIds) {
    const attachment = await readRecord(tx, attachmentKind, id);
    if (attachment !== undefined) attachments.push(attachment);
  }
  return attachments;
}

/** From the index; the caller has waited for it to be fresh. */
export function findVolume(ports: CinderPorts, context: RequestContext, id: string): Volume {
  const volume = ports.index.volumes.get(id);
  if (volume === undefined || !isVisible(context, volume)) throw volumeNotFound(id);
  return volume;
}
