// Deletes volumes. Alone it is one transaction: record, attachments left over, vDisk and quota go together. With its snapshots
// (cascade) it may be any number of records, so the request only writes the intent, and bounded steps follow:
//
//   available | error ── cascade ──► deleting, intent ──► some snapshots less ──► ... ──► no snapshot left ──► gone
//
// Each step is one transaction that finds out from the records what is left: any process may do any step, also after a crash
// (reconciler.ts finds the intents).

import type { Tx } from "../registry/atomic.ts";
import { systemContext, type RequestContext } from "./context.ts";
import { cinderLimits, type Attachment, type Volume } from "./model.ts";
import type { PolicyRule } from "./policy.ts";
import { readAttachments, readSnapshot, readVolume, type CinderPorts } from "./ports.ts";
import { attachmentKind, deleteRecord, readRecord, snapshotKind, transferKind, volumeKind, writeRecord } from "./records.ts";
import { snapshotCharge } from "./snapshot-records.ts";
import { checkDelete, deleteRefusal } from "./status.ts";

export interface DeleteOptions {
  readonly cascade: boolean;
  readonly force: boolean;
  /** Policy rules, all of which must allow it. */
  readonly rules: readonly PolicyRule[];
}

export class VolumeDeletion {
  readonly #ports: CinderPorts;
  readonly #cascades = new Map<string, Promise<void>>();

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  /** Resolves when the volume is gone, or its intent to go is durable. */
  async delete(context: RequestContext, id: string, options: DeleteOptions): Promise<void> {
    const outcome = await this.#ports.store.commit(context.projectId, async (tx) => {
      const volume = await readVolume(tx, context, id);
      for (const rule of options.rules) this.#ports.policy.enforce(context, rule, volume);
      const attachments = await readAttachments(tx, volume);
      checkDelete(volume, attachments.some(isAttached), options);
      if (volume.snapshotCount === 0) {
        await removeVolume(this.#ports, tx, volume, attachments);
        return { cascade: false, projectId: volume.projectId };
      }
      await this.#checkSnapshots(volume, options.force);
      const updatedAtMs = this.#ports.clock.wallMs();
      writeRecord(tx, volumeKind, id, { ...volume, status: "deleting", intent: "delete-cascade", updatedAtMs });
      return { cascade: true, projectId: volume.projectId };
    });
    if (outcome.cascade) this.resume(id, outcome.projectId);
  }

  /** Carries a cascade on in the background, once at a time. A failure is reported and left to the next look. */
  resume(volumeId: string, projectId: string): void {
    if (this.#cascades.has(volumeId)) return;
    const work = this.#runSteps(volumeId, projectId)
      .catch((error: unknown) => this.#ports.onTrouble(`deleting volume ${volumeId} with its snapshots`, error))
      .finally(() => this.#cascades.delete(volumeId));
    this.#cascades.set(volumeId, work);
  }

  /** Resolves when no cascade runs in this process. */
  async idle(): Promise<void> {
    while (this.#cascades.size > 0) await Promise.all(this.#cascades.values());
  }

  /** The volume's record was read by the transaction, and every change of its snapshots writes it: what is seen here holds. */
  async #checkSnapshots(volume: Volume, force: boolean): Promise<void> {
    await this.#ports.index.fresh();
    for (const snapshot of this.#ports.index.snapshots.ofVolume(volume.id)) {
      const settled = snapshot.status === "available" || snapshot.status === "error";
      const foreign = snapshot.projectId !== volume.projectId; // stayed behind in a transfer
      if (!settled || foreign || snapshot.groupSnapshotId !== null) throw deleteRefusal(force);
    }
  }

  /** Forgets the volume and keeps its vDisk; what forbids a delete forbids it. */
  async unmanage(context: RequestContext, id: string): Promise<void> {
    await this.#ports.store.commit(context.projectId, async (tx) => {
      const volume = await readVolume(tx, context, id);
      this.#ports.policy.enforce(context, "volume_extension:volume_unmanage", volume);
      const attachments = await readAttachments(tx, volume);
      checkDelete(volume, attachments.some(isAttached), { cascade: false, force: false });
      await forgetVolume(this.#ports, tx, volume, attachments);
    });
  }

  async #runSteps(volumeId: string, projectId: string): Promise<void> {
    let done = false;
    while (!done) done = await this.#ports.store.commit(projectId, (tx) => this.#step(tx, volumeId));
  }

  async #step(tx: Tx, volumeId: string): Promise<boolean> {
    const volume = await readRecord(tx, volumeKind, volumeId);
    if (volume?.intent !== "delete-cascade") return true;
    await this.#ports.index.fresh();
    const listed = [...this.#ports.index.snapshots.ofVolume(volumeId)];
    const batch = listed.slice(0, cinderLimits.cascadeStepSnapshots);
    for (const { id } of batch) {
      const snapshot = await readSnapshot(tx, systemContext, id);
      await this.#ports.control.deleteSnapshot(tx, id);
      deleteRecord(tx, snapshotKind, id);
      if (snapshot.consumesQuota) await this.#ports.ledger.release(tx, snapshotCharge(this.#ports.settings, snapshot));
    }
    if (batch.length === listed.length) {
      await removeVolume(this.#ports, tx, volume, await readAttachments(tx, volume));
      return true;
    }
    writeRecord(tx, volumeKind, volumeId, { ...volume, snapshotCount: listed.length - batch.length });
    return false;
  }
}

function isAttached(attachment: Attachment): boolean {
  return attachment.status === "attached";
}

async function removeVolume(ports: CinderPorts, tx: Tx, volume: Volume, attachments: readonly Attachment[]): Promise<void> {
  await forgetVolume(ports, tx, volume, attachments);
  if (volume.host !== null) await ports.control.deleteVdisk(tx, volume.id);
}

/** The volume's records, with what is left of attachments that never came to be, and its quota. */
async function forgetVolume(ports: CinderPorts, tx: Tx, volume: Volume, attachments: readonly Attachment[]): Promise<void> {
  for (const attachment of attachments) {
    if (attachment.connectionInfo !== null) await ports.control.revokeExport(tx, attachment.id);
    deleteRecord(tx, attachmentKind, attachment.id);
  }
  if (volume.transferId !== undefined) deleteRecord(tx, transferKind, volume.transferId);
  deleteRecord(tx, volumeKind, volume.id);
  if (!volume.consumesQuota) return;
  const { projectId, typeId, sizeGib } = volume;
  await ports.ledger.release(tx, { projectId, typeId, volumes: 1, gigabytes: sizeGib });
}
