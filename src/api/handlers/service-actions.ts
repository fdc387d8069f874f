// Services: freeze, thaw, failover and log levels; hosts on and off; clusters, of which there are none; clean-up.

import type { CleanedService, CleanupRequest, LogTarget } from "../../cinder/operator-verbs.ts";
import { readBoolean, readBooleanParameter } from "../booleans.ts";
import { type Call, type Handlers, type JsonObject, bodyInteger, bodyText, emptyAnswer, pathParameter } from "../call.ts";
import { badRequest, invalidInput } from "../http-fault.ts";

const clusterMinor = 26;
const clusterFilters: readonly string[] = ["name", "binary", "is_up", "disabled", "num_hosts", "num_down_hosts"];
const replicationFilters: readonly string[] = ["replication_status", "frozen", "active_backend_id"];

export const serviceActionHandlers: Handlers = {
  async freezeService(call) {
    await call.cinder.serviceActions.freeze(call.context, readHost(call, clusterMinor));
    return emptyAnswer;
  },
  async thawService(call) {
    await call.cinder.serviceActions.thaw(call.context, readHost(call, clusterMinor));
    return emptyAnswer;
  },
  async failoverHost(call) {
    return call.cinder.serviceActions.failover(call.context, readHost(call, Number.POSITIVE_INFINITY));
  },
  async failoverService(call) {
    return call.cinder.serviceActions.failover(call.context, readHost(call, 0));
  },
  async refuseServiceAction(call) {
    return call.cinder.serviceActions.refuseServiceAction(call.context);
  },
  async getServiceLogs(call) {
    return { body: { log_levels: await call.cinder.serviceActions.logLevels(call.context, readLogTarget(call)) } };
  },
  async setServiceLogs(call) {
    const level = bodyText(call.body, "level") ?? "";
    await call.cinder.serviceActions.setLogLevel(call.context, readLogTarget(call), level);
    return emptyAnswer;
  },
  async updateHost(call) {
    const host = pathParameter(call, "host_name");
    const enabled = readHostStatus(call.body);
    await call.cinder.serviceActions.setHostEnabled(call.context, host, enabled);
    return { body: enabled === undefined ? {} : { host, status: enabled ? "enabled" : "disabled" } };
  },
  async listClusters(call) {
    const clusters = await call.cinder.serviceActions.clusters(call.context);
    const keys = call.minor < clusterMinor ? clusterFilters : [...clusterFilters, ...replicationFilters];
    const invalid = [...new Set(call.query.keys())].filter((key) => !keys.includes(key));
    if (invalid.length > 0) throw invalidInput(`Invalid filter keys: ${invalid.join(", ")}`);
    for (const key of ["disabled", "is_up"]) readBooleanParameter(call.query, key);
    return { body: { clusters } };
  },
  async showCluster(call) {
    const binary = call.query.get("binary") ?? "cinder-volume";
    return call.cinder.serviceActions.showCluster(call.context, pathParameter(call, "cluster_name"), binary);
  },
  async updateCluster(call) {
    const binary = bodyText(call.body, "binary") ?? "cinder-volume";
    return call.cinder.serviceActions.updateCluster(call.context, bodyText(call.body, "name") ?? "", binary);
  },
  async refuseClusterAction(call) {
    return call.cinder.serviceActions.refuseClusterAction(call.context);
  },
  async cleanUpWorkers(call) {
    const cleaning = await call.cinder.serviceActions.cleanUp(call.context, readCleanup(call.body));
    return { body: { cleaning: cleaning.map(viewCleaned), unavailable: [] } };
  },
};

/** The backend that is meant. Clusters may be named from `sinceMinor` on, and there is none. */
function readHost(call: Call, sinceMinor: number): string {
  const host = bodyText(call.body, "host");
  const cluster = call.minor >= sinceMinor ? bodyText(call.body, "cluster") : undefined;
  if (host !== undefined && cluster === undefined) return host;
  if (cluster !== undefined && host === undefined) throw badRequest(`Cluster ${cluster} could not be found.`);
  throw invalidInput(call.minor >= sinceMinor ? "One and only one of cluster and host must be set." : "Host field is missing.");
}

/** Whether the host is to be on; undefined when the body says nothing of it. */
function readHostStatus(body: JsonObject): boolean | undefined {
  let enabled: boolean | undefined;
  for (const [name, value] of Object.entries(body)) {
    if (name.trim().toLowerCase() !== "status") throw badRequest(`Invalid update setting: '${name.slice(0, 255)}'`);
    const status = String(value).trim().toLowerCase();
    if (status !== "enable" && status !== "disable") throw badRequest(`Invalid status: '${String(value).slice(0, 255)}'`);
    enabled = status === "enable";
  }
  return enabled;
}

function readLogTarget(call: Call): LogTarget {
  const [binary, server, prefix] = ["binary", "server", "prefix"].map((name) => bodyText(call.body, name));
  return {
    ...(binary === undefined ? {} : { binary }),
    ...(server === undefined ? {} : { server }),
    ...(prefix === undefined ? {} : { prefix }),
  };
}

function readCleanup(body: JsonObject): CleanupRequest {
  const host = bodyText(body, "host");
  const binary = bodyText(body, "binary");
  const serviceId = bodyInteger(body, "service_id");
  return {
    ...(host === undefined ? {} : { host }),
    ...(binary === undefined ? {} : { binary }),
    ...(serviceId === undefined ? {} : { serviceId }),
    ...(body["is_up"] == null ? {} : { isUp: readBoolean(body["is_up"]) }),
    ...(body["disabled"] == null ? {} : { disabled: readBoolean(body["disabled"]) }),
  };
}

function viewCleaned({ id, host, binary }: CleanedService): JsonObject {
  return { id, host, binary, cluster_name: null };
}
