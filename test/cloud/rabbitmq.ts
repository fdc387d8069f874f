// A private RabbitMQ: Debian's, with an epmd of its own, everything on free ports of 127.0.0.1 and in a directory of its own.
// So several of them, and one of the system, do not meet. Ends with dispose(), and with the test's process. Not durable.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificates } from "../harness/certificates.ts";
import { Daemon, findFreePort, startOnFreePorts } from "./daemon.ts";

const user = "test";
const password = "rabbits";
const startTimeoutMs = 180_000;
/** "AMQP", and protocol 0-9-1. */
const protocolHeader = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1]);
const methodFrame = 1;

export interface RabbitMqOptions {
  /** Listens for TLS too, with the server's certificate. */
  readonly tls?: Pick<Certificates, "authorityFile" | "serverCertFile" | "serverKeyFile">;
}

export class RabbitMq {
  readonly #folder: string;
  readonly #options: RabbitMqOptions;
  #daemons: readonly Daemon[] = [];
  #port = 0;
  #tlsPort = 0;

  constructor(folder: string, options: RabbitMqOptions = {}) {
    this.#folder = folder;
    this.#options = options;
  }

  get host(): string {
    return "127.0.0.1";
  }

  get port(): number {
    return this.#port;
  }

  /** Where it speaks TLS, if it does. */
  get tlsPort(): number {
    return this.#tlsPort;
  }

  /** For oslo.messaging's `transport_url`: "rabbit://USER:PASSWORD@127.0.0.1:PORT/". */
  get transportUrl(): string {
    return `rabbit://${user}:${password}@${this.host}:${this.#port}/`;
  }

  /** For clients of AMQP: "amqp://USER:PASSWORD@127.0.0.1:PORT". */
  get amqpUrl(): string {
    return `amqp://${user}:${password}@${this.host}:${this.#port}`;
  }

  /** Resolves when AMQP is answered. */
  start(): Promise<void> {
    return startOnFreePorts(() => this.#tryStart());
  }

  /** Ends it as a crash would; what it held is lost. start() gives a new and empty one, on other ports. */
  async stop(): Promise<void> {
    for (const daemon of this.#daemons) await daemon.kill();
    this.#daemons = [];
  }

  /** It hangs until resume(). */
  suspend(): void {
    this.#daemons[0]?.suspend();
  }

  resume(): void {
    this.#daemons[0]?.resume();
  }

  async dispose(): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #tryStart(): Promise<void> {
    await this.stop();
    const folder = await mkdtemp(join(this.#folder, "node-"));
    const [port, distributionPort, epmdPort] = [await findFreePort(), await findFreePort(), await findFreePort()];
    this.#tlsPort = this.#options.tls === undefined ? 0 : await findFreePort();
    await this.#configure(folder, port);
    const env = environmentOf(folder, distributionPort, epmdPort);
    const epmd = new Daemon("epmd", ["-address", "127.0.0.1", "-port", `${epmdPort}`], {
      env,
      logFile: join(folder, "epmd.log"),
    });
    this.#daemons = [epmd];
    await epmd.waitUntil(() => accepts(epmdPort));
    const script = "/usr/lib/rabbitmq/bin/rabbitmq-server";
    const server = new Daemon(script, [], { env, folder, logFile: join(folder, "rabbitmq.log") });
    this.#daemons = [server, epmd];
    await server.waitUntil(() => answersAmqp(port), startTimeoutMs);
    this.#port = port;
  }

  async #configure(folder: string, port: number): Promise<void> {
    await mkdir(join(folder, "mnesia"));
    const lines = [
      `listeners.tcp.1 = 127.0.0.1:${port}`,
      `default_user = ${user}`,
      `default_pass = ${password}`,
      "default_permissions.configure = .*",
      "default_permissions.read = .*",
      "default_permissions.write = .*",
      "disk_free_limit.absolute = 50MB",
      "log.file.level = warning",
    ];
    const { tls } = this.#options;
    if (tls !== undefined) {
      lines.push(
        `listeners.ssl.1 = 127.0.0.1:${this.#tlsPort}`,
        `ssl_options.cacertfile = ${tls.authorityFile}`,
        `ssl_options.certfile = ${tls.serverCertFile}`,
        `ssl_options.keyfile = ${tls.serverKeyFile}`,
        "ssl_options.verify = verify_none",
      );
    }
    await writeFile(join(folder, "rabbitmq.conf"), `${lines.join("\n")}\n`);
    await writeFile(join(folder, "plugins"), "[].\n");
  }
}

function environmentOf(folder: string, distributionPort: number, epmdPort: number): Record<string, string> {
  const erlang = "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none";
  return {
    HOME: folder, // Erlang's cookie is in it
    ERL_EPMD_ADDRESS: "127.0.0.1",
    ERL_EPMD_PORT: `${epmdPort}`,
    RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq"),
    RABBITMQ_CONF_ENV_FILE: "/dev/null",
    RABBITMQ_DIST_PORT: `${distributionPort}`,
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "plugins"),
    RABBITMQ_LOG_BASE: folder,
    RABBITMQ_MNESIA_BASE: join(folder, "mnesia"),
    RABBITMQ_NODENAME: "andiron@localhost",
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: erlang,
    RUNNING_UNDER_SYSTEMD: "true", // the script becomes the server, and has no child that would outlive it
  };
}

/** Whether somebody listens. */
function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1");
  socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}

/** Whether a broker says Connection.Start. */
export function answersAmqp(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1", () => socket.write(protocolHeader));
  socket.on("data", (bytes) => resolve(bytes[0] === methodFrame));
  socket.on("error", () => resolve(false)).on("close", () => resolve(false));
  return promise.finally(() => socket.destroy());
}

export async function prepareRabbitMq(options: RabbitMqOptions = {}): Promise<RabbitMq> {
  const broker = new RabbitMq(await mkdtemp(join(tmpdir(), "andiron-rabbitmq-")), options);
  try {
    await broker.start();
    return broker;
  } catch (error) {
    await broker.dispose();
    throw error;
  }
}
