// A private Glance: Debian's, over an SQLite file and a directory of images, behind the Keystone that it is given, where it
// puts itself into the catalogue. It notifies the broker it is given. Ends with dispose(), and with the test's process.

import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runOk } from "../harness/command.ts";
import { type Keystone, password } from "../keystone/keystone.ts";
import type { RabbitMq } from "./rabbitmq.ts";
import { type WsgiServer, serveWsgi } from "./wsgi-server.ts";

export interface GlanceSurroundings {
  readonly keystone: Keystone;
  readonly broker: RabbitMq;
}

export interface NewImage {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Such as "raw" or "qcow2". */
  readonly format: string;
  /** In GiB. */
  readonly minDisk?: number;
}

export class Glance {
  readonly #folder: string;
  readonly #surroundings: GlanceSurroundings;
  #server: WsgiServer | undefined;

  constructor(folder: string, surroundings: GlanceSurroundings) {
    this.#folder = folder;
    this.#surroundings = surroundings;
  }

  /** "http://127.0.0.1:PORT". */
  get url(): string {
    if (this.#server === undefined) throw new Error("Glance is not running");
    return this.#server.url;
  }

  async start(): Promise<void> {
    const { keystone } = this.#surroundings;
    await keystone.grant("glance", "service", "admin", "service");
    await this.#configure();
    const configuration = join(this.#folder, "glance-api.conf");
    await runOk("glance-manage", ["--config-file", configuration, "db_sync"]);
    this.#server = await this.#serve();
    await keystone.publish("image", this.url);
  }

  /** Ends it as a crash would. */
  async stop(): Promise<void> {
    await this.#server?.daemon.kill();
  }

  /** After stop(): the same images, at the same URL. */
  async startAgain(): Promise<void> {
    this.#server = await this.#serve(this.url);
  }

  /** It hangs until resume(). */
  suspend(): void {
    this.#server?.daemon.suspend();
  }

  resume(): void {
    this.#server?.daemon.resume();
  }

  /** The file with an image's bytes. */
  pathOf(imageId: string): string {
    return join(this.#folder, "images", imageId);
  }

  async dispose(): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Makes an image that every project sees, and gives its id. */
  async createPublicImage({ name, bytes, format, minDisk = 0 }: NewImage): Promise<string> {
    const headers = { "x-auth-token": this.#surroundings.keystone.adminToken, "content-type": "application/json" };
    const described = { name, disk_format: format, container_format: "bare", visibility: "public", min_disk: minDisk };
    const made = await fetch(`${this.url}/v2/images`, { method: "POST", headers, body: JSON.stringify(described) });
    if (made.status !== 201) throw new Error(`Glance answers ${made.status} to a new image: ${await made.text()}`);
    const { id } = (await made.json()) as { id: string };
    const stored = await fetch(`${this.url}/v2/images/${id}/file`, {
      method: "PUT",
      headers: { ...headers, "content-type": "application/octet-stream" },
      body: bytes,
    });
    if (stored.status !== 204) throw new Error(`Glance answers ${stored.status} to an image's bytes: ${await stored.text()}`);
    return id;
  }

  #serve(url?: string): Promise<WsgiServer> {
    return serveWsgi({
      script: "/usr/bin/glance-wsgi-api",
      env: { OS_GLANCE_CONFIG_DIR: this.#folder },
      logFile: join(this.#folder, "uwsgi.log"),
      ...(url === undefined ? {} : { url }),
    });
  }

  async #configure(): Promise<void> {
    const { keystone, broker } = this.#surroundings;
    const inFolder = (name: string): string => join(this.#folder, name);
    for (const name of ["images", "staging", "tasks"]) await mkdir(inFolder(name), { recursive: true });
    await copyFile("/usr/share/glance-common/glance-api-paste.ini", inFolder("glance-api-paste.ini"));
    const lines = [
      "[DEFAULT]",
      `log_file = ${inFolder("glance.log")}`,
      `transport_url = ${broker.transportUrl}`,
      "enabled_backends = files:file",
      "[glance_store]",
      "default_backend = files",
      "[files]",
      `filesystem_store_datadir = ${inFolder("images")}`,
      "[os_glance_staging_store]",
      `filesystem_store_datadir = ${inFolder("staging")}`,
      "[os_glance_tasks_store]",
      `filesystem_store_datadir = ${inFolder("tasks")}`,
      "[database]",
      `connection = sqlite:///${inFolder("glance.db")}`,
      "sqlite_synchronous = false",
      "[oslo_messaging_notifications]",
      "driver = messagingv2",
      "[paste_deploy]",
      "flavor = keystone",
      "[keystone_authtoken]",
      `auth_url = ${keystone.url}`,
      `www_authenticate_uri = ${keystone.url}`,
      "auth_type = password",
      "project_domain_id = default",
      "user_domain_id = default",
      "project_name = service",
      "username = glance",
      `password = ${password}`,
      "service_token_roles = service",
      "service_token_roles_required = true",
    ];
    await writeFile(inFolder("glance-api.conf"), `${lines.join("\n")}\n`);
  }
}

export async function prepareGlance(surroundings: GlanceSurroundings): Promise<Glance> {
  const glance = new Glance(await mkdtemp(join(tmpdir(), "andiron-glance-")), surroundings);
  try {
    await glance.start();
    return glance;
  } catch (error) {
    await glance.dispose();
    throw error;
  }
}
