// Volumes on offer to another project. The key is told once, to who offers; kept is a salted hash of it.
//
//   available ── create ──► awaiting-transfer ── accept ──► available, in the other project, no transfer
//                                 └───────────── delete ──► available, no transfer
//
// The key of an encrypted volume is ours while it is on offer: each step makes a copy, and deletes what was copied.
//
// An acceptance is one transaction: volume, snapshots (unless they stay), the usage of both projects, and connections that
// were left open end with it. That bounds the snapshots: transferSnapshotsMax.

import { createHmac, timingSafeEqual } from "node:crypto";
import type { Tx } from "../registry/atomic.ts";
import { dropAttachments } from "./attachment-records.ts";
import { runQuery } from "./collection-query.ts";
import type { RequestContext } from "./context.ts";
import { invalid, invalidSnapshot, invalidVolume, transferNotFound } from "./faults.ts";
import { checkTransferable } from "./groups/group-status.ts";
import type { JobQueue } from "./jobs/job-queue.ts";
import type { KeyHolder } from "./keys.ts";
import type { ListQuery, Page } from "./list-query.ts";
import { checkTexts } from "./metadata-rules.ts";
import { cinderLimits, type Snapshot, type Transfer, type Volume } from "./model.ts";
import type { CreatedTransfer, CreateTransfer, Transfers } from "./operator-verbs.ts";
import { ownTarget } from "./policy.ts";
import { isVisible, readVolume, searchedProject, type CinderPorts } from "./ports.ts";
import { deleteRecord, readRecord, snapshotKind, transferKind, volumeKind, writeRecord } from "./records.ts";
import { transferShape } from "./shapes.ts";
import { snapshotCharge } from "./snapshot-records.ts";
import { checkNotMoving } from "./status.ts";
import { commitWithKey, deleteKeyLater, type KeyFor } from "./volume-keys.ts";

const keyBytes = 8; // shown as 16 hex digits, the length of Cinder's

export class TransferService implements Transfers {
  readonly #ports: CinderPorts;
  readonly #queue: JobQueue;

  constructor(ports: CinderPorts, queue: JobQueue) {
    this.#ports = ports;
    this.#queue = queue;
  }

  async list(context: RequestContext, query: ListQuery): Promise<Page<Transfer>> {
    this.#ports.policy.enforce(context, "volume:get_all_transfers", ownTarget(context));
    await this.#ports.index.fresh();
    const { transfers } = this.#ports.index;
    const search = transfers.search(query, searchedProject(context, query));
    return runQuery(search.list, transferShape, search.query, (id) => {
      const transfer = transfers.get(id);
      return transfer !== undefined && isVisible(context, transfer) ? transfer : undefined;
    });
  }

  async show(context: RequestContext, id: string): Promise<Transfer> {
    await this.#ports.index.fresh();
    const transfer = this.#ports.index.transfers.get(id);
    if (transfer === undefined || !isVisible(context, transfer)) throw transferNotFound(id);
    this.#ports.policy.enforce(context, "volume:get_transfer", transfer);
    return transfer;
  }

  async create(context: RequestContext, request: CreateTransfer): Promise<CreatedTransfer> {
    checkTexts(request);
    const id = this.#ports.random.uuid();
    const authKey = this.#ports.random.bytes(keyBytes).toString("hex");
    const salt = this.#ports.random.bytes(keyBytes).toString("hex");
    const transfer = await this.#commit(context, async (tx, keyFor) => {
      const volume = await readVolume(tx, context, request.volumeId);
      this.#ports.policy.enforce(context, "volume:create_transfer", volume);
      if (volume.status !== "available") throw invalidVolume("status must be available");
      checkNotMoving(volume);
      checkTransferable(volume);
      checkEncrypted(volume, request);
      if (!request.noSnapshots) checkSnapshots(await this.#snapshotsOf(volume));
      const record: Transfer = {
        v: 1,
        id,
        projectId: volume.projectId,
        volumeId: volume.id,
        name: request.name,
        noSnapshots: request.noSnapshots,
        salt,
        keyHash: hashKey(salt, authKey),
        createdAtMs: this.#ports.clock.wallMs(),
      };
      if (volume.transferId !== undefined) deleteRecord(tx, transferKind, volume.transferId);
      writeRecord(tx, transferKind, id, record);
      const offered: Volume = { ...volume, status: "awaiting-transfer", transferId: id };
      this.#writeVolume(tx, await this.#rekey(tx, keyFor, offered, context, "ourselves", context));
      await this.#ports.notices.volume(tx, context, "transferCreate", volume, offered);
      return record;
    });
    return { transfer, authKey };
  }

  async accept(context: RequestContext, id: string, authKey: string): Promise<Transfer> {
    const revoked: string[] = [];
    const transfer = await this.#commit(context, async (tx, keyFor) => {
      const found = await readRecord(tx, transferKind, id);
      if (found === undefined) throw transferNotFound(id);
      this.#ports.policy.enforce(context, "volume:accept_transfer", ownTarget(context));
      if (!timingSafeEqual(Buffer.from(hashKey(found.salt, authKey)), Buffer.from(found.keyHash))) {
        throw invalid(`Invalid auth key: Attempt to transfer ${id} with invalid auth key.`);
      }
      const volume = await readRecord(tx, volumeKind, found.volumeId);
      if (volume?.status !== "awaiting-transfer") {
        throw invalidVolume(`Transfer ${id} is of a volume that is not awaiting it.`);
      }
      checkTransferable(volume);
      revoked.splice(0, revoked.length, ...(await dropAttachments(this.#ports, tx, volume)));
      const offered = await this.#move(tx, context, volume, found);
      const moved = await this.#rekey(tx, keyFor, offered, "ourselves", context, context);
      this.#writeVolume(tx, moved);
      await this.#ports.notices.volume(tx, context, "transferAccept", volume, moved);
      deleteRecord(tx, transferKind, id);
      return found;
    });
    for (const attachmentId of revoked) await this.#ports.control.exportGone(attachmentId);
    return transfer;
  }

  async delete(context: RequestContext, id: string): Promise<void> {
    await this.#commit(context, async (tx, keyFor) => {
      const transfer = await readRecord(tx, transferKind, id);
      if (transfer === undefined || !isVisible(context, transfer)) throw transferNotFound(id);
      this.#ports.policy.enforce(context, "volume:delete_transfer", transfer);
      deleteRecord(tx, transferKind, id);
      const volume = await readRecord(tx, volumeKind, transfer.volumeId);
      if (volume?.transferId !== id) return;
      const { transferId: _, ...rest } = volume;
      const free: Volume = { ...rest, status: volume.status === "awaiting-transfer" ? "available" : volume.status };
      this.#writeVolume(tx, await this.#rekey(tx, keyFor, free, "ourselves", context, context));
      await this.#ports.notices.volume(tx, context, "transferDelete", volume, free);
    });
  }

  /** Volume, snapshots and usage, from the project that offers to the caller's. */
  async #move(tx: Tx, context: RequestContext, volume: Volume, transfer: Transfer): Promise<Volume> {
    const { projectId, userId } = context;
    const { transferId: _, ...rest } = volume;
    const charge = { typeId: volume.typeId, volumes: 1, gigabytes: volume.sizeGib };
    if (volume.consumesQuota) await this.#moveCharge(tx, charge, volume.projectId, projectId);
    const snapshots = transfer.noSnapshots ? [] : await this.#snapshotsOf(volume);
    checkSnapshots(snapshots);
    for (const { id } of snapshots) {
      const snapshot = await readRecord(tx, snapshotKind, id);
      if (snapshot === undefined || snapshot.projectId !== volume.projectId) continue;
      writeRecord(tx, snapshotKind, id, { ...snapshot, projectId, userId });
      if (!snapshot.consumesQuota) continue;
      await this.#moveCharge(tx, snapshotCharge(this.#ports.settings, snapshot), snapshot.projectId, projectId);
    }
    const moved: Volume = {
      ...rest,
      projectId,
      userId,
      status: "available",
      attachStatus: "detached",
      attachmentIds: [],
    };
    return moved;
  }

  async #commit<T>(context: RequestContext, body: (tx: Tx, keyFor: KeyFor) => Promise<T>): Promise<T> {
    const value = await commitWithKey(this.#ports, context, body);
    this.#queue.wake();
    return value;
  }

  /** The volume with a key of another holder's; its snapshots are written, the old key is deleted. */
  async #rekey(tx: Tx, keyFor: KeyFor, volume: Volume, from: KeyHolder, to: KeyHolder, context: RequestContext): Promise<Volume> {
    const { encryptionKeyId: keyId } = volume;
    if (keyId === undefined) return volume;
    const encryptionKeyId = keyFor({ kind: "copy", keyId, from, to });
    for (const { id } of await this.#snapshotsOf(volume)) {
      const snapshot = await readRecord(tx, snapshotKind, id);
      if (snapshot !== undefined) writeRecord(tx, snapshotKind, id, { ...snapshot, encryptionKeyId });
    }
    if (from !== "ourselves") this.#ports.keys.vouch(keyId, from);
    deleteKeyLater(this.#ports, tx, keyId, volume, context.requestId);
    return { ...volume, encryptionKeyId };
  }

  async #moveCharge(
    tx: Tx,
    charge: Omit<Parameters<CinderPorts["ledger"]["charge"]>[1], "projectId">,
    source: string,
    target: string,
  ): Promise<void> {
    if (source === target) return;
    await this.#ports.ledger.release(tx, { ...charge, projectId: source });
    await this.#ports.ledger.charge(tx, { ...charge, projectId: target });
  }

  /** Read after the volume's record, which every change of its snapshots writes: what is seen here holds. */
  async #snapshotsOf(volume: Volume): Promise<Snapshot[]> {
    await this.#ports.index.fresh();
    return [...this.#ports.index.snapshots.ofVolume(volume.id)];
  }

  #writeVolume(tx: Tx, volume: Volume): void {
    writeRecord(tx, volumeKind, volume.id, { ...volume, updatedAtMs: this.#ports.clock.wallMs() });
  }
}

function checkEncrypted({ encryptionKeyId }: Volume, { allowsEncrypted, noSnapshots }: CreateTransfer): void {
  if (encryptionKeyId === undefined) return;
  if (!allowsEncrypted) throw invalidVolume("transferring encrypted volume is not supported");
  if (noSnapshots) throw invalidVolume("transferring an encrypted volume without its snapshots is not supported");
}

function checkSnapshots(snapshots: readonly Snapshot[]): void {
  for (const { id, status, groupSnapshotId } of snapshots) {
    if (status !== "available") throw invalidSnapshot(`snapshot: ${id} status must be available`);
    if (groupSnapshotId !== null) throw invalidSnapshot(`snapshot: ${id} must not be part of a group`);
  }
  if (snapshots.length <= cinderLimits.transferSnapshotsMax) return;
  throw invalidVolume(
    `${snapshots.length} snapshots can't be transferred together, at most ${cinderLimits.transferSnapshotsMax} can; ` +
      "ask for no_snapshots.",
  );
}

function hashKey(salt: string, authKey: string): string {
  return createHmac("sha256", salt).update(authKey).digest("hex");
}
