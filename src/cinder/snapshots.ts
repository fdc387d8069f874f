// Snapshots. A snapshot of a disk that a router owns starts as `creating` and becomes `available` when the owner has cut it
// (reconciler.ts). Each of them is counted in its volume's record: what changes snapshots conflicts with what deletes the volume.

import type { Tx } from "../registry/atomic.ts";
import type { RequestContext } from "./context.ts";
import { runQuery } from "./collection-query.ts";
import { checkNotInGroupSnapshot } from "./groups/group-status.ts";
import type { ListQuery, Page } from "./list-query.ts";
import { checkMetadata, checkTexts } from "./metadata-rules.ts";
import { RecordMetadata } from "./metadata-verbs.ts";
import { findSnapshot, snapshotMetadataOwner } from "./metadata-owners.ts";
import type { Snapshot } from "./model.ts";
import { type PolicyRule, ownTarget } from "./policy.ts";
import { isVisible, readSnapshot, readVolume, searchedProject, type CinderPorts } from "./ports.ts";
import { snapshotKind, volumeKind, writeRecord } from "./records.ts";
import { snapshotShape } from "./shapes.ts";
import { newSnapshot, nextSnapshotTimeMs, removeSnapshot, snapshotCharge } from "./snapshot-records.ts";
import { checkSnapshotDelete, checkSnapshotSource, resetSnapshotTarget, updateSnapshotTarget } from "./status.ts";
import type { CreateSnapshot, MetadataVerbs, NameUpdate, Snapshots } from "./verbs.ts";

export class SnapshotService implements Snapshots {
  readonly metadata: MetadataVerbs;
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
    this.metadata = new RecordMetadata(ports, snapshotMetadataOwner(ports));
  }

  create(context: RequestContext, request: CreateSnapshot): Promise<Snapshot> {
    checkTexts(request);
    checkMetadata(request.metadata ?? {});
    const id = this.#ports.random.uuid();
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const volume = await readVolume(tx, context, request.volumeId);
      this.#ports.policy.enforce(context, "volume:create_snapshot", volume);
      checkSnapshotSource(volume, request.allowInUse);
      await this.#ports.ledger.charge(tx, snapshotCharge(this.#ports.settings, volume));
      const name = request.name ?? `snapshot-${id}`;
      const state = await this.#ports.control.createSnapshot(tx, { id, vdiskId: volume.id, name });
      const snapshot: Snapshot = {
        ...newSnapshot(context, volume, request, id, await nextSnapshotTimeMs(this.#ports, volume)),
        status: state === "ready" ? "available" : state === "error" ? "error" : "creating",
        progress: state === "ready" ? "100%" : "0%",
      };
      writeRecord(tx, snapshotKind, id, snapshot);
      writeRecord(tx, volumeKind, volume.id, { ...volume, snapshotCount: volume.snapshotCount + 1 });
      await this.#ports.notices.snapshot(tx, context, state === "ready" ? "create" : "createBegins", snapshot);
      return snapshot;
    });
  }

  async list(context: RequestContext, query: ListQuery): Promise<Page<Snapshot>> {
    this.#ports.policy.enforce(context, "volume:get_all_snapshots", ownTarget(context));
    await this.#ports.index.fresh();
    const { snapshots } = this.#ports.index;
    const search = snapshots.search(query, searchedProject(context, query));
    return runQuery(search.list, snapshotShape, search.query, (id) => {
      const snapshot = snapshots.get(id);
      return snapshot !== undefined && isVisible(context, snapshot) ? snapshot : undefined;
    });
  }

  async show(context: RequestContext, id: string): Promise<Snapshot> {
    await this.#ports.index.fresh();
    const snapshot = findSnapshot(this.#ports, context, id);
    this.#ports.policy.enforce(context, "volume:get_snapshot", snapshot);
    return snapshot;
  }

  update(context: RequestContext, id: string, update: NameUpdate): Promise<Snapshot> {
    checkTexts(update);
    if (update.metadata !== undefined) checkMetadata(update.metadata);
    return this.#change(context, id, "volume:update_snapshot", "update", (snapshot) => ({
      ...snapshot,
      name: update.name === undefined ? snapshot.name : update.name,
      description: update.description === undefined ? snapshot.description : update.description,
      metadata: update.metadata ?? snapshot.metadata,
    }));
  }

  delete(context: RequestContext, id: string): Promise<void> {
    return this.#delete(context, id, "volume:delete_snapshot", checkSnapshotDelete);
  }

  forceDelete(context: RequestContext, id: string): Promise<void> {
    return this.#delete(context, id, "volume_extension:snapshot_admin_actions:force_delete", checkNotInGroupSnapshot);
  }

  async resetStatus(context: RequestContext, id: string, status: string): Promise<void> {
    await this.#change(context, id, "volume_extension:snapshot_admin_actions:reset_status", "resetStatus", (snapshot) => ({
      ...snapshot,
      status: resetSnapshotTarget(status),
    }));
  }

  async updateStatus(context: RequestContext, id: string, status: string, progress: string | undefined): Promise<void> {
    await this.#change(context, id, "snapshot_extension:snapshot_actions:update_snapshot_status", undefined, (snapshot) => ({
      ...snapshot,
      status: updateSnapshotTarget(snapshot, status),
      progress: progress ?? snapshot.progress,
    }));
  }

  #change(
    context: RequestContext,
    id: string,
    rule: PolicyRule,
    verb: "update" | "resetStatus" | undefined,
    change: (snapshot: Snapshot) => Snapshot,
  ): Promise<Snapshot> {
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const snapshot = await readSnapshot(tx, context, id);
      this.#ports.policy.enforce(context, rule, snapshot);
      const next = { ...change(snapshot), updatedAtMs: this.#ports.clock.wallMs() };
      writeRecord(tx, snapshotKind, id, next);
      if (verb !== undefined) await this.#ports.notices.snapshot(tx, context, verb, snapshot, next);
      return next;
    });
  }

  #delete(context: RequestContext, id: string, rule: PolicyRule, check: (snapshot: Snapshot) => void): Promise<void> {
    return this.#ports.store.commit(context.projectId, async (tx: Tx) => {
      const snapshot = await readSnapshot(tx, context, id);
      this.#ports.policy.enforce(context, rule, snapshot);
      check(snapshot);
      await this.#ports.notices.snapshot(tx, context, "delete", snapshot);
      await removeSnapshot(this.#ports, tx, snapshot);
    });
  }
}
