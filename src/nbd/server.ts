// The NBD server: listens, counts its connections and drains them. What a connection does is in connection.ts.
//
// - At most connectionsMax connections; one more is closed unread. At most handshakesMax of them are strangers (still in
//   the handshake): one more ends the stranger that has been at it longest, so that half-open ones can't lock others out.
// - drain() stops listening, lets every request in flight finish, and cuts what has not ended after drainTimeoutMs.

import type { AddressInfo, Server, Socket } from "node:net";
import { AndironError } from "../common/errors.ts";
import type { Clock, Timer } from "../common/clock.ts";
import type { Service } from "../common/service.ts";
import type { ExportDirectory } from "../engine/device.ts";
import { BusyPoll } from "./busy-poll.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { assertLimits, nbdLimits, type NbdLimits } from "./limits.ts";
import { listenAt, type ListenAddress } from "./listening.ts";
import type { TlsMode } from "./negotiation.ts";
import { noMetrics, silentLogger, type Logger, type NbdMetrics } from "./observer.ts";
import { SlabPool } from "./slab.ts";
import { TurnShares } from "./turn-shares.ts";
import { loadServerTls, type ServerTls } from "./tls.ts";

export interface NbdServerOptions {
  readonly listen: readonly ListenAddress[];
  readonly directory: ExportDirectory;
  readonly clock: Clock;
  /** "off" without `tls`; default "off". */
  readonly tlsMode?: TlsMode;
  readonly tls?: ServerTls;
  readonly logger?: Logger;
  readonly metrics?: NbdMetrics;
  /** Deviations from limits.ts, for tests. */
  readonly limits?: Partial<NbdLimits>;
}

export class NbdServer implements Service {
  readonly id = "nbd-server";
  readonly #options: NbdServerOptions;
  readonly #connectionOptions: ConnectionOptions;
  readonly #logger: Logger;
  readonly #limits: NbdLimits;
  readonly #connections = new Set<Connection>();
  /** In order of arrival. */
  readonly #strangers = new Set<Connection>();
  #servers: Server[] = [];
  #drained: (() => void) | undefined;

  /** Throws config_invalid when the TLS settings can't be used. */
  constructor(options: NbdServerOptions) {
    this.#options = options;
    this.#limits = { ...nbdLimits, ...options.limits };
    assertLimits(this.#limits);
    this.#logger = options.logger ?? silentLogger;
    const tlsMode = options.tlsMode ?? "off";
    if (tlsMode !== "off" && options.tls === undefined) {
      throw new AndironError("config_invalid", `NBD TLS is set to ${tlsMode}, but there is no certificate`);
    }
    this.#connectionOptions = {
      directory: options.directory,
      clock: options.clock,
      limits: this.#limits,
      pool: new SlabPool(this.#limits.pooledBytesMax),
      shares: new TurnShares({ aloneBytes: this.#limits.turnBytesMax, besideOthersBytes: this.#limits.besideTurnBytesMax }),
      busyPoll: new BusyPoll(this.#limits.busyPollMs, options.clock),
      logger: this.#logger,
      metrics: options.metrics ?? noMetrics,
      tlsMode,
      tls: options.tls === undefined ? undefined : loadServerTls(options.tls),
      onTransmission: (connection) => this.#strangers.delete(connection),
      onClosed: (connection) => this.#forget(connection),
    };
  }

  /** Connections now open, those in the handshake included. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Where it listens, in the order of `listen`; ports are the real ones. */
  addresses(): ListenAddress[] {
    return this.#servers.map((server) => {
      const address = server.address() as AddressInfo | string;
      return typeof address === "string" ? { path: address } : { host: address.address, port: address.port };
    });
  }

  async start(): Promise<void> {
    for (const address of this.#options.listen) {
      this.#servers.push(await listenAt(address, (socket) => this.#accept(socket)));
    }
    this.#logger.info("NBD server listens", { addresses: this.addresses() });
  }

  async drain(): Promise<void> {
    this.#stopListening();
    for (const connection of this.#connections) connection.drain();
    if (this.#connections.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    const timer: Timer = this.#options.clock.after(this.#limits.drainTimeoutMs, () => this.#cutAll("drain timeout"));
    await promise;
    timer.cancel();
  }

  /** Cuts every connection. Sessions whose requests are still in the device are closed when these have settled. */
  async stop(): Promise<void> {
    this.#stopListening();
    if (this.#connections.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const drained = this.#drained;
    this.#drained = () => {
      drained?.();
      resolve();
    };
    this.#cutAll("stop");
    await promise;
  }

  #stopListening(): void {
    for (const server of this.#servers) server.close();
    this.#servers = [];
  }

  #cutAll(reason: string): void {
    for (const connection of this.#connections) connection.cut(reason);
  }

  #accept(socket: Socket): void {
    const { metrics } = this.#connectionOptions;
    if (this.#connections.size >= this.#limits.connectionsMax) {
      metrics.refused("connections");
      this.#logger.warning("NBD connection refused: too many", { connections: this.#connections.size });
      socket.destroy();
      return;
    }
    const [oldest] = this.#strangers;
    if (oldest !== undefined && this.#strangers.size >= this.#limits.handshakesMax) {
      this.#strangers.delete(oldest);
      oldest.cut("too many handshakes");
    }
    const connection = new Connection(socket, this.#connectionOptions);
    metrics.connected();
    this.#connections.add(connection);
    this.#strangers.add(connection);
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection);
    this.#strangers.delete(connection);
    if (this.#connections.size === 0) this.#drained?.();
  }
}
