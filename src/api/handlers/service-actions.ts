// Services: freeze, thaw, failover and log levels; hosts on and off; clusters, of which there are none; clean-up.

import type { CleanedService, CleanupRequest, LogTarget } from "../../cinder/operator-verbs.ts";
import { readBoolean } from "../booleans.ts";
import { type Call, type Handlers, type JsonObject, bodyInteger, bodyText, emptyAnswer, pathParameter } from "../call.ts";
import { badRequest, invalidInput } from "../http-fault.ts";

const clusterMinor = 26;

export const serviceActionHandlers: Handlers = {
  async freezeService(call) {
    await call.cinder.serviceActions.freeze(call.context, readHost(call));
    return emptyAnswer;
  },
  async thawService(call) {
    await call.cinder.serviceActions.thaw(call.context, readHost(call));
    return emptyAnswer;
  },
  async failoverService(call) {
    return call.cinder.serviceActions.failover(call.context, readHost(call));
  },
  async getServiceLogs(call) {
    return { body: { log_levels: await call.cinder.serviceActions.logLevels(call.context, readLogTarget(call)) } };
  },
  async setServiceLogs(call) {
    const level = bodyText(call.body, "level");
    if (level === undefined) throw invalidInput("level parameter value '' is not valid.");
    await call.cinder.serviceActions.setLogLevel(call.context, readLogTarget(call), level);
    return emptyAnswer;
  },
  async updateHost(call) {
    const host = pathParameter(call, "host_name");
    const status = String(call.body["status"]).trim().toLowerCase();
    if (status !== "enable" && status !== "disable") throw badRequest(`Invalid status: '${status.slice(0, 255)}'`);
    await call.cinder.serviceActions.setHostEnabled(call.context, host, status === "enable");
    return { body: { host, status: `${status}d` } };
  },
  async listClusters(call) {
    return { body: { clusters: await call.cinder.serviceActions.clusters(call.context) } };
  },
  async showCluster(call) {
    return call.cinder.serviceActions.showCluster(call.context, pathParameter(call, "cluster_name"));
  },
  async updateCluster(call) {
    return call.cinder.serviceActions.updateCluster(call.context, bodyText(call.body, "name") ?? "");
  },
  async cleanUpWorkers(call) {
    const cleaning = await call.cinder.serviceActions.cleanUp(call.context, readCleanup(call.body));
    return { body: { cleaning: cleaning.map(viewCleaned), unavailable: [] } };
  },
};

/** The backend that is meant. Clusters may be named from 3.26 on, and there is none. */
function readHost(call: Call): string {
  const host = bodyText(call.body, "host");
  const cluster = call.minor >= clusterMinor ? bodyText(call.body, "cluster") : undefined;
  if (host !== undefined && cluster === undefined) return host;
  if (cluster !== undefined && host === undefined) throw badRequest(`Cluster ${cluster} could not be found.`);
  throw invalidInput("One and only one of cluster and host must be set.");
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
