// The list of services as it is now: one row a machine that runs the API (cinder-scheduler), another where it has a store of
// backups (cinder-backup), one a pool (cinder-volume). Made of what the index and the routers say; nothing is written here.

import type { PoolInfo, RouterInfo } from "../engine/control.ts";
import type { CinderPorts } from "./ports.ts";
import { backendName } from "./scheduler.ts";
import type { ServiceRow } from "./verbs.ts";

/** What reports, by host, then pools. Reads wait for the index to be fresh. */
export async function readServiceRows(ports: CinderPorts): Promise<ServiceRow[]> {
  await ports.index.fresh();
  const [pools, routers] = await Promise.all([ports.control.pools(), ports.control.routers()]);
  return [...reportedRows(ports), ...pools.map((pool) => volumeRow(ports, pool, routers))];
}

function reportedRows(ports: CinderPorts): ServiceRow[] {
  const rows: ServiceRow[] = [];
  const nowMs = ports.clock.wallMs();
  for (const service of ports.index.services.values()) {
    if (service.reportedAtMs === undefined) continue;
    rows.push({
      binary: service.binary,
      host: service.host,
      zone: ports.settings.availabilityZone,
      status: service.disabled ? "disabled" : "enabled",
      state: nowMs - service.reportedAtMs <= ports.settings.serviceDownMs ? "up" : "down",
      updatedAtMs: service.reportedAtMs,
      disabledReason: service.disabledReason,
    });
  }
  return rows.sort((a, b) => (`${a.host} ${a.binary}` < `${b.host} ${b.binary}` ? -1 : 1));
}

function volumeRow(ports: CinderPorts, pool: PoolInfo, routers: readonly RouterInfo[]): ServiceRow {
  const host = backendName(ports.settings, pool.name);
  const serving = routers.filter((router) => router.pools.includes(pool.name));
  const state = serving.some((router) => router.alive) ? "up" : "down";
  const said = ports.index.services.get(`cinder-volume/${host}`);
  const reportedAtMs = serving.map((router) => router.reportedAtMs);
  return {
    binary: "cinder-volume",
    host,
    zone: ports.settings.availabilityZone,
    status: said?.disabled === true ? "disabled" : "enabled",
    state,
    updatedAtMs: reportedAtMs.length === 0 ? null : Math.max(...reportedAtMs),
    disabledReason: said?.disabledReason ?? null,
    volume: { replicationStatus: "disabled", activeBackendId: null, frozen: said?.frozen === true, backendState: state },
  };
}
