// One connection to RabbitMQ with one channel that confirms what is published, made when it is asked for.
//
//   closed ── channel() ──► connecting, host after host ──► open ── error, closed by either side, close() ──► closed
//
// It does not try again by itself and does not wait between tries: who asks again does (notification-sender.ts). It begins with
// the host that worked last; after a failure with the next one. A password is never part of what it says.

import { connect, type ChannelModel, type ConfirmChannel } from "amqplib";
import { AndironError } from "../common/errors.ts";
import { messagingLimits } from "./limits.ts";
import type { BrokerHost, TransportUrl } from "./transport-url.ts";

export interface BrokerTls {
  /** PEM; undefined: the system's authorities. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly verifiesHost: boolean;
}

export interface BrokerOptions {
  readonly url: TransportUrl;
  /** Undefined: without TLS. */
  readonly tls: BrokerTls | undefined;
  /** 0: none. */
  readonly heartbeatS: number;
  /** Begins with any host instead of the first. */
  readonly shuffle: boolean;
  /** Uniform in [0, bound). */
  readonly below: (bound: number) => number;
  readonly onConnected: (host: string) => void;
}

interface Open {
  readonly model: ChannelModel;
  readonly channel: ConfirmChannel;
}

export class Broker {
  readonly #options: BrokerOptions;
  #next: number;
  #open: Open | undefined;
  #opening: Promise<Open> | undefined;
  #isStopped = false;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#next = options.shuffle ? options.below(options.url.hosts.length) : 0;
  }

  /** Rejects with broker_unavailable when no host answers. */
  async channel(): Promise<ConfirmChannel> {
    if (this.#isStopped) throw new AndironError("shutting_down", "the connection to RabbitMQ is closed for good");
    if (this.#open !== undefined) return this.#open.channel;
    this.#opening ??= this.#connect().finally(() => (this.#opening = undefined));
    return (await this.#opening).channel;
  }

  /** Ends the connection, so that the next channel() makes a new one: to another host, when there is one. */
  async drop(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    this.#next++;
    if (open !== undefined) await end(open.model);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#opening?.catch(() => undefined);
    await this.drop();
  }

  async #connect(): Promise<Open> {
    const { hosts } = this.#options.url;
    const failures: string[] = [];
    let cause: unknown;
    for (let tried = 0; tried < hosts.length; tried++) {
      const host = hosts[this.#next % hosts.length]!;
      try {
        const open = await this.#reach(host);
        this.#open = open;
        const gone = (): void => {
          if (this.#open === open) this.#open = undefined;
        };
        // An error is always followed by a close, and rejects whatever waits.
        open.model.on("error", () => undefined).on("close", gone);
        open.channel.on("error", () => undefined).on("close", gone);
        this.#options.onConnected(nameOf(host));
        return open;
      } catch (error) {
        this.#next++;
        cause = error;
        failures.push(`${nameOf(host)}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    throw new AndironError("broker_unavailable", `RabbitMQ cannot be reached: ${failures.join("; ")}`, { cause });
  }

  async #reach(host: BrokerHost): Promise<Open> {
    const { tls, heartbeatS, url } = this.#options;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`no answer in ${messagingLimits.connectMs} ms`)), messagingLimits.connectMs);
    const connecting = connect(
      {
        protocol: tls === undefined ? "amqp" : "amqps",
        hostname: host.host,
        port: host.port ?? (tls === undefined ? 5672 : 5671),
        username: host.username,
        password: host.password,
        vhost: encodeURIComponent(url.vhost),
        heartbeat: heartbeatS,
        frameMax: messagingLimits.frameBytesMax,
        maxFrameSize: messagingLimits.incomingMessageBytesMax,
      },
      { noDelay: true, keepAlive: true, timeout: messagingLimits.connectMs, clientProperties, ...tlsOptions(tls) },
    );
    const opening = connecting.then(async (model) => {
      model.on("error", () => undefined);
      try {
        return { model, channel: await model.createConfirmChannel() };
      } catch (error) {
        await end(model);
        throw error;
      }
    });
    try {
      return await Promise.race([opening, late]);
    } catch (error) {
      void opening.then(({ model }) => end(model)).catch(() => undefined);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

const clientProperties = { product: "Andiron", connection_name: "andiron notifications" };

function tlsOptions(tls: BrokerTls | undefined): Record<string, unknown> {
  if (tls === undefined) return {};
  const { ca, cert, key, verifiesHost } = tls;
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    ...(verifiesHost ? {} : { checkServerIdentity: () => undefined }),
  };
}

/** Politely, and after a while without waiting for the other side. */
async function end(model: ChannelModel): Promise<void> {
  const { promise: patience, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, messagingLimits.closeMs);
  await Promise.race([model.close().catch(() => undefined), patience]);
  clearTimeout(timer);
}

function nameOf({ host, port }: BrokerHost): string {
  return port === undefined ? host : `${host}:${port}`;
}
