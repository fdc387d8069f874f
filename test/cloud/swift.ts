// A private Swift: Debian's account, container, object and proxy servers and a memcached for its tokens, with rings of one
// replica on one directory, on free ports of 127.0.0.1 and in a directory of its own. The proxy speaks Swift's API with
// tempauth and S3's with s3api; one more, before Keystone, is started on demand. Ends with dispose(), and with the test's
// process. The directory's file system must have user xattrs (ext4, XFS, overlay on them, tmpfs from Linux 6.6 on).

import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runOk } from "../harness/command.ts";
import type { Keystone } from "../keystone/keystone.ts";
import { Daemon, findFreePort, startOnFreePorts } from "./daemon.ts";
import { type ProxyChoice, type SwiftPorts, renderProxy, renderServer, serverKinds, swiftUser } from "./swift-config.ts";

/** Swift reads swift.conf at one fixed place unless it is told otherwise before its server is imported. */
const launcher = `
import runpy, sys
from swift.common import utils
utils.set_swift_dir(sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
`;

const startTimeoutMs = 300_000;

/** What start() needs. */
export const swiftPrograms: readonly string[] = ["swift-ring-builder", "swift-proxy-server", "swift-object-server", "memcached"];

export class Swift {
  readonly #folder: string;
  #daemons: Daemon[] = [];
  #ports: SwiftPorts | undefined;
  #keystoneUrl = "";

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** "http://127.0.0.1:PORT": the proxy with tempauth and s3api. */
  get url(): string {
    return `http://127.0.0.1:${this.#ports!.proxy}`;
  }

  /** The proxy before Keystone; startKeystoneProxy() first. */
  get keystoneUrl(): string {
    return this.#keystoneUrl;
  }

  /** Resolves when an object can be put. */
  start(): Promise<void> {
    return startOnFreePorts(() => this.#tryStart());
  }

  /** A proxy that asks `keystone` for who sends a request; it is put into the catalogue as object-store. */
  async startKeystoneProxy(keystone: Keystone): Promise<void> {
    await keystone.grant("swift", "service", "admin");
    await startOnFreePorts(async () => {
      const port = await findFreePort();
      await this.#startProxy("proxy-keystone", { ...this.#ports!, proxy: port }, { keystoneUrl: keystone.url });
      this.#keystoneUrl = `http://127.0.0.1:${port}`;
    });
    await keystone.publish("object-store", `${this.#keystoneUrl}/v1/AUTH_%(project_id)s`);
  }

  /** Forgets every token of tempauth, as a restart of memcached does. */
  async forgetTokens(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = connect(this.#ports!.memcached, "127.0.0.1", () => socket.write("flush_all\r\n"));
    socket.once("data", () => resolve()).once("error", reject);
    await promise.finally(() => socket.destroy());
  }

  /** All of it hangs, with its connections, until resume(). */
  suspend(): void {
    for (const daemon of this.#daemons) daemon.suspend();
  }

  resume(): void {
    for (const daemon of this.#daemons) daemon.resume();
  }

  /** Ends it as a crash would; start() gives a new and empty one. */
  async stop(): Promise<void> {
    for (const daemon of this.#daemons.splice(0)) await daemon.kill();
  }

  async dispose(): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #tryStart(): Promise<void> {
    await this.stop();
    await mkdir(join(this.#folder, "devices", "d1"), { recursive: true });
    const hash = ["[swift-hash]", `swift_hash_path_suffix = ${randomBytes(8).toString("hex")}`];
    const policy = ["[storage-policy:0]", "name = one", "default = yes"];
    await writeFile(join(this.#folder, "swift.conf"), `${[...hash, ...policy].join("\n")}\n`);
    const ports = await this.#choosePorts();
    this.#ports = ports;
    const memcached = ["-l", "127.0.0.1", "-p", `${ports.memcached}`, "-U", "0", "-m", "16", "-u", swiftUser()];
    this.#daemons.push(new Daemon("memcached", memcached, { logFile: join(this.#folder, "memcached.log") }));
    await Promise.all(serverKinds.map((kind) => this.#makeRing(kind, ports[kind])));
    const storing = serverKinds.map(async (kind) => {
      await writeFile(join(this.#folder, `${kind}.conf`), renderServer(kind, this.#folder, ports));
      await this.#startServer(kind, `swift-${kind}-server`, ports[kind]);
    });
    await Promise.all([...storing, this.#startProxy("proxy", ports, { keystoneUrl: undefined })]);
    await this.#putOne();
  }

  async #choosePorts(): Promise<SwiftPorts> {
    const ports: number[] = [];
    for (let count = 0; count < 5; count++) ports.push(await findFreePort());
    const [account, container, object, proxy, memcached] = ports as [number, number, number, number, number];
    return { account, container, object, proxy, memcached };
  }

  async #makeRing(kind: string, port: number): Promise<void> {
    const builder = join(this.#folder, `${kind}.builder`);
    await rm(builder, { force: true });
    await runOk("swift-ring-builder", [builder, "create", "4", "1", "0"]);
    await runOk("swift-ring-builder", [builder, "add", `r1z1-127.0.0.1:${port}/d1`, "1"]);
    await runOk("swift-ring-builder", [builder, "rebalance"]);
  }

  async #startProxy(name: string, ports: SwiftPorts, choice: ProxyChoice): Promise<void> {
    await writeFile(join(this.#folder, `${name}.conf`), renderProxy(this.#folder, ports, choice));
    await this.#startServer(name, "swift-proxy-server", ports.proxy);
  }

  async #startServer(name: string, program: string, port: number): Promise<void> {
    const args = ["-c", launcher, this.#folder, `/usr/bin/${program}`, join(this.#folder, `${name}.conf`), "-v"];
    const server = new Daemon("/usr/bin/python3", args, { logFile: join(this.#folder, `${name}.log`) });
    this.#daemons.push(server);
    const answers = (): Promise<boolean> => fetch(`http://127.0.0.1:${port}/healthcheck`).then(({ ok }) => ok, no);
    await server.waitUntil(answers, startTimeoutMs);
  }

  /** What shows that the four servers find each other, and that the file system has what an object needs. */
  async #putOne(): Promise<void> {
    const reply = await fetch(`${this.url}/auth/v1.0`, { headers: { "x-auth-user": "test:tester", "x-auth-key": "testing" } });
    const token = reply.headers.get("x-auth-token") ?? "";
    const container = `${reply.headers.get("x-storage-url")}/started`;
    for (const url of [container, `${container}/object`]) {
      const { status } = await fetch(url, { method: "PUT", headers: { "x-auth-token": token }, body: "" });
      if (status < 300) continue;
      const logs = await Promise.all(this.#daemons.map((daemon) => daemon.logTail()));
      throw new Error(`Swift answers ${status} to a PUT; has ${tmpdir()} user xattrs?\n${logs.join("\n")}`);
    }
  }
}

const no = (): boolean => false;

export async function prepareSwift(): Promise<Swift> {
  const swift = new Swift(await mkdtemp(join(tmpdir(), "andiron-swift-")));
  try {
    await swift.start();
    return swift;
  } catch (error) {
    await swift.dispose();
    throw error;
  }
}
