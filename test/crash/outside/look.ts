// Looks at a service from outside: its lists and quotas by HTTP, its records by andiron-manage, the files of its backends and
// journal, the images of Glance. The parts are looked at one after the other: of a service that works they need not agree.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { BlockStorage } from "../../harness/block-storage.ts";
import type { AndironProcess } from "../../harness/service.ts";
import { readRecords } from "./records.ts";
import type { OutsideView, Resource } from "./seen.ts";

export interface Lookout {
  readonly service: AndironProcess;
  readonly api: BlockStorage;
  /** image_conversion_dir, where it is not the default. */
  readonly scratch?: string;
  /** The backup's id of each object in the backups' store, where that is not the default directory. */
  readonly stored?: () => Promise<readonly string[]>;
  /** Of Glance. */
  readonly images: { list(): Promise<readonly { readonly id: string; readonly status: string }[]> };
}

interface Listed {
  readonly id: string;
  readonly status: string;
  readonly created_at: string;
  readonly updated_at?: string | null;
}

interface ListedVolume extends Listed {
  readonly size: number;
  readonly volume_type: string;
  readonly migration_status: string | null;
  readonly consumes_quota: boolean;
  readonly group_id: string | null;
  readonly "os-vol-tenant-attr:tenant_id": string;
}

interface ListedSnapshot extends Listed {
  readonly size: number;
  readonly volume_id: string;
  readonly consumes_quota: boolean;
  readonly group_snapshot_id: string | null;
  readonly "os-extended-snapshot-attributes:project_id": string;
}

interface ListedGroup extends Listed {
  readonly project_id: string;
}

interface ListedGroupSnapshot extends ListedGroup {
  readonly group_id: string;
}

interface ListedBackup extends Listed {
  readonly size: number;
  readonly object_count: number;
  readonly "os-backup-project-attr:project_id": string;
}

interface ListedAttachment {
  readonly id: string;
  readonly status: string;
  readonly volume_id: string;
}

type Usage = Readonly<Record<string, number>>;

const pageMax = 1000;

export async function look(lookout: Lookout): Promise<OutsideView> {
  const { service, api } = lookout;
  const nowMs = Date.now();
  const resources = [...(await listResources(api, nowMs)), ...(await seenImages(lookout))];
  const projects = new Set([api.project, ...resources.map(({ project }) => project)].filter((project) => project !== ""));
  const usage = Object.fromEntries(
    await Promise.all([...projects].map(async (project) => [project, await usageOf(api, project)] as const)),
  );
  const { code, stdout, stderr } = await service.manage("registry", "dump", "");
  if (code !== 0) throw new Error(`registry dump ended with ${code}: ${stderr}`);
  const objects = await listObjects(service.statePath);
  const stored = await (lookout.stored?.() ?? listFiles(join(service.statePath, "backup")).then(backupsOf));
  const scratch = await listFiles(lookout.scratch ?? join(service.statePath, "conversion"));
  return { nowMs, resources, usage, records: readRecords(stdout), objects, stored, scratch };
}

/** Objects of backups are called CONTAINER/volume_ID/backup_ID/NAME. */
export function backupsOf(names: readonly string[]): string[] {
  return names.flatMap((name) => /\/backup_([^/]+)\//.exec(name)?.[1] ?? []);
}

async function listResources(api: BlockStorage, nowMs: number): Promise<Resource[]> {
  const volumes = await listAll<ListedVolume>(api, "volumes");
  const snapshots = await listAll<ListedSnapshot>(api, "snapshots");
  const { attachments } = await api.call<{ attachments: ListedAttachment[] }>("GET", "/attachments?all_tenants=1");
  const typeOf = new Map(volumes.map(({ id, volume_type: type }) => [id, type]));
  return [
    ...volumes.map((volume): Resource => {
      const charges = { volumes: 1, gigabytes: volume.size };
      return {
        ...common("volume", volume, volume["os-vol-tenant-attr:tenant_id"]),
        progress: volume.migration_status ?? "",
        charges: volume.consumes_quota ? withType(charges, volume.volume_type) : {},
        needs: referTo("group", volume.group_id),
      };
    }),
    ...snapshots.map((snapshot): Resource => {
      const charges = { snapshots: 1, gigabytes: snapshot.size };
      return {
        ...common("snapshot", snapshot, snapshot["os-extended-snapshot-attributes:project_id"]),
        progress: "",
        charges: snapshot.consumes_quota ? withType(charges, typeOf.get(snapshot.volume_id) ?? "") : {},
        needs: [...referTo("volume", snapshot.volume_id), ...referTo("group snapshot", snapshot.group_snapshot_id)],
      };
    }),
    ...attachments.map(({ id, status, volume_id: volumeId }): Resource => {
      const needs = referTo("volume", volumeId);
      return { kind: "attachment", id, project: "", status, progress: "", changedAtMs: nowMs, charges: {}, needs };
    }),
    ...(await listGroups(api)),
    ...(await listBackups(api)),
  ];
}

async function listGroups(api: BlockStorage): Promise<Resource[]> {
  const groups = await listAll<ListedGroup>(api, "groups");
  const snapshots = await listAll<ListedGroupSnapshot>(api, "group_snapshots");
  return [
    ...groups.map((group): Resource => {
      return { ...common("group", group, group.project_id), progress: "", charges: { groups: 1 }, needs: [] };
    }),
    ...snapshots.map((snapshot): Resource => {
      const needs = referTo("group", snapshot.group_id);
      return { ...common("group snapshot", snapshot, snapshot.project_id), progress: "", charges: {}, needs };
    }),
  ];
}

async function listBackups(api: BlockStorage): Promise<Resource[]> {
  return (await listAll<ListedBackup>(api, "backups")).map((backup) => ({
    ...common("backup", backup, backup["os-backup-project-attr:project_id"]),
    progress: "",
    charges: { backups: 1, backup_gigabytes: backup.size },
    needs: [],
    objectCount: backup.object_count,
  }));
}

function referTo(kind: Resource["kind"], id: string | null): Resource["needs"] {
  return id === null ? [] : [{ kind, id }];
}

/** Glance does not say since when: an image that is not active is under way for ever. */
async function seenImages({ images }: Lookout): Promise<Resource[]> {
  return (await images.list()).map(({ id, status }) => {
    return { kind: "image", id, project: "", status, progress: "", changedAtMs: 0, charges: {}, needs: [] };
  });
}

function common(kind: Resource["kind"], { id, status, ...times }: Listed, project: string) {
  return { kind, id, status, project, changedAtMs: Date.parse(`${times.updated_at ?? times.created_at}Z`) } as const;
}

/** Each figure once more for the type. */
function withType(charges: Usage, type: string): Usage {
  const ofType = Object.entries(charges).map(([key, amount]) => [`${key}_${type}`, amount] as const);
  return { ...charges, ...Object.fromEntries(ofType) };
}

async function listAll<T extends { readonly id: string }>(api: BlockStorage, collection: string): Promise<T[]> {
  const found: T[] = [];
  for (;;) {
    const marker = found.length === 0 ? "" : `&marker=${found.at(-1)!.id}`;
    const path = `/${collection}/detail?all_tenants=1&limit=${pageMax}${marker}`;
    const page = (await api.call<Record<string, T[]>>("GET", path))[collection] ?? [];
    found.push(...page);
    if (page.length < pageMax) return found;
  }
}

async function usageOf(api: BlockStorage, project: string): Promise<Usage> {
  const path = `/os-quota-sets/${project}?usage=true`;
  const { quota_set: set } = await api.call<{ quota_set: Record<string, { in_use?: number }> }>("GET", path);
  return Object.fromEntries(
    Object.entries(set).flatMap(([key, { in_use: inUse }]) => (inUse === undefined ? [] : [[key, inUse]])),
  );
}

async function listObjects(statePath: string): Promise<string[]> {
  const files = [...(await listFiles(join(statePath, "backend"))), ...(await listFiles(join(statePath, "journal"), "journal/"))];
  // Files of the stores themselves lie higher up.
  return files.filter((path) => path.split("/").length === 3);
}

async function listFiles(folder: string, prefix = ""): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => `${prefix}${join(entry.parentPath, entry.name).slice(folder.length + 1)}`);
}
