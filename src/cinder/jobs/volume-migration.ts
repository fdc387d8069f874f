// A volume from one pool to another, whether it is attached or not: its bytes are copied to a vDisk of the other pool, compared,
// what is written meanwhile is copied again, and the volume's vDisk moves to the log of that one under its connections.
// docs/design/migration.md has the argument. The request makes the vDisk and leaves the job.
//
//   migration status   starting ──► migrating ── copied ──► completing ── the same ──► permitted ──► success
//                          └───────────┴── cancelled, failed ──┴──► error, the copy is gone, and a message
//
// - Source and copy are reached by exports of the claim's own (job-exports.ts): one process at most can write the copy.
// - The volume bears `move`, which forbids attaching anew, growing, reverting and snapshots.
// - The vDisk of the copy has the job's id. It goes, or becomes the volume's, in the transaction that takes `move` off.

import { AndironError } from "../../common/errors.ts";
import type { Tx } from "../../registry/atomic.ts";
import { firstMoveState, type MoveState, type MoveStep } from "../disk-copies.ts";
import { ownersContext } from "../notifications/message-context.ts";
import { asksFor } from "../extra-specs.ts";
import { invalidVolume } from "../faults.ts";
import { dropBase } from "../backups/backup-cuts.ts";
import type { Volume, VolumeMove } from "../model.ts";
import { type CinderPorts, readAttachments } from "../ports.ts";
import { readRecord, typeKind, volumeKind, writeRecord } from "../records.ts";
import { statusByAttachments } from "../status.ts";
import { vdiskName } from "../volume-create.ts";
import { JobExports } from "./job-exports.ts";
import type { JobAdvance, JobKind, JobRun, NewJob } from "./job-kind.ts";
import type { Job, JobVerdict } from "./job.ts";
import { volumeOfJob, writeFailure } from "./volume-job.ts";

/** What a step came to; undefined: the volume is gone, or somebody else's business now. */
type Moved = MoveStep | undefined;

/** How often the copy may begin anew, since something was written while no process noted it. */
const beginningsMax = 10;

export class VolumeMigration implements JobKind<Moved> {
  readonly name = "volume-migration";
  readonly version = 1;
  readonly unit = "bytes";
  readonly runningMax = 2;
  readonly stepTimeoutMs = 600_000;
  readonly deadlineMs = 24 * 3600 * 1000;
  readonly #ports: CinderPorts;
  readonly #exports: JobExports;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
    this.#exports = new JobExports(ports, exportsOf);
  }

  /** `jobId`: also to be written into the volume, with its `move`, in the same transaction; the copy's vDisk has it too. */
  request(volume: Volume, jobId: string, sizeBytes: number, sourceExportId: string, requestId: string): NewJob {
    const { id, projectId } = volume;
    const params = { sizeBytes, sourceExportId };
    // Each byte is copied, and compared.
    return { id: jobId, projectId, requestId, resource: { type: "volume", id }, params, total: 2 * sizeBytes };
  }

  async work(job: Job, run: JobRun): Promise<Moved> {
    const open = await this.#open(job);
    if (open === undefined) return undefined;
    const [sourceExport, targetExport] = open;
    const disks = { vdiskId: job.resource.id, copyId: job.id, sourceExport: sourceExport!, targetExport: targetExport! };
    return this.#ports.copies.step({ ...disks, state: stateOf(job) }, run);
  }

  async advance(tx: Tx, job: Job, moved: Moved): Promise<JobAdvance> {
    const volume = await volumeOfJob(tx, job);
    if (volume?.move === undefined || moved === undefined) {
      await this.#drop(tx, job);
      return { next: "done", done: job.progress.done };
    }
    const { state, doneBytes } = moved;
    if (state.phase === "permitted") {
      await this.#switch(tx, job, volume, volume.move);
      return { next: "done" };
    }
    const beganAnew = state.since !== stateOf(job).since;
    const beginnings = Number(job.checkpoint["beginnings"] ?? 0) + (beganAnew ? 1 : 0);
    if (beginnings > beginningsMax) throw invalidVolume(`Copying volume ${volume.id} had to begin anew ${beginningsMax} times.`);
    if (state.phase !== "copy" && volume.migrationStatus === "migrating") {
      writeRecord(tx, volumeKind, volume.id, { ...volume, migrationStatus: "completing", updatedAtMs: this.#nowMs() });
    }
    const done = job.progress.done + doneBytes;
    const whole = (beganAnew ? job.progress.done : 0) + 2 * Number(job.params["sizeBytes"]);
    const total = Math.max(whole, done, job.progress.total ?? 0);
    return { next: "more", checkpoint: { ...state, beginnings }, done, total };
  }

  async undo(job: Job): Promise<"done"> {
    await this.#ports.copies.end(job.id);
    await this.#exports.close(job);
    return "done";
  }

  async settle(tx: Tx, job: Job, verdict: JobVerdict, messageId: string): Promise<void> {
    await this.#drop(tx, job);
    const volume = await volumeOfJob(tx, job);
    if (volume === undefined) return;
    if (volume.move?.typeId !== undefined) await this.#ports.ledger.release(tx, chargeOfType(volume, volume.move.typeId));
    writeRecord(tx, volumeKind, volume.id, { ...(await this.#arrived(tx, volume)), migrationStatus: "error" });
    writeFailure(this.#ports, tx, messageId, job, {
      action: "create-volume",
      detail: "unknown",
      projectId: volume.projectId,
      reason: verdict.reason,
    });
  }

  /** The volume's vDisk gets the log of the copy, if the router permits it still. */
  async #switch(tx: Tx, job: Job, volume: Volume, move: VolumeMove): Promise<void> {
    if (volume.snapshotCount > 0) throw invalidVolume(`Volume ${volume.id} was changed while it was migrated.`);
    const { control, ledger } = this.#ports;
    await dropBase(control, tx, volume);
    for (const id of exportsOf(job)) await control.revokeExport(tx, id);
    await control.moveVdisk(tx, volume.id, job.id, vdiskName(volume.id, volume.name));
    const { backupBaseId: _dropped, ...rest } = await this.#arrived(tx, volume);
    const arrived: Volume = { ...rest, host: move.host, migrationStatus: "success" };
    if (move.typeId === undefined) {
      writeRecord(tx, volumeKind, volume.id, arrived);
      return;
    }
    if (volume.typeId !== null) await ledger.release(tx, chargeOfType(volume, volume.typeId));
    const type = await readRecord(tx, typeKind, move.typeId);
    const multiattach = asksFor(type?.extraSpecs["multiattach"]);
    const typed: Volume = { ...arrived, typeId: move.typeId, multiattach };
    writeRecord(tx, volumeKind, volume.id, typed);
    await this.#ports.notices.volume(tx, ownersContext(volume, job.requestId), "retype", typed);
  }

  /** The volume without its job. A status that the job gave it goes; an administrator's word stands. */
  async #arrived(tx: Tx, volume: Volume): Promise<Volume> {
    const { jobId: _ended, move: _gone, ...free } = volume;
    const isOurs = volume.status === "retyping" || volume.status === "maintenance";
    const status = isOurs ? statusByAttachments(await readAttachments(tx, volume)).status : volume.status;
    return { ...free, status, previousStatus: volume.status, updatedAtMs: this.#nowMs() };
  }

  /** The names of the exports of volume and copy; undefined when the volume is not the job's any more. */
  #open(job: Job): Promise<readonly string[] | undefined> {
    return this.#exports.open(job, async (tx) => {
      const volume = await volumeOfJob(tx, job);
      if (volume?.move === undefined) return undefined;
      if (volume.migrationStatus === "starting") {
        writeRecord(tx, volumeKind, volume.id, { ...volume, migrationStatus: "migrating", updatedAtMs: this.#nowMs() });
      }
      return [
        { vdiskId: volume.id, readOnly: true },
        { vdiskId: job.id, readOnly: false },
      ];
    });
  }

  /** The copy goes, if it is there still; the exports are closed already, or nobody's. */
  async #drop(tx: Tx, job: Job): Promise<void> {
    const { control } = this.#ports;
    for (const id of exportsOf(job)) await control.revokeExport(tx, id);
    await control.deleteVdisk(tx, job.id).catch((error: unknown) => {
      if (!(error instanceof AndironError) || error.code !== "vdisk_not_found") throw error;
    });
  }

  #nowMs(): number {
    return this.#ports.clock.wallMs();
  }
}

const phases: readonly MoveState["phase"][] = ["copy", "compare", "rounds", "permitted"];

function stateOf({ checkpoint }: Job): MoveState {
  const { since, offset, round } = checkpoint;
  // Without `since`: nothing was copied, or by a build that did not know what is written meanwhile.
  if (typeof since !== "string") return firstMoveState;
  const phase = phases.find((known) => known === checkpoint["phase"]) ?? "copy";
  return { phase, offset: Number(offset), since, round: Number(round) };
}

/** Ids of the exports of the volume and of the copy. */
function exportsOf(job: Job): readonly [source: string, target: string] {
  return [String(job.params["sourceExportId"]), job.id];
}

/** What a volume without snapshots counts for among those of a type. */
export function chargeOfType(
  { projectId, sizeGib, consumesQuota }: Volume,
  typeId: string,
): {
  readonly projectId: string;
  readonly typeId: string;
  readonly volumes: number;
  readonly gigabytes: number;
  readonly ofTypeOnly: true;
} {
  const count = consumesQuota ? 1 : 0;
  return { projectId, typeId, volumes: count, gigabytes: count * sizeGib, ofTypeOnly: true };
}
