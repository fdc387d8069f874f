// The attachments API (3.27, 3.44, 3.54). An attachment with a connector has an export of its own; both live and die in the
// same transaction.
//
//              create                update with a connector            complete
//   (nothing) ────────► reserved ─────────────────────────► attaching ──────────► attached
//       │                                                      ▲                      │
//       └────────────── create with a connector ───────────────┘                      │
//   any ── delete ──► gone, once its connections are cut  ◄─────────────────────────────┘
//
// The volume follows: status.ts has the priorities. A second attachment of the same server is always let in while the volume
// is in use or reserved: live migration, resize and evacuation rest on that.

import type { Tx } from "../registry/atomic.ts";
import type { RequestContext } from "./context.ts";
import {
  checkConnector,
  chooseMode,
  connect,
  mayDetach,
  newAttachment,
  removeAttachment,
  withStatusOf,
  writeAttachments,
} from "./attachment-records.ts";
import { runQuery } from "./collection-query.ts";
import { attachmentNotFound, invalidVolume, resourceConflict } from "./faults.ts";
import type { ListQuery, Page } from "./list-query.ts";
import type { Attachment, Connector, Volume } from "./model.ts";
import { isVisible, readAttachment, readAttachments, readVolume, searchedProject, type CinderPorts } from "./ports.ts";
import { attachmentShape } from "./shapes.ts";
import { checkNotMoving, isErrorStatus } from "./status.ts";
import type { Attachments, CreateAttachment } from "./verbs.ts";
import { isUuid } from "./type-reference.ts";

export class AttachmentService implements Attachments {
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  create(context: RequestContext, request: CreateAttachment): Promise<Attachment> {
    const id = this.#ports.random.uuid();
    const connector = request.connector ?? undefined;
    if (connector !== undefined) checkConnector(connector);
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const volume = await readVolume(tx, context, request.volumeId);
      this.#ports.policy.enforce(context, "volume:attachment_create", volume);
      const rows = await readAttachments(tx, volume);
      const instanceId = request.instanceId ?? null;
      const reserved = this.#reserve(context, volume, rows, instanceId);
      const attachMode = chooseMode(volume, request.mode);
      const row = newAttachment(this.#ports, context, volume, id, {
        status: "reserved",
        instanceId,
        attachMode: request.mode === undefined ? null : attachMode,
      });
      const held = writeAttachments(this.#ports, tx, reserved, [...rows, row], [row]);
      return connector === undefined ? row : this.#attach(tx, context, held, rows, row, connector);
    });
  }

  async list(context: RequestContext, query: ListQuery): Promise<Page<Attachment>> {
    await this.#ports.index.fresh();
    const { attachments } = this.#ports.index;
    const search = attachments.search(query, searchedProject(context, query));
    return runQuery(search.list, attachmentShape, search.query, (id) => {
      const attachment = attachments.get(id);
      return attachment !== undefined && isVisible(context, attachment) ? attachment : undefined;
    });
  }

  async show(context: RequestContext, id: string): Promise<Attachment> {
    await this.#ports.index.fresh();
    return this.#find(context, id);
  }

  update(context: RequestContext, id: string, connector: Connector): Promise<Attachment> {
    checkConnector(connector);
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const row = await readAttachment(tx, context, id);
      this.#ports.policy.enforce(context, "volume:attachment_update", row);
      const volume = await readVolume(tx, context, row.volumeId);
      const rows = await readAttachments(tx, volume);
      if (isErrorStatus(volume.status)) {
        throw resourceConflict(
          "Volume attachments can not be updated if the volume is in an error state. " +
            `The Volume ${volume.id} currently has a status of: ${volume.status} `,
        );
      }
      const others = rows.filter((other) => other.id !== id);
      if (!volume.multiattach && others.some((other) => other.connectionInfo !== null)) {
        throw resourceConflict(`duplicate connectors detected on volume ${volume.id}`);
      }
      return this.#attach(tx, context, volume, others, row, connector);
    });
  }

  async complete(context: RequestContext, id: string): Promise<void> {
    await this.#ports.store.commit(context.projectId, async (tx) => {
      const row = await readAttachment(tx, context, id);
      this.#ports.policy.enforce(context, "volume:attachment_complete", row);
      const volume = await readVolume(tx, context, row.volumeId);
      const nowMs = this.#ports.clock.wallMs();
      const attached: Attachment = { ...row, status: "attached", attachedAtMs: row.attachedAtMs ?? nowMs, updatedAtMs: nowMs };
      const rows = (await readAttachments(tx, volume)).map((other) => (other.id === id ? attached : other));
      const inUse: Volume = { ...volume, status: "in-use", attachStatus: "attached" };
      const next = writeAttachments(this.#ports, tx, inUse, rows, [attached]);
      await this.#ports.notices.volume(tx, context, "attachCompletes", next);
    });
  }

  async delete(context: RequestContext, id: string): Promise<readonly Attachment[]> {
    await this.#ports.index.fresh();
    // Repeated after an answer that got lost, it must not say "gone" before the connections are.
    if (this.#ports.index.attachments.get(id) === undefined && isUuid(id)) await this.#ports.control.exportGone(id);
    const found = this.#find(context, id);
    this.#ports.policy.enforce(context, "volume:attachment_delete", found);
    await mayDetach(this.#ports, context, found);
    const outcome = await this.#ports.store.commit(context.projectId, async (tx) => {
      const row = await readAttachment(tx, context, id);
      const volume = await readVolume(tx, context, row.volumeId);
      const rows = await readAttachments(tx, volume);
      await this.#ports.notices.volume(tx, context, row.status === "reserved" ? "releaseBegins" : "detachBegins", volume);
      const { volume: next, exported } = await removeAttachment(this.#ports, tx, volume, rows, row);
      await this.#ports.notices.volume(tx, context, "releaseEnds", next);
      return { exported, remaining: rows.filter((other) => other.id !== id) };
    });
    if (outcome.exported) await this.#ports.control.exportGone(id);
    return outcome.remaining;
  }

  #find(context: RequestContext, id: string): Attachment {
    const attachment = this.#ports.index.attachments.get(id);
    if (attachment === undefined || !isVisible(context, attachment)) throw attachmentNotFound(id);
    return attachment;
  }

  /** The volume after a new attachment was let in. `attaching` rows of the same server change nothing of it. */
  #reserve(context: RequestContext, volume: Volume, rows: readonly Attachment[], instanceId: string | null): Volume {
    checkNotMoving(volume);
    if (isErrorStatus(volume.status)) {
      throw invalidVolume(
        "Volume attachments can not be created if the volume is in an error state. " +
          `The Volume ${volume.id} currently has a status of: ${volume.status} `,
      );
    }
    if (volume.multiattach && volume.bootable && volume.status === "in-use") {
      this.#ports.policy.enforce(context, "volume:multiattach_bootable_volume", volume);
    }
    const allowed = volume.multiattach ? ["available", "in-use", "downloading"] : ["available", "downloading"];
    if (allowed.includes(volume.status)) return { ...volume, status: "reserved", attachStatus: "reserved" };
    const ofSameServer = instanceId !== null && rows.some((row) => row.instanceId === instanceId);
    if (ofSameServer && (volume.status === "in-use" || volume.status === "reserved")) return volume;
    throw invalidVolume(
      `Volume ${volume.id} status must be ${allowed.join(" or ")} to reserve, but the current status is ${volume.status}.`,
    );
  }

  /** Gives the row a connection; the volume is `attaching` until os-complete, as upstream, whatever its other rows are. */
  async #attach(
    tx: Tx,
    context: RequestContext,
    volume: Volume,
    others: readonly Attachment[],
    row: Attachment,
    connector: Connector,
  ): Promise<Attachment> {
    await this.#ports.notices.volume(tx, context, "attachBegins", volume);
    const connected = await connect(this.#ports, tx, volume, row, connector);
    const repeated = row.status === "attached";
    const next: Attachment = repeated ? connected : { ...connected, status: "attaching" };
    const rows = [...others, next].sort((a, b) => a.createdAtMs - b.createdAtMs);
    const following: Volume = repeated
      ? withStatusOf(volume, rows)
      : { ...volume, status: "attaching", attachStatus: "attaching" };
    writeAttachments(this.#ports, tx, following, rows, [next]);
    return next;
  }
}
