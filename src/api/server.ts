// The HTTP front of the Block Storage API: an express application behind node's server.
//
//   request id ─► /healthcheck, /metrics, GET / ─► size limit ─► dispatch (see there) ─► answer
//                                                        └──────── faults ◄────────┘
//
// - Every answer bears x-openstack-request-id (and x-compute-request-id, the same); every routed one its microversion.
// - An error is logged here, once, with that id; a client sees no more than faults.ts lets through.
// - Slow clients are cut by time-outs, heads are bounded by node, bodies by osapi_max_request_body_size.
// - drain() takes no new connections, finishes what is under way and lets idle connections go.
// It does not know what the answers mean.

import type { IncomingMessage, Server, ServerOptions, ServerResponse } from "node:http";
import type { Server as TlsServer } from "node:https";
import express from "express";
import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import { listenOnPort, type ListenAddress } from "../common/listen.ts";
import type { Logger } from "../common/log.ts";
import type { Random } from "../common/random.ts";
import type { Service } from "../common/service.ts";
import type { Cinder } from "../cinder/verbs.ts";
import type { Authenticator } from "./auth.ts";
import { type Dispatched, type Exchange, dispatch, type DispatchPorts } from "./dispatch.ts";
import { answerFault } from "./faults.ts";
import { allHandlers } from "./handlers/all-handlers.ts";
import { answerHealthcheck } from "./healthcheck.ts";
import { endLingering } from "./lingering-end.ts";
import { Links } from "./links.ts";
import { minorHeaders, negotiateRequest } from "./microversion.ts";
import type { ApiDocument } from "./operations.ts";
import { checkContentLength } from "./request-body.ts";
import { RequestUrls } from "./request-url.ts";
import { RouteTable } from "./route-table.ts";
import { describeVersions } from "./versions.ts";

/** What is counted of each request; bin/ ties it to the metrics. `operationId` is "none" when no operation was found. */
export interface ApiMetrics {
  requestDone(operationId: string, status: number, durationSeconds: number): void;
  /** Prometheus' text format, and its media type. */
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface ApiServerOptions {
  readonly listen: ListenAddress;
  /** openapi.yaml, by loadApiDocument(). */
  readonly document: ApiDocument;
  /** How to serve HTTPS; HTTP without it. */
  readonly tls?: ApiTls;
  /** public_endpoint; empty when links shall begin with what the client asked for. */
  readonly publicEndpoint: string;
  /** [oslo_middleware] enable_proxy_headers_parsing. */
  readonly parsesProxyHeaders: boolean;
  /** osapi_max_limit. */
  readonly listLimitMax: number;
  /** osapi_max_request_body_size. */
  readonly bodyBytesMax: number;
  /** [healthcheck] disable_by_file_path; empty for none. */
  readonly disableByFilePath: string;
  readonly cinder: Cinder;
  readonly authenticator: Authenticator;
  /** Why the process cannot serve (registry away, starting, stopping); undefined when it can. */
  readonly unfitReason: () => string | undefined;
  readonly log: Logger;
  readonly metrics: ApiMetrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly timeouts?: Partial<ApiTimeouts>;
}

export interface ApiTls {
  /** PEM: certificate with its chain, and private key. */
  readonly cert: Buffer;
  readonly key: Buffer;
  /** PEM: who signs clients' certificates. When given, clients must show one. */
  readonly clientCa?: Buffer;
}

/** How long a client may take, in milliseconds. */
export interface ApiTimeouts {
  /** Until the head of a request is there, from its first byte (or from the connection's). */
  readonly headMs: number;
  /** Until the whole request is there. */
  readonly requestMs: number;
  /** Between two requests of a connection. */
  readonly idleMs: number;
  /** Without a byte moving either way: a client that does not read its answer. */
  readonly stallMs: number;
  /** How often the first two are looked at. */
  readonly checkMs: number;
}

export interface ApiServer extends Service {
  /** The port it listens on, after start(). */
  readonly port: number;
}

const defaultTimeouts: ApiTimeouts = { headMs: 20_000, requestMs: 120_000, idleMs: 75_000, stallMs: 300_000, checkMs: 5_000 };

const limits = {
  headBytesMax: 16 * 1024,
  headersMax: 100,
  connectionsMax: 4096,
  connectionRequestsMax: 100_000,
} as const;

const requestIdPattern = /^req-[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}$/;
const jsonType = { "content-type": "application/json" };

/** The server; it listens after start(). Throws config_invalid when the API description names what is not implemented. */
export function createApiServer(options: ApiServerOptions): ApiServer {
  return new HttpApiServer(options);
}

class HttpApiServer implements ApiServer {
  readonly id = "api-server";
  readonly #options: ApiServerOptions;
  readonly #ports: DispatchPorts;
  readonly #urls: RequestUrls;
  readonly #server: Server | TlsServer;
  #port = 0;
  #draining = false;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    const { document, cinder, authenticator, bodyBytesMax, listLimitMax } = options;
    const handlers = checkHandlers(document);
    this.#ports = { cinder, authenticator, handlers, bodyBytesMax, listLimitMax, routes: new RouteTable(document.operations) };
    this.#urls = new RequestUrls(options);
    const timeouts = { ...defaultTimeouts, ...options.timeouts };
    this.#server = openServer(timeouts, options.tls, this.#makeApplication());
    this.#server.timeout = timeouts.stallMs;
    this.#server.maxHeadersCount = limits.headersMax;
    this.#server.maxConnections = limits.connectionsMax;
    this.#server.maxRequestsPerSocket = limits.connectionRequestsMax;
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    this.#port = await listenOnPort(this.#server, this.#options.listen);
  }

  async drain(): Promise<void> {
    this.#draining = true;
    await this.#close();
  }

  async stop(): Promise<void> {
    this.#draining = true;
    const closed = this.#close();
    this.#server.closeAllConnections();
    await closed;
  }

  #close(): Promise<void> {
    if (!this.#server.listening && this.#port === 0) return Promise.resolve();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    return closed;
  }

  #makeApplication(): express.Express {
    const app = express();
    app.disable("x-powered-by");
    app.set("etag", false);
    app.set("query parser", false);
    app.use((request, response) => {
      void this.#serve(request, response);
    });
    return app;
  }

  /** Rejects for a failed assertion only, which ends the process. */
  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedMs = this.#options.clock.monotonicMs();
    const exchange = this.#begin(request);
    response.setHeader("x-openstack-request-id", exchange.requestId);
    response.setHeader("x-compute-request-id", exchange.requestId);
    const answer = await this.#answer(request, exchange).catch((error: unknown) => this.#explain(error, exchange));
    if (this.#draining) response.setHeader("connection", "close");
    const sentBytes = send(request, response, exchange, answer, this.#options.clock);
    const seconds = (this.#options.clock.monotonicMs() - startedMs) / 1000;
    this.#report(request, answer.status, sentBytes, seconds, exchange);
  }

  #begin(request: IncomingMessage): Exchange {
    const globalId = request.headers["x-openstack-request-id"];
    return {
      requestId: `req-${this.#options.random.uuid()}`,
      globalRequestId: typeof globalId === "string" && requestIdPattern.test(globalId) ? globalId : undefined,
      url: this.#urls.read(request),
    };
  }

  async #answer(request: IncomingMessage, exchange: Exchange): Promise<Dispatched> {
    const method = request.method ?? "";
    const { path, origin } = exchange.url;
    if (path === "/healthcheck" && (method === "GET" || method === "HEAD")) return this.#answerHealth(request);
    if (path === "/metrics" && method === "GET") {
      const { contentType, text } = await this.#options.metrics.render();
      return { status: 200, text, headers: { "content-type": contentType } };
    }
    if (path === "/" && method === "GET") {
      exchange.minor = negotiateRequest(request);
      return { status: 300, body: describeVersions(new Links(origin, undefined)) };
    }
    checkContentLength(request, this.#options.bodyBytesMax);
    return dispatch(this.#ports, request, exchange);
  }

  async #answerHealth(request: IncomingMessage): Promise<Dispatched> {
    const { disableByFilePath, unfitReason } = this.#options;
    const reason = (): string | undefined => (this.#draining ? "SHUTTING DOWN" : unfitReason());
    const answer = await answerHealthcheck({ disableByFilePath, reason }, request.method ?? "", request.headers.accept ?? "");
    return { status: answer.status, text: answer.body, headers: { "content-type": answer.contentType } };
  }

  #explain(error: unknown, exchange: Exchange): Dispatched {
    const { status, headers, body, ours } = answerFault(error);
    if (ours) {
      const log = exchange.context === undefined ? this.#options.log : this.#options.log.forRequest(exchange.context);
      const code = error instanceof AndironError ? error.code : "internal";
      log.error(`request ${exchange.requestId} failed (${code})`, { error });
    }
    return { status, headers, body };
  }

  #report(request: IncomingMessage, status: number, sentBytes: number, seconds: number, exchange: Exchange): void {
    const { log, metrics } = this.#options;
    metrics.requestDone(exchange.operation?.id ?? "none", status, seconds);
    const who = exchange.context ?? { requestId: exchange.requestId };
    const line = `"${request.method} ${request.url} HTTP/${request.httpVersion}"`;
    log.forRequest(who).info(`${exchange.url.client} ${line} status: ${status} len: ${sentBytes} time: ${seconds.toFixed(7)}`);
  }
}

function openServer(timeouts: ApiTimeouts, tls: ApiTls | undefined, application: express.Express): Server | TlsServer {
  const options: ServerOptions = {
    headersTimeout: timeouts.headMs,
    requestTimeout: timeouts.requestMs,
    keepAliveTimeout: timeouts.idleMs,
    connectionsCheckingInterval: timeouts.checkMs,
    maxHeaderSize: limits.headBytesMax,
  };
  // Not by an import, which looks at all that node:http has: behind its WebSocket is Node's own undici, of 14 MiB and 20 ms.
  if (tls === undefined) return process.getBuiltinModule("node:http").createServer(options, application);
  const { cert, key, clientCa } = tls;
  const verified = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true };
  const secure = { cert, key, minVersion: "TLSv1.2", handshakeTimeout: timeouts.headMs, ...verified } as const;
  return process.getBuiltinModule("node:https").createServer({ ...options, ...secure }, application);
}

/** Writes the answer; returns the length of its body in bytes. A client that has gone away gets nothing. */
function send(request: IncomingMessage, response: ServerResponse, exchange: Exchange, answer: Dispatched, clock: Clock): number {
  if (response.headersSent || response.destroyed) return 0;
  const text = answer.text ?? (answer.body === undefined ? "" : JSON.stringify(answer.body));
  const bytes = Buffer.byteLength(text);
  const headers: Record<string, string | number> = {
    ...(exchange.minor === undefined ? undefined : minorHeaders(exchange.minor)),
    ...(answer.status === 204 ? undefined : jsonType),
    ...answer.headers,
  };
  if (answer.status !== 204) headers["content-length"] = bytes;
  response.writeHead(answer.status, headers);
  if (headers["connection"] === "close") endLingering(request, response, text, clock);
  else response.end(request.method === "HEAD" || answer.status === 204 ? undefined : text);
  return bytes;
}

function checkHandlers(document: ApiDocument): typeof allHandlers {
  for (const { handlerId, path } of document.operations) {
    const served = path.startsWith("/v3/") && path !== "/v3/";
    if (served && allHandlers[handlerId] === undefined) {
      throw new AndironError("config_invalid", `the API description names an operation that is not implemented: ${handlerId}`);
    }
  }
  return allHandlers;
}
