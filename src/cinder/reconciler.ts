// Brings to an end what a request left to others, so that nothing is stuck for ever. It acts on what the engine announces
// (onSettled), at the start, and every now and then on what the index shows unfinished; each act is one idempotent transaction,
// so several processes may do it, and a lost event is only late.
//
//   volume   creating ── vDisk ready ──► available      snapshot  creating ── ready ──► available
//            creating ── error, gone ──► error                    creating ── error, gone ──► error
//   group snapshot   creating ── all its members ready ──► available, with them   (group-snapshot-end.ts)
//            deleting, intent (of an older build) ─► deleting, jobId
//
// Each error leaves a message that the user can read.

import type { Timer } from "../common/clock.ts";
import type { Service } from "../common/service.ts";
import type { SettledState } from "../engine/control.ts";
import { systemContext } from "./context.ts";
import { endGroupSnapshot } from "./groups/group-snapshot-end.ts";
import type { GroupTypeService } from "./group-types.ts";
import type { MessageService } from "./messages.ts";
import { ownersContext } from "./notifications/message-context.ts";
import type { CinderPorts } from "./ports.ts";
import { readRecord, snapshotKind, volumeKind, writeRecord } from "./records.ts";
import { writeMessage } from "./user-messages.ts";
import type { VolumeDeletion } from "./volume-delete.ts";
import type { VolumeTypeService } from "./volume-types.ts";

export interface ReconcilerParts {
  readonly deletion: VolumeDeletion;
  readonly messages: MessageService;
  readonly types: VolumeTypeService;
  readonly groupTypes: GroupTypeService;
}

export class Reconciler implements Service {
  readonly id = "cinder-reconciler";
  readonly #ports: CinderPorts;
  readonly #parts: ReconcilerParts;
  #unsubscribe: (() => void) | undefined;
  #timer: Timer | undefined;
  #work: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(ports: CinderPorts, parts: ReconcilerParts) {
    this.#ports = ports;
    this.#parts = parts;
  }

  async start(): Promise<void> {
    this.#unsubscribe = this.#ports.control.onSettled(({ kind, id, state, message }) => {
      this.#queue(`settling ${kind} ${id}`, () => this.#settle(kind, id, state, message));
    });
    await this.#parts.types.ensureDefault();
    await this.#parts.groupTypes.ensureDefault();
    await this.lookAround();
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe?.();
    this.#timer?.cancel();
    await this.#work;
  }

  /** One look at everything that is unfinished. */
  async lookAround(): Promise<void> {
    const { index, control } = this.#ports;
    await index.fresh();
    for (const volume of index.volumes.select((one) => one.status === "creating" || one.intent !== undefined)) {
      if (volume.intent === "delete-cascade") await this.#parts.deletion.adopt(volume.id, volume.projectId);
      if (volume.status !== "creating" || volume.jobId !== undefined) continue;
      const vdisk = await control.vdisk(volume.id);
      if (vdisk?.state === "pending") continue;
      await this.#settle("vdisk", volume.id, vdisk?.state ?? "error", vdisk?.message);
    }
    const groupSnapshots = index.groupSnapshots.select((one) => one.status === "creating");
    const whole = new Set(groupSnapshots.map((one) => one.id));
    for (const snapshot of index.snapshots.select((one) => one.status === "creating")) {
      if (snapshot.groupSnapshotId !== null) {
        whole.add(snapshot.groupSnapshotId);
        continue;
      }
      const cut = await control.snapshot(snapshot.id);
      if (cut?.state === "pending") continue;
      await this.#settle("snapshot", snapshot.id, cut?.state ?? "error", cut?.message);
    }
    for (const id of whole) await endGroupSnapshot(this.#ports, id);
    await this.#parts.types.finishRetiring();
    await this.#parts.messages.removeExpired();
  }

  /** Resolves when everything announced so far is done. */
  async idle(): Promise<void> {
    await this.#work;
  }

  #queue(what: string, work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => this.#ports.onTrouble(what, error));
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = this.#ports.clock.after(this.#ports.settings.reconcileIntervalMs, () => {
      this.#queue("looking for unfinished work", () => this.lookAround());
      void this.#work.then(() => this.#schedule());
    });
  }

  #settle(kind: "vdisk" | "snapshot", id: string, state: SettledState, message: string | undefined): Promise<void> {
    return kind === "vdisk" ? this.#settleVolume(id, state, message) : this.#settleSnapshot(id, state, message);
  }

  async #settleVolume(id: string, state: SettledState, reason: string | undefined): Promise<void> {
    const messageId = this.#ports.random.uuid();
    const known = this.#ports.index.volumes.get(id);
    await this.#ports.store.commit(known?.projectId ?? systemContext.projectId, async (tx) => {
      const volume = await readRecord(tx, volumeKind, id);
      if (volume?.status !== "creating" || volume.jobId !== undefined) return;
      const status = state === "ready" ? "available" : "error";
      const nowMs = this.#ports.clock.wallMs();
      const settled = {
        ...volume,
        status,
        updatedAtMs: nowMs,
        ...(status === "available" ? { launchedAtMs: nowMs } : {}),
      } as const;
      writeRecord(tx, volumeKind, id, settled);
      if (status === "available")
        return this.#ports.notices.volume(tx, ownersContext(volume, systemContext.requestId), "createEnds", settled);
      writeMessage(this.#ports, tx, messageId, {
        action: "create-volume",
        detail: "unknown",
        resourceType: "VOLUME",
        resourceId: id,
        projectId: volume.projectId,
        requestId: systemContext.requestId,
        ...(reason === undefined ? {} : { reason }),
      });
    });
  }

  async #settleSnapshot(id: string, state: SettledState, reason: string | undefined): Promise<void> {
    const messageId = this.#ports.random.uuid();
    const known = this.#ports.index.snapshots.get(id);
    const groupSnapshotId = await this.#ports.store.commit(known?.projectId ?? systemContext.projectId, async (tx) => {
      const snapshot = await readRecord(tx, snapshotKind, id);
      if (snapshot?.status !== "creating") return null;
      if (snapshot.groupSnapshotId !== null) return snapshot.groupSnapshotId;
      const settled = state === "ready" ? ({ status: "available", progress: "100%" } as const) : ({ status: "error" } as const);
      const next = { ...snapshot, ...settled, updatedAtMs: this.#ports.clock.wallMs() };
      writeRecord(tx, snapshotKind, id, next);
      if (next.status === "available") {
        await this.#ports.notices.snapshot(tx, ownersContext(snapshot, systemContext.requestId), "createEnds", next);
        return null;
      }
      writeMessage(this.#ports, tx, messageId, {
        action: "create-snapshot",
        detail: "unknown",
        resourceType: "VOLUME_SNAPSHOT",
        resourceId: id,
        projectId: snapshot.projectId,
        requestId: systemContext.requestId,
        ...(reason === undefined ? {} : { reason }),
      });
      return null;
    });
    if (groupSnapshotId !== null) await endGroupSnapshot(this.#ports, groupSnapshotId);
  }
}
