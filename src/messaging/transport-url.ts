// oslo.messaging's transport_url: rabbit://USER:PASSWORD@HOST:PORT[,USER:PASSWORD@HOST:PORT...]/VHOST[?ssl=1]. Pure.
// Each host has a user of its own, or guest. No message of an error has a password in it.

import { AndironError } from "../common/errors.ts";
import { messagingLimits } from "./limits.ts";

export interface BrokerHost {
  readonly host: string;
  /** Undefined: the protocol's. */
  readonly port: number | undefined;
  readonly username: string;
  readonly password: string;
}

export interface TransportUrl {
  readonly hosts: readonly BrokerHost[];
  readonly vhost: string;
  /** What the URL says of TLS, over the configuration. */
  readonly ssl: boolean | undefined;
}

const schemes = ["rabbit", "kombu", "amqp", "rabbit+amqp"];

/** Throws config_invalid; `option` is how the user calls it. */
export function parseTransportUrl(text: string, option: string): TransportUrl {
  const refuse = (problem: string): AndironError => new AndironError("config_invalid", `${option} ${problem}`);
  const parts = /^([a-z+]+):\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(text);
  if (parts === null) throw refuse("is no URL such as rabbit://user:password@host:5672/");
  const [, scheme = "", authority = "", path = "", query = ""] = parts;
  if (!schemes.includes(scheme)) throw refuse(`is for ${scheme}, and only rabbit is spoken here`);
  const hosts = authority
    .split(",")
    .filter((host) => host !== "")
    .map((host) => parseHost(host, refuse));
  if (hosts.length === 0) throw refuse("names no host");
  if (hosts.length > messagingLimits.hostsMax) throw refuse(`names more than ${messagingLimits.hostsMax} hosts`);
  const vhost = decode(path, refuse);
  return { hosts, vhost: vhost === "" ? "/" : vhost, ssl: parseQuery(query, refuse) };
}

type Refuse = (problem: string) => AndironError;

function parseHost(text: string, refuse: Refuse): BrokerHost {
  const at = text.lastIndexOf("@");
  const [user = "guest", ...rest] = at < 0 ? [] : text.slice(0, at).split(":");
  const place = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text.slice(at + 1));
  if (place === null) throw refuse("names a host that is none");
  const port = place[2] === undefined ? undefined : Number(place[2]);
  if (port === 0 || (port ?? 1) > 65_535) throw refuse(`names the port ${port}`);
  const password = at < 0 ? "guest" : rest.join(":");
  return {
    host: (place[1] ?? "").replace(/^\[|\]$/g, ""),
    port,
    username: decode(user, refuse),
    password: decode(password, refuse),
  };
}

function parseQuery(query: string, refuse: Refuse): boolean | undefined {
  let ssl: boolean | undefined;
  for (const [name, value] of new URLSearchParams(query)) {
    if (name !== "ssl") throw refuse(`has the parameter ${name}: that belongs into [oslo_messaging_rabbit]`);
    ssl = ["1", "true", "yes", "on"].includes(value.toLowerCase());
  }
  return ssl;
}

function decode(text: string, refuse: Refuse): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refuse("has a % that begins no escape");
  }
}
