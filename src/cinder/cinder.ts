// Puts the services of the Block Storage API together over a registry and an engine. What bin/ starts, and api/ calls.

import type { Clock } from "../common/clock.ts";
import type { Random } from "../common/random.ts";
import type { Service } from "../common/service.ts";
import type { Control } from "../engine/control.ts";
import type { Registry } from "../registry/registry.ts";
import { AttachmentService } from "./attachments.ts";
import { BackupRestoration } from "./backups/backup-restoration.ts";
import { BackupService } from "./backups/backups.ts";
import { DefaultTypeService } from "./default-types.ts";
import type { BackupBytes } from "./backups/backup-bytes.ts";
import type { DiskCopies } from "./disk-copies.ts";
import { GroupCopying } from "./groups/group-copy.ts";
import { GroupDeletion } from "./groups/group-delete.ts";
import type { GroupVerbs } from "./groups/group-verbs.ts";
import { GroupService } from "./groups/groups.ts";
import { GroupSnapshotService } from "./groups/group-snapshots.ts";
import { GroupTypeService } from "./group-types.ts";
import { ImageCache } from "./image-cache.ts";
import type { Images } from "./images.ts";
import { GroupDelete } from "./jobs/group-delete.ts";
import { GroupFromSource } from "./jobs/group-from-source.ts";
import { KeyDelete } from "./jobs/key-delete.ts";
import type { Keys } from "./keys.ts";
import type { JobCounts } from "./jobs/job-counts.ts";
import { BackupCreate } from "./jobs/backup-create.ts";
import { BackupDelete } from "./jobs/backup-delete.ts";
import { BackupRestore } from "./jobs/backup-restore.ts";
import type { JobKind } from "./jobs/job-kind.ts";
import type { JobQueue } from "./jobs/job-queue.ts";
import type { JobObserver } from "./jobs/job-run.ts";
import { JobRunner } from "./jobs/job-runner.ts";
import { VolumeDeleteCascade } from "./jobs/volume-delete-cascade.ts";
import { VolumeFromImage } from "./jobs/volume-from-image.ts";
import { VolumeReimage } from "./jobs/volume-reimage.ts";
import { VolumeToImage } from "./jobs/volume-to-image.ts";
import { VolumeMigration } from "./jobs/volume-migration.ts";
import { LegacyAttachService } from "./legacy-attach.ts";
import { ManagementService } from "./management.ts";
import { MessageService } from "./messages.ts";
import { type Outbox, Notices, noOutbox } from "./notifications/notices.ts";
import type { Policy } from "./policy.ts";
import type { CinderPorts, LogControl, Projects, ServerVolumes } from "./ports.ts";
import { QosSpecsService } from "./qos-specs.ts";
import { QuotaLedger } from "./quota-ledger.ts";
import { QuotaService } from "./quotas.ts";
import { Reconciler } from "./reconciler.ts";
import { RecordIndex } from "./record-index.ts";
import { RecordStore } from "./record-store.ts";
import { ServiceActionService } from "./service-actions.ts";
import { ServiceReports } from "./service-reports.ts";
import type { CinderSettings } from "./settings.ts";
import { SnapshotService } from "./snapshots.ts";
import { TopologyService } from "./topology.ts";
import { TransferService } from "./transfers.ts";
import { TypeEncryptionService } from "./type-encryption.ts";
import type { Cinder } from "./verbs.ts";
import { VolumeActionService } from "./volume-actions.ts";
import { VolumeDeletion } from "./volume-delete.ts";
import { VolumeImageService } from "./volume-images.ts";
import { VolumeMoveService } from "./volume-moves.ts";
import { VolumeTypeService } from "./volume-types.ts";
import { VolumeService } from "./volumes.ts";

export interface CinderOptions {
  readonly registry: Registry;
  readonly control: Control;
  readonly clock: Clock;
  readonly random: Random;
  readonly policy: Policy;
  readonly servers: ServerVolumes;
  readonly projects: Projects;
  readonly images: Images;
  readonly keys: Keys;
  /** Where notifications go; without it nobody is told anything. */
  readonly outbox?: Outbox;
  readonly copies: DiskCopies;
  readonly backups: BackupBytes;
  readonly log: LogControl;
  readonly settings: CinderSettings;
  /** Told of each failure of work that no request waits for: to be logged. */
  readonly onTrouble: (what: string, error: unknown) => void;
  readonly jobObserver: JobObserver;
  /** Kinds of jobs that need more than the ports. */
  readonly jobKinds?: (ports: CinderPorts) => readonly JobKind[];
}

export interface CinderService extends Cinder, Service {
  /** Resolves when the background work that is known of now is done. */
  idle(): Promise<void>;
  jobCounts(): JobCounts;
}

export function createCinder(options: CinderOptions): CinderService {
  const { registry, clock, random, settings, onTrouble } = options;
  const index = new RecordIndex({ registry, clock, readWaitMs: settings.readWaitMs, onTrouble });
  const store = new RecordStore({ registry, clock, random });
  const notices = new Notices({ outbox: options.outbox ?? noOutbox, clock, random, host: settings.host });
  const ports: CinderPorts = { ...options, index, store, notices, ledger: new QuotaLedger(settings) };
  const jobs = new JobRunner(ports, { registry, observer: options.jobObserver });
  const cascade = new VolumeDeleteCascade(ports);
  const cache = new ImageCache(ports);
  const fromImage = new VolumeFromImage(ports, cache);
  const reimage = new VolumeReimage(ports);
  const toImage = new VolumeToImage(ports);
  const migration = new VolumeMigration(ports);
  const backupJobs = { create: new BackupCreate(ports), restore: new BackupRestore(ports), delete: new BackupDelete(ports) };
  const ofVolumes = [cascade, fromImage, reimage, toImage, migration, new KeyDelete(ports)];
  const groups = groupServices(ports, jobs.queue);
  const kinds = [...ofVolumes, ...Object.values(backupJobs), ...groups.kinds, ...(options.jobKinds?.(ports) ?? [])];
  for (const kind of kinds) jobs.addKind(kind);
  const { queue } = jobs;
  const restoration = new BackupRestoration(ports, { queue, restore: backupJobs.restore });
  const creationJobs = { queue, fromImage, cache, restoration };
  const deletion = new VolumeDeletion(ports, { queue, cascade });
  const legacyAttach = new LegacyAttachService(ports);
  const types = new VolumeTypeService(ports);
  const groupTypes = new GroupTypeService(ports);
  const messages = new MessageService(ports);
  const reconciler = new Reconciler(ports, { deletion, messages, types, groupTypes });
  const reports = new ServiceReports(ports);
  return {
    id: "cinder",
    policy: options.policy,
    volumes: new VolumeService(ports, deletion, creationJobs),
    volumeActions: new VolumeActionService(ports, deletion),
    volumeImages: new VolumeImageService(ports, { queue, toImage, reimage, types }),
    legacyAttach,
    volumeMoves: new VolumeMoveService(ports, { queue, migration, attach: legacyAttach }),
    snapshots: new SnapshotService(ports),
    backups: new BackupService(ports, { ...backupJobs, queue, volumes: creationJobs }),
    attachments: new AttachmentService(ports),
    volumeTypes: types,
    quotas: new QuotaService(ports),
    topology: new TopologyService(ports),
    messages,
    typeEncryptions: new TypeEncryptionService(ports),
    qosSpecs: new QosSpecsService(ports),
    groupTypes,
    ...groups.verbs,
    defaultTypes: new DefaultTypeService(ports),
    transfers: new TransferService(ports, jobs.queue),
    serviceActions: new ServiceActionService(ports, () => reconciler.lookAround()),
    management: new ManagementService(ports, deletion),
    async idle() {
      await reconciler.idle();
      await jobs.idle();
    },
    jobCounts: () => jobs.counts(),
    async start() {
      await index.start();
      await jobs.start();
      await reconciler.start();
      await reports.start();
    },
    async stop() {
      await reports.stop();
      await reconciler.stop();
      await jobs.stop();
      await index.stop();
    },
  };
}

function groupServices(ports: CinderPorts, queue: JobQueue): { readonly kinds: readonly JobKind[]; readonly verbs: GroupVerbs } {
  const groupDelete = new GroupDelete(ports);
  const fromSource = new GroupFromSource(ports);
  const parts = {
    deletion: new GroupDeletion(ports, { queue, groupDelete }),
    copying: new GroupCopying(ports, { queue, fromSource }),
  };
  return {
    kinds: [groupDelete, fromSource],
    verbs: {
      groups: new GroupService(ports, parts, false),
      groupSnapshots: new GroupSnapshotService(ports, false),
      consistencyGroups: new GroupService(ports, parts, true),
      consistencyGroupSnapshots: new GroupSnapshotService(ports, true),
    },
  };
}
