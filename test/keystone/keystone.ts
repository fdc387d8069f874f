// A private Keystone: Debian's, over an SQLite file in a directory of its own, on a free port, without systemd. With the users
// and projects that tests need made through its API. Ends with dispose(), and with the test's process.

import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Daemon } from "../cloud/daemon.ts";
import { serveWsgi } from "../cloud/wsgi-server.ts";
import { runOk } from "../harness/command.ts";

export const password = "a test's password";

export interface KeystoneReply {
  readonly status: number;
  readonly token: string;
  readonly body: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface Named {
  readonly id: string;
}

type Headers = Readonly<Record<string, string>>;
type Kind = "user" | "project" | "role" | "service" | "endpoint";

export class Keystone {
  readonly #folder: string;
  readonly #daemons: Daemon[] = [];
  #url = "";
  #shortUrl = "";
  #admin = "";

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** "http://127.0.0.1:PORT/v3". */
  get url(): string {
    return this.#url;
  }

  get adminToken(): string {
    return this.#admin;
  }

  async start(): Promise<void> {
    await this.#configure("long", 3600);
    await this.#configure("short", 2);
    for (const kind of ["fernet-keys", "credential-keys"]) await this.#makeKeys(kind);
    await this.#manage("db_sync");
    // Without it a reader of one process keeps the other from writing.
    const database = new DatabaseSync(join(this.#folder, "keystone.db"));
    database.exec("PRAGMA journal_mode = WAL");
    database.close();
    this.#url = await this.serve("long");
    const urls = ["public", "internal", "admin"].flatMap((name) => [`--bootstrap-${name}-url`, this.#url]);
    await this.#manage("bootstrap", "--bootstrap-password", password, "--bootstrap-region-id", "RegionOne", ...urls);
    this.#admin = await this.issue("admin", "admin");
  }

  /** Ends what listens, as if Keystone's machine were gone. */
  async stop(): Promise<void> {
    for (const daemon of this.#daemons.splice(0)) await daemon.kill();
  }

  /** After stop(): the same users and tokens, at the same URL. */
  async startAgain(): Promise<void> {
    await this.serve("long", this.#url);
  }

  /** It hangs until resume(). */
  suspend(): void {
    for (const daemon of this.#daemons) daemon.suspend();
  }

  resume(): void {
    for (const daemon of this.#daemons) daemon.resume();
  }

  async dispose(): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** One request to the API; the token is the administrator's unless said otherwise. */
  async send(method: string, path: string, body?: unknown, headers: Headers = {}): Promise<KeystoneReply> {
    const base = path.startsWith("http") ? "" : this.#url;
    const reply = await fetch(base + path, {
      method,
      headers: { "content-type": "application/json", "x-auth-token": this.#admin, ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await reply.text();
    const parsed = (text.startsWith("{") ? JSON.parse(text) : {}) as KeystoneReply["body"];
    return { status: reply.status, token: reply.headers.get("x-subject-token") ?? "", body: parsed };
  }

  async create(kind: Kind, fields: Readonly<Record<string, unknown>>): Promise<string> {
    const domain = kind === "user" || kind === "project" ? { domain_id: "default" } : {};
    const { status, body } = await this.send("POST", `/${kind}s`, { [kind]: { ...domain, ...fields } });
    if (status !== 201) throw new Error(`Keystone answers ${status} to a new ${kind}: ${JSON.stringify(body)}`);
    return String(body[kind]!["id"]);
  }

  async find(kind: "user" | "project" | "role", name: string): Promise<string> {
    const { body } = await this.send("GET", `/${kind}s?name=${encodeURIComponent(name)}`);
    const [found] = body[`${kind}s`] as unknown as Named[];
    return found?.id ?? this.create(kind, { name, ...(kind === "user" ? { password } : {}) });
  }

  /** Makes user, project and roles as far as they are not there, and gives the user the roles in the project. */
  async grant(user: string, project: string, ...roles: readonly string[]): Promise<void> {
    const [userId, projectId] = [await this.find("user", user), await this.find("project", project)];
    for (const role of roles) {
      const path = `/projects/${projectId}/users/${userId}/roles/${await this.find("role", role)}`;
      const { status } = await this.send("PUT", path);
      if (status !== 204) throw new Error(`Keystone answers ${status} to a grant`);
    }
  }

  /** A token of the user in the project. `short`: it expires after 2 seconds. */
  async issue(user: string, project: string, { short = false } = {}): Promise<string> {
    const domain = { id: "default" };
    const identity = { methods: ["password"], password: { user: { name: user, domain, password } } };
    return this.authenticate({ identity, scope: { project: { name: project, domain } } }, short);
  }

  async authenticate(auth: unknown, short = false): Promise<string> {
    if (short && this.#shortUrl === "") this.#shortUrl = await this.serve("short");
    const { status, token, body } = await this.send("POST", `${short ? this.#shortUrl : this.#url}/auth/tokens`, { auth });
    if (status !== 201) throw new Error(`Keystone answers ${status} to an authentication: ${JSON.stringify(body)}`);
    return token;
  }

  /** Puts a service into the catalogue, with the three interfaces of one URL. */
  async publish(type: string, url: string): Promise<void> {
    const serviceId = await this.create("service", { name: type, type });
    for (const name of ["public", "internal", "admin"]) {
      await this.create("endpoint", { service_id: serviceId, interface: name, region_id: "RegionOne", url });
    }
  }

  async revoke(token: string): Promise<void> {
    const { status } = await this.send("DELETE", "/auth/tokens", undefined, { "x-subject-token": token });
    if (status !== 204) throw new Error(`Keystone answers ${status} to a revocation`);
  }

  /** Starts one more server over the same data, where it was before or anywhere; resolves with its URL. */
  async serve(name: "long" | "short", before?: string): Promise<string> {
    const { daemon, url } = await serveWsgi({
      script: "/usr/bin/keystone-wsgi-public",
      env: { OS_KEYSTONE_CONFIG_DIR: join(this.#folder, name) },
      logFile: join(this.#folder, `uwsgi-${this.#daemons.length}.log`),
      ...(before === undefined ? {} : { url: before }),
    });
    this.#daemons.push(daemon);
    return `${url}/v3`;
  }

  async #configure(name: string, expirationSeconds: number): Promise<void> {
    const folder = join(this.#folder, name);
    await mkdir(folder, { recursive: true });
    const keys = (kind: string): string => join(this.#folder, kind);
    const lines = [
      "[DEFAULT]",
      `log_file = ${join(folder, "keystone.log")}`,
      "[database]",
      `connection = sqlite:///${join(this.#folder, "keystone.db")}`,
      "sqlite_synchronous = false",
      "[identity]",
      "password_hash_rounds = 4",
      "[token]",
      "provider = fernet",
      `expiration = ${expirationSeconds}`,
      "[fernet_tokens]",
      `key_repository = ${keys("fernet-keys")}`,
      "[fernet_receipts]",
      `key_repository = ${keys("fernet-keys")}`,
      "[credential]",
      `key_repository = ${keys("credential-keys")}`,
      "[cache]",
      "enabled = true",
      "backend = dogpile.cache.memory",
      "[oslo_messaging_notifications]",
      "driver = noop",
    ];
    await writeFile(join(folder, "keystone.conf"), `${lines.join("\n")}\n`);
  }

  /** What `keystone-manage fernet_setup` does: a staged key and a primary one. */
  async #makeKeys(kind: string): Promise<void> {
    await mkdir(join(this.#folder, kind), { mode: 0o700 });
    for (const name of ["0", "1"]) {
      const key = randomBytes(32).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
      await writeFile(join(this.#folder, kind, name), key, { mode: 0o600 });
    }
  }

  async #manage(...args: readonly string[]): Promise<void> {
    await runOk("keystone-manage", ["--config-file", join(this.#folder, "long", "keystone.conf"), ...args]);
  }
}

export async function prepareKeystone(): Promise<Keystone> {
  const keystone = new Keystone(await mkdtemp(join(tmpdir(), "andiron-keystone-")));
  try {
    await keystone.start();
    return keystone;
  } catch (error) {
    await keystone.dispose();
    throw error;
  }
}
