// Volumes: list, show, update, summary; create and delete are in files of their own. Reads wait for the index to be fresh.

import type { RequestContext } from "./context.ts";
import { filterAll, runQuery } from "./collection-query.ts";
import { isConsistencyGroup } from "./groups/group-records.ts";
import type { ListQuery, Page } from "./list-query.ts";
import { volumeMetadataOwner } from "./metadata-owners.ts";
import { checkMetadata, checkTexts } from "./metadata-rules.ts";
import { RecordMetadata } from "./metadata-verbs.ts";
import type { Volume } from "./model.ts";
import { type PolicyRule, ownTarget } from "./policy.ts";
import { findVolume, isVisible, readVolume, searchedProject, type CinderPorts } from "./ports.ts";
import { volumeKind, writeRecord } from "./records.ts";
import { volumeShape } from "./shapes.ts";
import { checkUpdate } from "./status.ts";
import type { CreateVolume, MetadataVerbs, NameUpdate, VolumeDetail, VolumeEncryption, VolumeSummary, Volumes } from "./verbs.ts";
import { type CreationJobs, createVolume, vdiskName } from "./volume-create.ts";
import type { VolumeDeletion } from "./volume-delete.ts";

export class VolumeService implements Volumes {
  readonly metadata: MetadataVerbs;
  readonly #ports: CinderPorts;
  readonly #deletion: VolumeDeletion;
  readonly #jobs: CreationJobs;

  constructor(ports: CinderPorts, deletion: VolumeDeletion, jobs: CreationJobs) {
    this.#ports = ports;
    this.#deletion = deletion;
    this.#jobs = jobs;
    this.metadata = new RecordMetadata(ports, volumeMetadataOwner(ports));
  }

  async create(context: RequestContext, request: CreateVolume): Promise<VolumeDetail> {
    const { volume, typeName } = await createVolume(this.#ports, this.#jobs, context, request);
    return { volume, typeName, ...this.#consistencyGroup(volume), attachments: [] };
  }

  async list(context: RequestContext, query: ListQuery): Promise<Page<VolumeDetail>> {
    this.#ports.policy.enforce(context, "volume:get_all", ownTarget(context));
    await this.#ports.index.fresh();
    const { volumes } = this.#ports.index;
    const search = volumes.search(query, searchedProject(context, query));
    const page = runQuery(search.list, volumeShape, search.query, (id) => {
      const volume = volumes.get(id);
      return volume !== undefined && isVisible(context, volume) ? volume : undefined;
    });
    return { ...page, items: page.items.map((volume) => this.#detail(volume)) };
  }

  async show(context: RequestContext, id: string): Promise<VolumeDetail> {
    await this.#ports.index.fresh();
    const volume = findVolume(this.#ports, context, id);
    this.#ports.policy.enforce(context, "volume:get", volume);
    return this.#detail(volume);
  }

  async encryption(context: RequestContext, id: string): Promise<VolumeEncryption> {
    await this.#ports.index.fresh();
    const volume = findVolume(this.#ports, context, id);
    this.#ports.policy.enforce(context, "volume_extension:volume_encryption_metadata", volume);
    const { encryption } = (volume.typeId === null ? undefined : this.#ports.index.types.get(volume.typeId)) ?? {};
    const { provider, cipher, controlLocation: control_location, keySize: key_size } = encryption ?? {};
    return {
      encryption_key_id: volume.encryptionKeyId ?? null,
      ...(encryption === undefined ? {} : { provider, cipher, control_location, key_size }),
    } as VolumeEncryption;
  }

  async update(context: RequestContext, id: string, update: NameUpdate): Promise<VolumeDetail> {
    checkTexts(update);
    if (update.metadata !== undefined) checkMetadata(update.metadata);
    const updated = await this.#ports.store.commit(context.projectId, async (tx) => {
      const volume = await readVolume(tx, context, id);
      this.#ports.policy.enforce(context, "volume:update", volume);
      checkUpdate(volume);
      const next: Volume = {
        ...volume,
        name: update.name === undefined ? volume.name : update.name,
        description: update.description === undefined ? volume.description : update.description,
        metadata: update.metadata ?? volume.metadata,
        updatedAtMs: this.#ports.clock.wallMs(),
      };
      if (volume.host !== null && next.name !== volume.name) {
        await this.#ports.control.renameVdisk(tx, id, vdiskName(id, next.name));
      }
      writeRecord(tx, volumeKind, id, next);
      await this.#ports.notices.volume(tx, context, "update", volume, next);
      return next;
    });
    await this.#ports.index.fresh();
    return this.#detail(updated);
  }

  delete(context: RequestContext, id: string, options: { readonly cascade: boolean; readonly force: boolean }): Promise<void> {
    const rules: PolicyRule[] = options.force ? ["volume:delete", "volume:force_delete"] : ["volume:delete"];
    return this.#deletion.delete(context, id, { ...options, rules });
  }

  async summary(context: RequestContext, query: ListQuery): Promise<VolumeSummary> {
    this.#ports.policy.enforce(context, "volume:get_all", ownTarget(context));
    await this.#ports.index.fresh();
    const search = this.#ports.index.volumes.search(query, searchedProject(context, query));
    const volumes = filterAll(search.list, volumeShape, search.query);
    const valuesOf = new Map<string, Set<string>>();
    let totalGib = 0;
    for (const volume of volumes) {
      totalGib += volume.sizeGib;
      for (const [key, value] of Object.entries(volume.metadata)) {
        const values = valuesOf.get(key) ?? new Set();
        valuesOf.set(key, values.add(value));
      }
    }
    const metadata = Object.fromEntries([...valuesOf].map(([key, values]) => [key, [...values].sort()]));
    return { count: volumes.length, totalGib, metadata };
  }

  #detail(volume: Volume): VolumeDetail {
    const { types, attachments } = this.#ports.index;
    const typeName = volume.typeId === null ? null : (types.get(volume.typeId)?.name ?? null);
    const about = { volume, typeName, ...this.#consistencyGroup(volume) };
    if (volume.attachmentIds.length === 0) return { ...about, attachments: [] };
    const attached = [...attachments.ofVolume(volume.id)].filter((attachment) => attachment.status === "attached");
    return { ...about, attachments: attached };
  }

  #consistencyGroup({ groupId }: Volume): Pick<VolumeDetail, "consistencyGroupId"> {
    const group = groupId === null ? undefined : this.#ports.index.groups.get(groupId);
    return group !== undefined && isConsistencyGroup(this.#ports, group) ? { consistencyGroupId: group.id } : {};
  }
}
