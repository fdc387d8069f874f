// What a proxy in front says of a request, for [oslo_middleware] enable_proxy_headers_parsing: RFC 7239's Forwarded, or the
// X-Forwarded-* headers when there is none, and X-Forwarded-Prefix beside either.
//
// - Of several values the first counts: that of the proxy which the client itself reached.
// - A value that cannot stand in a URL is as if it were not there: links never hold more than a scheme, a host, a path.
// It does not know whether the sender is to be trusted; any client can send these headers. Pure.

import type { IncomingHttpHeaders } from "node:http";

export interface Forwarded {
  readonly scheme: "http" | "https" | undefined;
  /** As a Host header has it. */
  readonly host: string | undefined;
  /** The port that the client reached, for a host without one. */
  readonly port: string | undefined;
  /** "/volume"; empty when the API is at the root. */
  readonly prefix: string;
  /** Address of the client, for the log. */
  readonly client: string | undefined;
}

export const nothingForwarded: Forwarded = { scheme: undefined, host: undefined, port: undefined, prefix: "", client: undefined };

const hostPattern = /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;
const portPattern = /^\d{1,5}$/;
const prefixPattern = /^(?:\/[A-Za-z0-9._~-]+){1,8}$/;
const clientPattern = /^[A-Za-z0-9._:[\]-]{1,255}$/;

export function readForwarded(headers: IncomingHttpHeaders): Forwarded {
  const forwarded = textOf(headers["forwarded"]);
  const said = forwarded === "" ? readOlder(headers) : readStandard(forwarded);
  const scheme = said.scheme?.toLowerCase();
  const prefix = firstOf(headers["x-forwarded-prefix"]).replace(/\/+$/, "");
  const isScheme = scheme === "http" || scheme === "https";
  return {
    scheme: isScheme ? scheme : undefined,
    host: accept(said.host, hostPattern),
    port: accept(said.port, portPattern),
    prefix: prefixPattern.test(prefix) && !prefix.split("/").includes("..") ? prefix : "",
    client: accept(said.client, clientPattern),
  };
}

/** `host` as a link has it: safe to be put into one, or undefined. */
export function safeHost(host: string | undefined): string | undefined {
  return accept(host, hostPattern);
}

interface Said {
  readonly scheme: string | undefined;
  readonly host: string | undefined;
  readonly port?: string;
  readonly client: string | undefined;
}

function readOlder(headers: IncomingHttpHeaders): Said {
  return {
    scheme: firstOf(headers["x-forwarded-proto"]),
    host: firstOf(headers["x-forwarded-host"]),
    port: firstOf(headers["x-forwarded-port"]),
    client: firstOf(headers["x-forwarded-for"]),
  };
}

/** `for=192.0.2.60;proto=https;host="cloud:8443", for=...`: the first element's pairs. A comma within quotes ends nothing. */
function readStandard(header: string): Said {
  const pairs = new Map<string, string>();
  const pattern = /\s*([!#$%&'*+.^_`|~\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))\s*([;,]|$)/y;
  for (let end = ";"; end === ";";) {
    const match = pattern.exec(header);
    if (match === null) break;
    pairs.set(match[1]!.toLowerCase(), match[2]?.replaceAll(/\\(.)/g, "$1") ?? match[3]!);
    end = match[4]!;
  }
  return { scheme: pairs.get("proto"), host: pairs.get("host"), client: pairs.get("for") };
}

function accept(text: string | undefined, pattern: RegExp): string | undefined {
  return text !== undefined && pattern.test(text) ? text : undefined;
}

function firstOf(header: string | string[] | undefined): string {
  return textOf(header).split(",", 1)[0]!.trim();
}

function textOf(header: string | string[] | undefined): string {
  return (Array.isArray(header) ? header.join(",") : header) ?? "";
}
