// What runs: services, hosts, pools, capabilities, availability zones; and what is fixed: extensions and resource filters.

import type { ServiceTarget } from "../../cinder/verbs.ts";
import { readBooleanParameter } from "../booleans.ts";
import { type Call, type Handlers, bodyText, pathParameter } from "../call.ts";
import { HttpFault, badRequest, invalidInput } from "../http-fault.ts";
import { resourceFilters } from "../resource-filters.ts";
import { extensionViews } from "../views/extension.ts";
import { viewHost, viewHostUsage, viewService } from "../views/service.ts";

const poolFiltersMinor = 28;
const poolTypeFilterMinor = 35;

export const serviceHandlers: Handlers = {
  async listServices(call) {
    const host = call.query.get("host");
    const binary = call.query.get("binary");
    const filters = { ...(host === null ? {} : { host }), ...(binary === null ? {} : { binary }) };
    const rows = await call.cinder.topology.services(call.context, filters);
    return { body: { services: rows.map((row) => viewService(row, call.minor)) } };
  },
  async enableService(call) {
    const { host, binary } = readTarget(call);
    await call.cinder.topology.enableService(call.context, { host, binary });
    return { body: { host, ...namesOf(call), disabled: false, status: "enabled" } };
  },
  async disableService(call) {
    const { host, binary } = readTarget(call);
    await call.cinder.topology.disableService(call.context, { host, binary }, null);
    return { body: { host, ...namesOf(call), disabled: true, status: "disabled" } };
  },
  async disableServiceWithReason(call) {
    const { host, binary } = readTarget(call);
    const reason = bodyText(call.body, "disabled_reason") ?? null;
    await call.cinder.topology.disableService(call.context, { host, binary }, reason);
    return { body: { host, ...namesOf(call), disabled: true, status: "disabled", disabled_reason: reason } };
  },
  async listHosts(call) {
    const rows = await call.cinder.topology.hosts(call.context);
    const zone = call.query.get("zone");
    const service = call.query.get("service");
    const shown = rows.filter((row) => (zone === null || row.zone === zone) && (service === null || row.binary === service));
    return { body: { hosts: shown.map(viewHost) } };
  },
  async showHost(call) {
    const usage = await call.cinder.topology.hostUsage(call.context, pathParameter(call, "host_name"));
    return { body: { host: usage.map(viewHostUsage) } };
  },
};

export const poolHandlers: Handlers = {
  async listPools(call) {
    const detail = readBooleanParameter(call.query, "detail");
    const pools = await call.cinder.topology.pools(call.context, readPoolFilters(call));
    return { body: { pools: pools.map(({ name, capabilities }) => (detail ? { name, capabilities } : { name })) } };
  },
  async showCapabilities(call) {
    return { body: await call.cinder.topology.capabilities(call.context, pathParameter(call, "host_name")) };
  },
  async listAvailabilityZones(call) {
    const zones = await call.cinder.topology.zones(call.context);
    const rows = zones.map(({ name, available }) => ({ zoneName: name, zoneState: { available } }));
    return { body: { availabilityZoneInfo: rows } };
  },
};

export const discoveryHandlers: Handlers = {
  async listExtensions() {
    return { body: { extensions: extensionViews } };
  },
  async showExtension(call) {
    const alias = pathParameter(call, "alias");
    const extension = extensionViews.find((view) => view["alias"] === alias);
    if (extension === undefined) throw new HttpFault(404, "The resource could not be found.");
    return { body: { extension } };
  },
  async listResourceFilters(call) {
    const wanted = call.query.get("resource");
    const rows = Object.entries(resourceFilters).filter(([resource]) => wanted === null || resource === wanted);
    return { body: { resource_filters: rows.map(([resource, filters]) => ({ resource, filters })) } };
  },
};

function readTarget(call: Call): ServiceTarget {
  const binary = bodyText(call.body, "binary") ?? bodyText(call.body, "service") ?? "";
  const host = bodyText(call.body, "host");
  if (host === undefined) throw invalidInput("Host field is missing.");
  return { binary, host };
}

/** Both names of the service as they were given: of the two one is enough. */
function namesOf(call: Call): { service: string; binary: string } {
  return { service: bodyText(call.body, "service") ?? "", binary: bodyText(call.body, "binary") ?? "" };
}

/** Below the versions that have filters all pools are listed, as Cinder does. */
function readPoolFilters(call: Call): { name?: string; volumeType?: string; capabilities?: Record<string, string> } {
  if (call.minor < poolFiltersMinor) return {};
  const name = call.query.get("name");
  const volumeType = call.minor >= poolTypeFilterMinor ? call.query.get("volume-type") : null;
  const capabilities: Record<string, string> = {};
  for (const [key, value] of call.query) {
    if (key === "detail" || key === "name" || key === "volume-type") continue;
    if (!resourceFilters.pool.some((allowed) => allowed === key)) {
      throw badRequest(`Invalid filters ${key} are found in query options.`);
    }
    capabilities[key] = value;
  }
  return { ...(name === null ? {} : { name }), ...(volumeType === null ? {} : { volumeType }), capabilities };
}
