// Services, pools, hosts and zones: what an operator sees of the machines. Nothing here decides where a volume goes.
//
// - cinder-volume has one row a pool ("host@vpool"): it is up when a living router serves the pool. Volumes belong to pools,
//   not to machines, so that this row is the host of their os-vol-host-attr:host.
// - cinder-scheduler has one row a machine that runs the API; its processes report there (service-reports.ts). Where a store of
//   backups is configured, cinder-backup has one too.
// - Enabling and disabling is a record; a disabled pool takes no new volumes.

import type { PoolInfo } from "../engine/control.ts";
import type { RequestContext } from "./context.ts";
import { notFound } from "./faults.ts";
import { capabilityOf, meets } from "./extra-specs.ts";
import { type PolicyRule, ownTarget } from "./policy.ts";
import type { CinderPorts } from "./ports.ts";
import { backendName, poolCapabilities } from "./scheduler.ts";
import { writeServiceState } from "./service-reports.ts";
import { readServiceRows } from "./service-rows.ts";
import type { HostUsage, PoolRow, ServiceRow, ServiceTarget, Topology } from "./verbs.ts";

export class TopologyService implements Topology {
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  async services(
    context: RequestContext,
    filters: { readonly host?: string; readonly binary?: string },
  ): Promise<readonly ServiceRow[]> {
    this.#enforce(context, "volume_extension:services:index");
    const { host, binary } = filters;
    return (await readServiceRows(this.#ports)).filter((row) => {
      const hostMatches = host === undefined || row.host === host || row.host.startsWith(`${host}@`);
      return hostMatches && (binary === undefined || row.binary === binary);
    });
  }

  enableService(context: RequestContext, target: ServiceTarget): Promise<void> {
    return this.#setDisabled(context, target, false, null);
  }

  disableService(context: RequestContext, target: ServiceTarget, reason: string | null): Promise<void> {
    return this.#setDisabled(context, target, true, reason);
  }

  async pools(
    context: RequestContext,
    filters: {
      readonly name?: string;
      readonly volumeType?: string;
      readonly capabilities?: Readonly<Record<string, string>>;
    },
  ): Promise<readonly PoolRow[]> {
    this.#enforce(context, "scheduler_extension:scheduler_stats:get_pools");
    await this.#ports.index.fresh();
    const type = filters.volumeType === undefined ? undefined : this.#findType(filters.volumeType);
    if (filters.volumeType !== undefined && type === undefined) return [];
    const wanted = Object.entries(filters.capabilities ?? {});
    const rows = (await this.#ports.control.pools()).map((pool) => this.#poolRow(pool));
    return rows.filter((row) => {
      if (filters.name !== undefined && row.name !== filters.name) return false;
      const specs = Object.entries(type?.extraSpecs ?? {});
      const meetsType = specs.every(([key, requirement]) => {
        const name = capabilityOf(key);
        return name === undefined || meets(requirement, row.capabilities[name]);
      });
      return meetsType && wanted.every(([name, value]) => String(row.capabilities[name]) === value);
    });
  }

  async capabilities(context: RequestContext, host: string): Promise<Readonly<Record<string, unknown>>> {
    this.#enforce(context, "volume_extension:capabilities");
    const backend = host.split("#")[0];
    const pools = await this.#ports.control.pools();
    const pool = pools.find(({ name }) => backendName(this.#ports.settings, name) === backend);
    if (pool === undefined) throw notFound(`Can't find service: ${host}`);
    const shown = this.#poolRow(pool).capabilities;
    return {
      namespace: `OS::Storage::Capabilities::${backend}`,
      vendor_name: shown["vendor_name"],
      volume_backend_name: shown["volume_backend_name"],
      pool_name: shown["pool_name"],
      driver_version: shown["driver_version"],
      storage_protocol: shown["storage_protocol"],
      display_name: null,
      description: null,
      visibility: null,
      replication_targets: [],
      properties: {
        thin_provisioning: { title: "Thin Provisioning", description: "Sets thin provisioning.", type: "boolean" },
        multiattach: { title: "Multiattach", description: "Several servers at once.", type: "boolean" },
      },
    };
  }

  async hosts(context: RequestContext): Promise<readonly ServiceRow[]> {
    this.#enforce(context, "volume_extension:hosts");
    return (await readServiceRows(this.#ports)).filter((row) => row.status === "enabled");
  }

  async hostUsage(context: RequestContext, host: string): Promise<readonly HostUsage[]> {
    this.#enforce(context, "volume_extension:hosts");
    const rows = await readServiceRows(this.#ports);
    if (!rows.some((row) => row.binary === "cinder-volume" && row.host === host)) {
      throw notFound(`Service cinder-volume could not be found on host ${host}.`);
    }
    const { volumes, snapshots } = this.#ports.index;
    const usages = new Map<string, HostUsage>();
    const add = (projectId: string, gib: number, kind: "volume" | "snapshot"): void => {
      for (const key of ["(total)", projectId]) {
        const present = usages.get(key) ?? { ...noUsage, host, projectId: key };
        usages.set(
          key,
          kind === "volume"
            ? { ...present, volumeCount: present.volumeCount + 1, totalVolumeGib: present.totalVolumeGib + gib }
            : { ...present, snapshotCount: present.snapshotCount + 1, totalSnapshotGib: present.totalSnapshotGib + gib },
        );
      }
    };
    usages.set("(total)", { ...noUsage, host, projectId: "(total)" });
    for (const volume of volumes.values()) {
      if (volume.host?.split("#")[0] !== host) continue;
      add(volume.projectId, volume.sizeGib, "volume");
      for (const snapshot of snapshots.ofVolume(volume.id)) add(snapshot.projectId, snapshot.sizeGib, "snapshot");
    }
    return [...usages.values()];
  }

  async zones(_context: RequestContext): Promise<readonly { readonly name: string; readonly available: boolean }[]> {
    const rows = await readServiceRows(this.#ports);
    const available = rows.some((row) => row.binary === "cinder-volume" && row.status === "enabled");
    return [{ name: this.#ports.settings.availabilityZone, available }];
  }

  #enforce(context: RequestContext, rule: PolicyRule): void {
    this.#ports.policy.enforce(context, rule, ownTarget(context));
  }

  /** A reason stays until there is another, as in Cinder. */
  async #setDisabled(context: RequestContext, target: ServiceTarget, disabled: boolean, reason: string | null): Promise<void> {
    this.#enforce(context, "volume_extension:services:update");
    const rows = await readServiceRows(this.#ports);
    if (!rows.some((row) => row.binary === target.binary && row.host === target.host)) {
      throw notFound(`Service ${target.binary} could not be found on host ${target.host}.`);
    }
    await writeServiceState(this.#ports, target, { disabled, ...(reason === null ? {} : { disabledReason: reason }) });
  }

  #poolRow(pool: PoolInfo): PoolRow {
    const { settings, clock } = this.#ports;
    return {
      name: `${backendName(settings, pool.name)}#${pool.name}`,
      capabilities: poolCapabilities(settings, pool, clock.wallMs()),
    };
  }

  #findType(reference: string): { readonly extraSpecs: Readonly<Record<string, string>> } | undefined {
    const { types } = this.#ports.index;
    return types.get(reference) ?? [...types.values()].find((type) => type.name === reference);
  }
}

const noUsage = { volumeCount: 0, totalVolumeGib: 0, snapshotCount: 0, totalSnapshotGib: 0 };
