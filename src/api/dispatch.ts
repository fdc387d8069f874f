// One API request, from its head to its answer:
//
//   route ──► caller ──► project of the URL ──► microversion ──► variant or action ──► body ──► handler ──► answer
//    404       401          400                  400, 406           404, 400         400,413,415
//
// Everything that goes wrong is thrown and answered by the edge (server.ts). The order is Cinder's: an unknown route is
// told to anybody and bears no version header; from the microversion on every answer does.

import type { IncomingMessage } from "node:http";
import type { RequestContext } from "../cinder/context.ts";
import type { Cinder } from "../cinder/verbs.ts";
import type { Authenticator, Identity } from "./auth.ts";
import type { Answer, Handlers, JsonObject } from "./call.ts";
import { RouteNotFound, badRequest, nothingThere } from "./http-fault.ts";
import { Links } from "./links.ts";
import { readQuery } from "./list-query.ts";
import { negotiateRequest } from "./microversion.ts";
import type { Operation } from "./operations.ts";
import { readJsonBody } from "./request-body.ts";
import type { RequestUrl } from "./request-url.ts";
import type { Route, RouteTable } from "./route-table.ts";
import { describeVersions } from "./versions.ts";

export interface DispatchPorts {
  readonly cinder: Cinder;
  readonly authenticator: Authenticator;
  readonly routes: RouteTable;
  readonly handlers: Handlers;
  readonly bodyBytesMax: number;
  readonly listLimitMax: number;
}

/** A request on its way. What is learnt of it is written here, for the access log and for faults. */
export interface Exchange {
  readonly requestId: string;
  readonly globalRequestId: string | undefined;
  readonly url: RequestUrl;
  context?: RequestContext;
  /** Set once the microversion is settled. */
  minor?: number;
  operation?: Operation;
}

export interface Dispatched extends Answer {
  readonly status: number;
}

const noBody: JsonObject = Object.freeze({});

/** Serves everything below /v3. */
export async function dispatch(ports: DispatchPorts, request: IncomingMessage, exchange: Exchange): Promise<Dispatched> {
  const method = request.method ?? "";
  const { path, prefix, origin, query } = exchange.url;
  const isRoot = method === "GET" && (path === "/v3/" || path === "/v3");
  const match = isRoot ? undefined : ports.routes.match(method, path);
  const identity = await ports.authenticator.authenticate({
    method,
    path: prefix + path,
    headers: request.headers,
    urlProjectId: match?.projectId,
  });
  const context = makeContext(exchange, identity);
  exchange.context = context;
  if (match === undefined && !isRoot) throw new RouteNotFound(path);
  const minor = negotiateRequest(request);
  exchange.minor = minor;
  if (match === undefined) return { status: 200, body: describeVersions(new Links(origin, undefined)) };
  if (match.projectId !== undefined && match.projectId !== context.projectId) throw badRequest("Malformed request url");

  const { operation, body } = await chooseOperation(ports, request, match.route, minor);
  exchange.operation = operation;
  const problem = operation.checkBody(body ?? null);
  if (problem !== undefined) throw badRequest(problem);
  const answer = await ports.handlers[operation.handlerId]!({
    cinder: ports.cinder,
    context,
    minor,
    params: match.params,
    query: readQuery(query),
    body: body === undefined ? noBody : (body as JsonObject),
    headers: request.headers,
    links: new Links(origin, match.projectId),
    listLimitMax: ports.listLimitMax,
  });
  return { status: operation.status, ...answer };
}

function makeContext(exchange: Exchange, identity: Identity): RequestContext {
  return {
    ...identity,
    requestId: exchange.requestId,
    ...(exchange.globalRequestId === undefined ? {} : { globalRequestId: exchange.globalRequestId }),
  };
}

interface Chosen {
  readonly operation: Operation;
  readonly body: unknown;
}

async function chooseOperation(ports: DispatchPorts, request: IncomingMessage, route: Route, minor: number): Promise<Chosen> {
  if (route.actions.size > 0) {
    const body = await readJsonBody(request, ports.bodyBytesMax);
    const operation = findAction(route, body);
    if (minor < operation.sinceMinor) throw nothingThere();
    return { operation, body };
  }
  const operation = route.variants.find((variant) => variant.sinceMinor <= minor) ?? route.before;
  if (operation === undefined) throw nothingThere();
  if (!operation.takesBody) return { operation, body: undefined };
  return { operation, body: await readJsonBody(request, ports.bodyBytesMax) };
}

/** The one key of the body names the action. Throws HttpFault 400. */
function findAction(route: Route, body: unknown): Operation {
  const keys = body === undefined ? ["None"] : body !== null && typeof body === "object" ? Object.keys(body) : [];
  const [key, ...others] = keys;
  if (key === undefined || others.length > 0 || Array.isArray(body)) throw badRequest("Malformed request body");
  const operation = body === undefined ? undefined : route.actions.get(key);
  if (operation !== undefined) return operation;
  const hint = "Verify the request body and Content-Type header and try again.";
  throw badRequest(`There is no such action: ${key.slice(0, 255)}. ${hint}`);
}
