// What URL a client has asked for, of which the server sees only the end: links begin with it, and rules about paths are
// about all of it.
//
//   https://cloud.example  /volume  /v3/volumes  ?limit=1
//   └──────── origin ────────────┘
//                          prefix   path          query
//
// - public_endpoint, when it is set, is what links begin with, whatever a request says.
// - Its path may stand in front of ours too: the API answers at /volume/v3 as at /v3, for a proxy that takes nothing away.
// - What a proxy says counts only when its headers are trusted.

import type { IncomingMessage } from "node:http";
import { type Forwarded, nothingForwarded, readForwarded, safeHost } from "./forwarded.ts";

export interface UrlRules {
  /** public_endpoint; empty when it is not set. */
  readonly publicEndpoint: string;
  /** [oslo_middleware] enable_proxy_headers_parsing. */
  readonly parsesProxyHeaders: boolean;
}

export interface RequestUrl {
  /** Without a slash at its end: "http://host:8776" or "https://cloud/volume". */
  readonly origin: string;
  /** What stood before `path` in the client's URL, as far as we know: "/volume", or empty. */
  readonly prefix: string;
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
  /** Who asks: the proxy's client when the proxy says so. */
  readonly client: string;
}

export class RequestUrls {
  readonly #endpoint: string;
  /** Path of public_endpoint: "/volume", or empty. */
  readonly #mount: string;
  readonly #parsesProxyHeaders: boolean;

  constructor({ publicEndpoint, parsesProxyHeaders }: UrlRules) {
    this.#endpoint = publicEndpoint.replace(/\/+$/, "");
    this.#mount = this.#endpoint === "" ? "" : new URL(this.#endpoint).pathname.replace(/\/+$/, "");
    this.#parsesProxyHeaders = parsesProxyHeaders;
  }

  read(request: IncomingMessage): RequestUrl {
    const { headers, socket } = request;
    const forwarded = this.#parsesProxyHeaders ? readForwarded(headers) : nothingForwarded;
    const url = request.url ?? "/";
    const mark = url.indexOf("?");
    const whole = mark < 0 ? url : url.slice(0, mark);
    const isMounted = this.#mount !== "" && (whole === this.#mount || whole.startsWith(`${this.#mount}/`));
    return {
      origin: this.#endpoint === "" ? originOf(request, forwarded) : this.#endpoint,
      prefix: isMounted ? this.#mount : forwarded.prefix,
      path: isMounted ? whole.slice(this.#mount.length) || "/" : whole,
      query: mark < 0 ? "" : url.slice(mark + 1),
      client: forwarded.client ?? socket.remoteAddress ?? "-",
    };
  }
}

function originOf({ headers, socket }: IncomingMessage, forwarded: Forwarded): string {
  const scheme = forwarded.scheme ?? ("encrypted" in socket ? "https" : "http");
  const host = forwarded.host ?? safeHost(headers.host) ?? "localhost";
  return `${scheme}://${host}${portBehind(host, scheme, forwarded.port)}${forwarded.prefix}`;
}

/** What a URL needs behind `host` to name `port`: nothing when the host or the scheme says it already. */
function portBehind(host: string, scheme: string, port: string | undefined): string {
  if (port === undefined || /:\d+$/.test(host)) return "";
  return port === (scheme === "https" ? "443" : "80") ? "" : `:${port}`;
}
