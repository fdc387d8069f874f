// What users ask for, as chance has it: each request is drawn by its weight, and what it is about among all that is there.

import { admin, requestContext } from "../../src/cinder/cinder-fixture.ts";
import { cancelJob } from "../../src/cinder/jobs/job-queue.ts";
import { anImage } from "../../src/cinder/image-rig.fixture.ts";
import type { Volume } from "../../src/cinder/model.ts";
import type { World } from "../world.ts";
import type { JobProcess } from "./job-process.ts";

export const user = requestContext("demo", false);

/** Undefined: there is nothing to ask it about. */
type Request = (process: JobProcess) => Promise<unknown> | undefined;

const most = { volumes: 16, backups: 8, groups: 5 } as const;
const groupType = "groups";
const drawsMax = 5;
const unnamed = { name: null, description: null } as const;

export class Users {
  /** Volumes that are filled by SimCopy; what is in them is judged. */
  readonly copies = new Set<string>();
  readonly #world: World;
  readonly #requests: readonly (readonly [weight: number, what: string, request: Request])[] = [
    [12, "copy", (process) => this.#copy(process)],
    [6, "create", (process) => this.#create(process, {})],
    [3, "create of an image", (process) => this.#create(process, { imageReference: "disk" })],
    [12, "snapshot", (process) => this.#snapshots(process)],
    [8, "cascade", (process) => this.#onVolume(process, false, (id) => this.#delete(process, id))],
    [4, "force delete", (process) => this.#onVolume(process, false, (id) => process.cinder.volumeActions.forceDelete(admin, id))],
    [10, "cancel", (process) => this.#cancel(process)],
    [5, "reimage", (process) => this.#reimage(process)],
    [14, "backup", (process) => this.#backup(process)],
    [6, "restore", (process) => this.#restore(process)],
    [6, "delete of a backup", (process) => this.#onBackup(process, (id) => process.cinder.backups.delete(user, id))],
    [5, "group", (process) => this.#group(process)],
    [8, "member", (process) => this.#member(process)],
    [5, "snapshot of a group", (process) => this.#groupSnapshot(process)],
    [3, "delete of a group's snapshot", (process) => this.#deleteGroupSnapshot(process)],
    [4, "copy of a group", (process) => this.#copyGroup(process)],
    [4, "delete of a group", (process) => this.#onGroup(process, (id) => process.cinder.groups.delete(user, id, true))],
  ];

  constructor(world: World) {
    this.#world = world;
  }

  ask(process: JobProcess): void {
    for (let draws = 0; draws < drawsMax; draws++) {
      let dice = this.#world.random.below(this.#requests.reduce((sum, [weight]) => sum + weight, 0));
      const [, what, request] = this.#requests.find(([weight]) => (dice -= weight) < 0)!;
      const asked = request(process);
      if (asked !== undefined) return void process.ask(what, () => asked);
    }
  }

  /** A volume of the user's that waits for SimCopy. */
  draft(process: JobProcess): Volume {
    const id = this.#world.random.uuid();
    const unset = { name: null, description: null, migrationStatus: null, previousStatus: null, typeId: null, groupId: null };
    const origin = { snapshotId: null, sourceVolumeId: null, bootable: false, multiattach: false, availabilityZone: "nova" };
    const texts = { metadata: {}, adminMetadata: {}, imageMetadata: {}, attachmentIds: [] };
    const times = { createdAtMs: process.ports.clock.wallMs(), updatedAtMs: null };
    const state = { status: "downloading", attachStatus: "detached", snapshotCount: 0, consumesQuota: true } as const;
    const whose = { projectId: "demo", userId: "u", host: "andiron@p1#p1", sizeGib: this.#sizeGib() };
    return { v: 1, id, ...unset, ...origin, ...texts, ...times, ...state, ...whose };
  }

  #sizeGib(): number {
    return 1 + this.#world.random.below(9);
  }

  #pick<T>(of: Iterable<T>): T | undefined {
    const all = [...of];
    return all[this.#world.random.below(Math.max(all.length, 1))];
  }

  #onVolume(process: JobProcess, isEmpty: boolean, request: (id: string) => Promise<unknown>): Promise<unknown> | undefined {
    const volumes = [...process.ports.index.volumes.all].filter(({ id }) => !isEmpty || !this.copies.has(id));
    const volume = this.#pick(volumes);
    return volume && request(volume.id);
  }

  #onBackup({ ports }: JobProcess, request: (id: string) => Promise<unknown>): Promise<unknown> | undefined {
    const backup = this.#pick(ports.index.backups.all);
    return backup && request(backup.id);
  }

  #onGroup({ ports }: JobProcess, request: (id: string) => Promise<unknown>): Promise<unknown> | undefined {
    const group = this.#pick(ports.index.groups.all);
    return group && request(group.id);
  }

  #copy(process: JobProcess): Promise<unknown> | undefined {
    if ([...process.ports.index.volumes.all].length >= most.volumes) return undefined;
    const volume = this.draft(process);
    this.copies.add(volume.id);
    return process.copy.request(volume, 1 + this.#world.random.below(20));
  }

  #create({ cinder, ports }: JobProcess, source: { readonly imageReference?: string }): Promise<unknown> | undefined {
    if ([...ports.index.volumes.all].length >= most.volumes) return undefined;
    return cinder.volumes.create(user, { sizeGib: this.#sizeGib(), ...source });
  }

  #snapshots(process: JobProcess): Promise<unknown> | undefined {
    return this.#onVolume(process, false, async (volumeId) => {
      for (let count = this.#world.random.below(8); count > 0; count--) {
        void process.ask("another", () => process.cinder.snapshots.create(user, { volumeId, allowInUse: false }));
      }
      return process.cinder.snapshots.create(user, { volumeId, allowInUse: false });
    });
  }

  #delete({ cinder }: JobProcess, id: string): Promise<unknown> {
    return cinder.volumes.delete(user, id, { cascade: true, force: false });
  }

  #cancel({ ports }: JobProcess): Promise<unknown> | undefined {
    const job = this.#pick(ports.index.jobs.select(({ phase }) => phase !== "ended"));
    return job && ports.store.commit("x", (tx) => cancelJob(tx, job.id, "the user", ports.clock.wallMs()));
  }

  #reimage(process: JobProcess): Promise<unknown> | undefined {
    const image = { imageId: anImage.id, reserved: false };
    return this.#onVolume(process, true, (id) => process.cinder.volumeImages.reimage(user, id, image));
  }

  #backup(process: JobProcess): Promise<unknown> | undefined {
    const { random } = this.#world;
    if ([...process.ports.index.backups.all].length >= most.backups) return undefined;
    const asked = { container: null, incremental: random.below(2) === 0, force: false };
    const snapshot = random.below(3) === 0 ? this.#pick(process.ports.index.snapshots.all) : undefined;
    if (snapshot !== undefined) {
      const of = { volumeId: snapshot.volumeId, snapshotId: snapshot.id };
      return process.cinder.backups.create(user, { ...asked, ...of });
    }
    return this.#onVolume(process, false, (volumeId) =>
      process.cinder.backups.create(user, { ...asked, volumeId, snapshotId: null }),
    );
  }

  #restore(process: JobProcess): Promise<unknown> | undefined {
    const isNew = this.#world.random.below(2) === 0 && [...process.ports.index.volumes.all].length < most.volumes;
    return this.#onBackup(process, (id) => {
      if (isNew) return process.cinder.backups.restore(user, id, { volumeId: null, name: null });
      const over = (volumeId: string): Promise<unknown> => process.cinder.backups.restore(user, id, { volumeId, name: null });
      return this.#onVolume(process, true, over) ?? Promise.resolve();
    });
  }

  #group({ cinder, ports: { index } }: JobProcess): Promise<unknown> | undefined {
    if ([...index.groups.all].length >= most.groups) return undefined;
    const isThere = index.groupTypes.select(({ name }) => name === groupType).length > 0;
    if (!isThere) return cinder.groupTypes.create(admin, { name: groupType });
    return cinder.groups.create(user, { ...unnamed, groupType, volumeTypes: ["__DEFAULT__"] });
  }

  #member(process: JobProcess): Promise<unknown> | undefined {
    if ([...process.ports.index.volumes.all].length >= most.volumes) return undefined;
    const asked = { sizeGib: this.#sizeGib(), volumeType: "__DEFAULT__" };
    return this.#onGroup(process, (groupId) => process.cinder.volumes.create(user, { ...asked, groupId }));
  }

  #groupSnapshot(process: JobProcess): Promise<unknown> | undefined {
    return this.#onGroup(process, (groupId) => process.cinder.groupSnapshots.create(user, { ...unnamed, groupId }));
  }

  #deleteGroupSnapshot({ cinder, ports }: JobProcess): Promise<unknown> | undefined {
    const snapshot = this.#pick(ports.index.groupSnapshots.all);
    return snapshot && cinder.groupSnapshots.delete(user, snapshot.id);
  }

  #copyGroup(process: JobProcess): Promise<unknown> | undefined {
    const { cinder, ports } = process;
    if ([...ports.index.groups.all].length >= most.groups) return undefined;
    const snapshot = this.#world.random.below(2) === 0 ? this.#pick(ports.index.groupSnapshots.all) : undefined;
    if (snapshot !== undefined) return cinder.groups.createFromSource(user, { ...unnamed, groupSnapshotId: snapshot.id });
    return this.#onGroup(process, (sourceGroupId) => cinder.groups.createFromSource(user, { ...unnamed, sourceGroupId }));
  }
}
