// What an operator does to services beside enabling them: freeze and thaw, log levels, clean-up; and what there is none of
// here, answered as Cinder answers for a backend without it: replication (failover) and clusters.

import type { RequestContext } from "./context.ts";
import { CinderFault, invalidInput, notFound } from "./faults.ts";
import { logLevels, type LogLevel } from "./model.ts";
import type { CleanedService, CleanupRequest, LogTarget, ServiceActions, ServiceLogLevels } from "./operator-verbs.ts";
import { ownTarget, type PolicyRule } from "./policy.ts";
import type { CinderPorts } from "./ports.ts";
import { writeServiceState } from "./service-reports.ts";
import { readServiceRows } from "./service-rows.ts";

const loggerName = "andiron";

export class ServiceActionService implements ServiceActions {
  readonly #ports: CinderPorts;
  readonly #lookAround: () => Promise<void>;

  /** `lookAround` looks for unfinished work and ends it. */
  constructor(ports: CinderPorts, lookAround: () => Promise<void>) {
    this.#ports = ports;
    this.#lookAround = lookAround;
  }

  async freeze(context: RequestContext, host: string): Promise<void> {
    this.#enforce(context, "volume_extension:services:update");
    this.#enforce(context, "volume:freeze_host");
    await this.#setFrozen(host, true);
  }

  async thaw(context: RequestContext, host: string): Promise<void> {
    this.#enforce(context, "volume_extension:services:update");
    this.#enforce(context, "volume:thaw_host");
    await this.#setFrozen(host, false);
  }

  async failover(context: RequestContext, host: string): Promise<never> {
    this.#enforce(context, "volume_extension:services:update");
    this.#enforce(context, "volume:failover_host");
    await this.#isFrozen(host);
    throw unchanged("replication_status", host, "['enabled', 'failed-over'] and must be up");
  }

  async refuseServiceAction(context: RequestContext): Promise<never> {
    this.#enforce(context, "volume_extension:services:update");
    throw invalidInput("Unknown action");
  }

  async setHostEnabled(context: RequestContext, host: string, enabled: boolean | undefined): Promise<void> {
    this.#enforce(context, "volume_extension:hosts");
    if (enabled === undefined) return;
    const rows = (await readServiceRows(this.#ports)).filter((row) => row.host === host);
    if (rows.length === 0) throw notFound(`Host ${host} could not be found.`);
    for (const { binary } of rows) {
      await writeServiceState(this.#ports, { binary, host }, { disabled: !enabled });
    }
  }

  async logLevels(context: RequestContext, target: LogTarget): Promise<readonly ServiceLogLevels[]> {
    this.#enforce(context, "volume_extension:services:update");
    const shown = loggerName.startsWith(target.prefix ?? "");
    return (await this.#processes(target)).map(({ binary, host, level }) => ({
      binary,
      host,
      levels: shown ? { [loggerName]: level } : {},
    }));
  }

  async setLogLevel(context: RequestContext, target: LogTarget, level: string): Promise<void> {
    this.#enforce(context, "volume_extension:services:update");
    const known = logLevels.find((name) => name === level.toUpperCase());
    if (known === undefined) throw invalidInput(`${level} is not a valid log level.`);
    if (!loggerName.startsWith(target.prefix ?? "")) return;
    const hosts = new Set((await this.#processes(target)).map(({ host }) => host));
    for (const host of hosts) {
      await writeServiceState(this.#ports, { binary: "cinder-scheduler", host }, { logLevel: known });
      if (host === this.#ports.settings.host) this.#ports.log.setLevel(known);
    }
  }

  async cleanUp(context: RequestContext, request: CleanupRequest): Promise<readonly CleanedService[]> {
    this.#enforce(context, "workers:cleanup");
    const rows = (await readServiceRows(this.#ports)).map((row, position) => ({ ...row, id: position + 1 }));
    const matching = rows.filter((row) => {
      if (row.state !== "down" || request.isUp === true) return false;
      if (request.disabled !== undefined && request.disabled !== (row.status === "disabled")) return false;
      if (request.host !== undefined && request.host !== row.host) return false;
      if (request.binary !== undefined && request.binary !== row.binary) return false;
      return request.serviceId === undefined || request.serviceId === row.id;
    });
    await this.#lookAround();
    return matching.map(({ id, binary, host }) => ({ id, binary, host }));
  }

  async clusters(context: RequestContext): Promise<readonly []> {
    this.#enforce(context, "clusters:get_all");
    return [];
  }

  async showCluster(context: RequestContext, name: string, binary: string): Promise<never> {
    this.#enforce(context, "clusters:get");
    throw clusterNotFound(name, binary);
  }

  async updateCluster(context: RequestContext, name: string, binary: string): Promise<never> {
    this.#enforce(context, "clusters:update");
    throw clusterNotFound(name, binary);
  }

  async refuseClusterAction(context: RequestContext): Promise<never> {
    this.#enforce(context, "clusters:update");
    throw notFound("Unknown action");
  }

  #enforce(context: RequestContext, rule: PolicyRule): void {
    this.#ports.policy.enforce(context, rule, ownTarget(context));
  }

  /** Cinder disables what it freezes, and says why in the same words. */
  async #setFrozen(host: string, frozen: boolean): Promise<void> {
    if ((await this.#isFrozen(host)) === frozen) {
      throw unchanged("frozen", host, frozen ? "False" : "True");
    }
    const disabledReason = frozen ? "frozen" : "";
    await writeServiceState(this.#ports, { binary: "cinder-volume", host }, { frozen, disabled: frozen, disabledReason });
  }

  /** Throws "invalid" for a host that is no backend. */
  async #isFrozen(host: string): Promise<boolean> {
    const rows = await readServiceRows(this.#ports);
    const row = rows.find((one) => one.binary === "cinder-volume" && one.host === host);
    if (row?.volume === undefined) throw new CinderFault("invalid", `No service found with host=${host}`);
    return row.volume.frozen;
  }

  /** The API's processes: each is cinder-api and all that it reports as (service-reports.ts) in one, with one log. */
  async #processes(target: LogTarget): Promise<{ binary: string; host: string; level: LogLevel }[]> {
    await this.#ports.index.fresh();
    const { server, binary } = target;
    const every = binary === undefined || binary === "" || binary === "*";
    const services = this.#ports.index.services.select((service) => {
      return service.reportedAtMs !== undefined && (server === undefined || server === "" || service.host === server);
    });
    const levelOf = (host: string): LogLevel => {
      if (host === this.#ports.settings.host) return this.#ports.log.level();
      return this.#ports.index.services.get(`cinder-scheduler/${host}`)?.logLevel ?? "INFO";
    };
    const rows = services.flatMap(({ binary: name, host }) => {
      const names = name === "cinder-scheduler" ? ["cinder-api", name] : [name];
      return names.map((one) => ({ binary: one, host, level: levelOf(host) }));
    });
    return rows.filter((row) => every || row.binary === binary);
  }
}

function clusterNotFound(name: string, binary: string): CinderFault {
  return notFound(`Cluster {'binary': '${binary}', 'name': '${name}'} could not be found.`);
}

/** Cinder's one sentence for freeze, thaw and failover, which calls all of them failover. */
function unchanged(field: string, host: string, wanted: string): CinderFault {
  return invalidInput(`No service could be changed: ${field} in ['${host}'] must be ${wanted} to failover.`);
}
