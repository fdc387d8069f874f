// The attach family of Cinder before 3.27. It has no attachment until os-attach; here os-initialize_connection makes one
// already (`unclaimed`, not counted in the volume's status), because an export belongs to an attachment; os-attach claims it.
//
//   available ── reserve ──► attaching ── attach ──► in-use ── begin_detaching ──► detaching ── detach ──► available
//                   ◄── unreserve ──┘                   ◄──── roll_detaching ─────────┘

import type { Tx } from "../registry/atomic.ts";
import {
  checkConnector,
  chooseMode,
  connect,
  isServiceRequest,
  mayDetach,
  newAttachment,
  removeAttachment,
  textOf,
  usedByServer,
  withStatusOf,
  writeAttachments,
} from "./attachment-records.ts";
import type { RequestContext } from "./context.ts";
import { conflict, invalid, invalidInput, invalidVolume } from "./faults.ts";
import type { Attachment, ConnectionInfo, Connector, Volume } from "./model.ts";
import type { PolicyRule } from "./policy.ts";
import { findVolume, readAttachments, readVolume, type CinderPorts } from "./ports.ts";
import { attachmentKind, deleteRecord, volumeKind, writeRecord } from "./records.ts";
import { checkBeginDetaching, checkNotMoving, checkReserve } from "./status.ts";
import type { AttachRequest, LegacyAttach } from "./verbs.ts";

const rules = "volume_extension:volume_actions:";
type AttachAction =
  | "reserve"
  | "unreserve"
  | "begin_detaching"
  | "roll_detaching"
  | "attach"
  | "initialize_connection"
  | "terminate_connection";

export class LegacyAttachService implements LegacyAttach {
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  async reserve(context: RequestContext, volumeId: string): Promise<void> {
    await this.#change(context, volumeId, "reserve", (volume) => {
      checkReserve(volume);
      return { ...volume, status: "attaching" };
    });
  }

  async unreserve(context: RequestContext, volumeId: string): Promise<void> {
    await this.#change(context, volumeId, "unreserve", (volume) => {
      if (volume.status !== "attaching") return volume;
      return { ...volume, status: volume.attachStatus === "attached" ? "in-use" : "available" };
    });
  }

  async beginDetaching(context: RequestContext, volumeId: string): Promise<void> {
    await this.#change(context, volumeId, "begin_detaching", (volume) => {
      checkBeginDetaching(volume);
      return { ...volume, status: "detaching" };
    });
  }

  async rollDetaching(context: RequestContext, volumeId: string): Promise<void> {
    await this.#change(context, volumeId, "roll_detaching", (volume) =>
      volume.status === "detaching" ? { ...volume, status: "in-use" } : volume,
    );
  }

  async attach(context: RequestContext, volumeId: string, request: AttachRequest): Promise<void> {
    if (request.instanceId === undefined && request.hostName === undefined) {
      throw invalid("Invalid request to attach volume to an invalid target");
    }
    const id = this.#ports.random.uuid();
    await this.#ports.store.commit(context.projectId, async (tx) => {
      const { volume, rows } = await this.#read(tx, context, volumeId, "attach");
      if (volume.status === "maintenance") throw invalidVolume("The volume cannot be attached in maintenance mode.");
      checkNotMoving(volume);
      if (rows.some((row) => row.status === "attached" && isTarget(row, request))) return;
      if (!volume.multiattach && rows.some((row) => row.status === "attached")) {
        throw invalidVolume("volume is already attached");
      }
      const attachMode = chooseMode(volume, request.mode);
      await this.#ports.notices.volume(tx, context, "attachBegins", volume);
      const unclaimed = rows.filter((row) => row.unclaimed);
      const claimed = unclaimed.find((row) => row.attachedHost === request.hostName) ?? unclaimed[0];
      const nowMs = this.#ports.clock.wallMs();
      const fresh = { status: "attached", instanceId: null, attachMode } as const;
      const base = claimed ?? newAttachment(this.#ports, context, volume, id, fresh);
      const attached: Attachment = {
        ...base,
        status: "attached",
        unclaimed: false,
        instanceId: request.instanceId ?? null,
        attachedHost: request.hostName ?? base.attachedHost,
        mountpoint: request.mountpoint ?? base.mountpoint,
        attachMode,
        attachedAtMs: nowMs,
        updatedAtMs: nowMs,
      };
      const adminMetadata = { readonly: "False", ...volume.adminMetadata, attached_mode: attachMode };
      const next: Volume = { ...volume, status: "in-use", attachStatus: "attached", adminMetadata };
      const all = [...rows.filter((row) => row.id !== attached.id), attached];
      await this.#ports.notices.volume(tx, context, "attachEnds", writeAttachments(this.#ports, tx, next, all, [attached]));
    });
  }

  async detach(context: RequestContext, volumeId: string, attachmentId: string | undefined): Promise<void> {
    const rule = `${rules}detach` as const;
    await this.#guard(context, volumeId, rule, attachmentId);
    await this.#detach(context, volumeId, attachmentId, rule);
  }

  async forceDetach(
    context: RequestContext,
    volumeId: string,
    request: { readonly attachmentId?: string; readonly connector?: Connector | null },
  ): Promise<void> {
    const rule = "volume_extension:volume_admin_actions:force_detach";
    await this.#guard(context, volumeId, rule, request.attachmentId);
    await this.#detach(context, volumeId, request.attachmentId, rule);
  }

  async initializeConnection(context: RequestContext, volumeId: string, connector: Connector): Promise<ConnectionInfo> {
    checkConnector(connector);
    const id = this.#ports.random.uuid();
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const { volume, rows } = await this.#read(tx, context, volumeId, "initialize_connection");
      if (volume.status === "maintenance") {
        throw invalidVolume("The volume connection cannot be initialized in maintenance mode.");
      }
      const host = textOf(connector, "host") ?? null;
      const present = rows.find((row) => row.connectionInfo !== null && row.attachedHost === host);
      if (present?.connectionInfo != null) return present.connectionInfo;
      const bare = rows.find((row) => row.status === "attached" && row.connectionInfo === null && row.attachedHost === host);
      const draft = bare ?? {
        ...newAttachment(this.#ports, context, volume, id, { status: "attaching", instanceId: null, attachMode: null }),
        unclaimed: true,
      };
      const row = await connect(this.#ports, tx, volume, draft, connector);
      writeAttachments(this.#ports, tx, volume, [...rows.filter((other) => other.id !== row.id), row], [row]);
      return row.connectionInfo!;
    });
  }

  /** Without a host in the connector all connections end. */
  async terminateConnection(context: RequestContext, volumeId: string, connector: Connector | null): Promise<void> {
    await this.#guard(context, volumeId, `${rules}terminate_connection`, undefined, connector);
    const host = textOf(connector, "host");
    const cut = await this.#ports.store.commit(context.projectId, async (tx) => {
      const { volume, rows } = await this.#read(tx, context, volumeId, "terminate_connection");
      const ended = rows.filter((row) => row.connectionInfo !== null && (host === undefined || row.attachedHost === host));
      const remaining: Attachment[] = [];
      const changed: Attachment[] = [];
      for (const row of rows) {
        if (!ended.includes(row)) {
          remaining.push(row);
          continue;
        }
        await this.#ports.control.revokeExport(tx, row.id);
        if (row.unclaimed) deleteRecord(tx, attachmentKind, row.id);
        else changed.push({ ...row, connectionInfo: null, connector: null, updatedAtMs: this.#ports.clock.wallMs() });
      }
      if (ended.length > 0) writeAttachments(this.#ports, tx, volume, [...remaining, ...changed], changed);
      return ended.map((row) => row.id);
    });
    for (const id of cut) await this.#ports.control.exportGone(id);
  }

  async #detach(context: RequestContext, volumeId: string, attachmentId: string | undefined, rule: PolicyRule): Promise<void> {
    const cut = await this.#ports.store.commit(context.projectId, async (tx) => {
      const volume = await readVolume(tx, context, volumeId);
      this.#ports.policy.enforce(context, rule, volume);
      const rows = await readAttachments(tx, volume);
      const row = chooseAttachment(volume, rows, attachmentId);
      if (row !== undefined) {
        await this.#ports.notices.volume(tx, context, "detachBegins", volume);
        const { volume: next, exported } = await removeAttachment(this.#ports, tx, volume, rows, row);
        await this.#ports.notices.volume(tx, context, "detachEnds", next);
        return exported ? row.id : undefined;
      }
      writeAttachments(this.#ports, tx, withStatusOf(volume, rows), rows, []);
      return undefined;
    });
    if (cut !== undefined) await this.#ports.control.exportGone(cut);
  }

  /**
   * Asks Nova before the transaction, about the attachments that would end. Users have to name one of several; an attachment
   * that is not there could be one that Nova knows, and is refused like it.
   */
  async #guard(
    context: RequestContext,
    volumeId: string,
    rule: PolicyRule,
    attachmentId: string | undefined,
    connector?: Connector | null,
  ): Promise<void> {
    await this.#ports.index.fresh();
    const volume = findVolume(this.#ports, context, volumeId);
    this.#ports.policy.enforce(context, rule, volume);
    const { attachments } = this.#ports.index;
    const named = attachmentId === undefined ? undefined : attachments.get(attachmentId);
    if (named !== undefined && named.volumeId !== volume.id) throw invalidInput("Mismatched volume and attachment.");
    const rows = [...attachments.ofVolume(volume.id)];
    const isUnclear = attachmentId === undefined ? rows.filter((row) => !row.unclaimed).length > 1 : named === undefined;
    if (isUnclear && !isServiceRequest(this.#ports, context)) throw usedByServer("");
    const host = textOf(connector ?? null, "host");
    for (const row of rows) {
      if (attachmentId !== undefined && row.id !== attachmentId) continue;
      if (host !== undefined && row.attachedHost !== host) continue;
      await mayDetach(this.#ports, context, row);
    }
  }

  async #read(
    tx: Tx,
    context: RequestContext,
    volumeId: string,
    action: AttachAction,
  ): Promise<{ readonly volume: Volume; readonly rows: readonly Attachment[] }> {
    const volume = await readVolume(tx, context, volumeId);
    this.#ports.policy.enforce(context, `${rules}${action}`, volume);
    return { volume, rows: await readAttachments(tx, volume) };
  }

  #change(context: RequestContext, volumeId: string, action: AttachAction, change: (volume: Volume) => Volume): Promise<void> {
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const { volume } = await this.#read(tx, context, volumeId, action);
      const next = change(volume);
      if (next === volume) return;
      writeRecord(tx, volumeKind, volumeId, { ...next, updatedAtMs: this.#ports.clock.wallMs() });
    });
  }
}

function isTarget(row: Attachment, request: AttachRequest): boolean {
  if (request.instanceId !== undefined) return row.instanceId === request.instanceId;
  return row.instanceId === null && row.attachedHost === request.hostName;
}

/** Which row a detach means; undefined when the volume has none. */
function chooseAttachment(volume: Volume, rows: readonly Attachment[], attachmentId: string | undefined): Attachment | undefined {
  if (attachmentId !== undefined) {
    const named = rows.find((row) => row.id === attachmentId);
    if (named === undefined) throw conflict(`Volume ${volume.id} has no attachment ${attachmentId}.`);
    return named;
  }
  const claimed = rows.filter((row) => !row.unclaimed);
  if (claimed.length > 1) {
    throw invalidVolume("Detach volume failed: More than one attachment, but no attachment_id provided.");
  }
  return claimed[0];
}
