// The reference: Debian's own Cinder (cinder-api, cinder-scheduler, cinder-volume, cinder-backup) as private processes on free
// ports, over a private MariaDB and RabbitMQ, behind the Keystone of the test. Its back ends are the fake driver that Cinder
// ships for its own tests: every record is real, no byte of a disk is (of backups neither: see `backupProgram`). Ends with
// dispose(), and with the test's process.
//
// Notifications are off: with a driver, Debian's oslo.messaging makes Cinder 21.3 answer 500 to whatever sends one. With
// `notifies` they are on, and Cinder runs with that mended (see `mended`).

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runOk } from "../harness/command.ts";
import type { ConfigGroups } from "../harness/service.ts";
import { type Keystone, password } from "../keystone/keystone.ts";
import { Daemon, findFreePort, startOnFreePorts } from "./daemon.ts";
import { type MariaDb, prepareMariaDb } from "./mariadb.ts";
import { type RabbitMq, prepareRabbitMq } from "./rabbitmq.ts";

/** User of Cinder in the project "service", made by start(). */
const user = "cinder";
const connectionsMax = 20;
const startTimeoutMs = 300_000;

export interface ReferenceOptions {
  /** Processes of cinder-api. Default 1. */
  readonly apiWorkers?: number;
  /** Names of the back ends. Default two. */
  readonly backends?: readonly string[];
  /** Sends notifications to its RabbitMQ, and its driver does what the fake one refuses (extend, revert, manage, retype). */
  readonly notifies?: boolean;
  /** Options over those of this file, by group. */
  readonly config?: ConfigGroups;
}

/** What Cinder needs, so that a test can share it. Disposed of with the reference all the same. */
export interface ReferencePeers {
  readonly keystone: Keystone;
  readonly database: MariaDb;
  readonly messages: RabbitMq;
}

/**
 * Runs one of Cinder's programs. Debian's oslo.messaging leaves out of a notification's context what Cinder cannot do without
 * (`read_deleted`). And the fake driver has methods of LVM's without a volume group: what they do is nothing here.
 */
const mended = `
import runpy, sys
import eventlet
eventlet.monkey_patch()
from cinder import context
made = context.RequestContext.from_dict.__func__
context.RequestContext.from_dict = classmethod(
    lambda cls, values: made(cls, dict(values, read_deleted=values.get("read_deleted") or "no")))
sys.argv = sys.argv[1:]
if sys.argv[0].endswith("cinder-volume"):
    from cinder.tests.fake_driver import FakeLoggingVolumeDriver as driver
    for name in ("extend_volume", "revert_to_snapshot", "manage_existing", "unmanage", "manage_existing_snapshot",
                 "unmanage_snapshot"):
        setattr(driver, name, lambda self, *given, **named: None)
    for name in ("manage_existing_get_size", "manage_existing_snapshot_get_size"):
        setattr(driver, name, lambda self, *given, **named: 1)
    driver.retype = lambda self, *given, **named: True
    driver.snapshot_revert_use_temp_snapshot = lambda self: False
runpy.run_path(sys.argv[0], run_name="__main__")
`;

/**
 * Runs cinder-backup without its program, which is a package of its own. Its driver writes to a directory; what it takes for the
 * device of every volume is a small file, since the fake driver has no bytes.
 */
const backupProgram = `
import sys
from cinder.cmd import backup
from cinder import context, objects
objects.register_all()
from cinder.backup import manager
made = context.RequestContext.from_dict.__func__
context.RequestContext.from_dict = classmethod(
    lambda cls, values: made(cls, dict(values, read_deleted=values.get("read_deleted") or "no")))
device = sys.argv[1]
manager.volume_utils.brick_get_connector_properties = lambda *given, **named: {}
manager.BackupManager._attach_device = lambda self, *given, **named: {"device": {"path": device}}
manager.BackupManager._detach_device = lambda self, *given, **named: None
sys.argv = sys.argv[1:]
backup.main()
`;
const deviceBytes = 1024 * 1024;

export class ReferenceCinder {
  readonly #folder: string;
  readonly #peers: ReferencePeers;
  readonly #options: ReferenceOptions;
  readonly #daemons: Daemon[] = [];
  #url = "";

  constructor(folder: string, peers: ReferencePeers, options: ReferenceOptions = {}) {
    this.#folder = folder;
    this.#peers = peers;
    this.#options = options;
  }

  /** "http://127.0.0.1:PORT/v3". */
  get url(): string {
    return this.#url;
  }

  /** Resolves when the API serves and every back end has reported itself. */
  async start(): Promise<void> {
    await this.#peers.keystone.grant(user, "service", "service", "admin");
    const connection = await this.#peers.database.create("cinder");
    for (const name of ["locks", "state"]) await mkdir(join(this.#folder, name));
    await this.#configure(0, connection);
    await runOk("cinder-manage", ["--config-file", this.#configFile, "db", "sync"], { timeoutMs: 600_000 });
    await startOnFreePorts(() => this.#serve(connection));
    const scheduler = this.#launch("cinder-scheduler");
    const volume = this.#launch("cinder-volume");
    const backup = await this.#launchBackup();
    // Whoever asks the scheduler before it listens waits for a minute.
    await scheduler.waitUntil(async () => (await this.#count("os-services")) > 0, startTimeoutMs);
    await volume.waitUntil(
      async () => (await this.#count("scheduler-stats/get_pools")) === this.#backends.length,
      startTimeoutMs,
    );
    await backup.waitUntil(async () => (await this.#count("os-services?binary=cinder-backup")) > 0, startTimeoutMs);
  }

  async dispose(): Promise<void> {
    for (const daemon of this.#daemons.splice(0)) await daemon.kill();
    if (process.env["KEEP_STATE"] === undefined) await rm(this.#folder, { recursive: true, force: true });
  }

  get #backends(): readonly string[] {
    return this.#options.backends ?? ["fake1", "fake2"];
  }

  get #configFile(): string {
    return join(this.#folder, "cinder.conf");
  }

  async #serve(connection: string): Promise<void> {
    const port = await findFreePort();
    await this.#configure(port, connection);
    const api = this.#launch("cinder-api");
    const answers = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${port}/`)).status === 300;
    await api.waitUntil(() => answers().catch(() => false), startTimeoutMs);
    this.#url = `http://127.0.0.1:${port}/v3`;
  }

  #launch(name: string): Daemon {
    const options = { logFile: join(this.#folder, `${name}.log`) };
    const args = [`/usr/bin/${name}`, "--config-file", this.#configFile];
    const daemon = this.#options.notifies
      ? new Daemon("/usr/bin/python3", ["-c", mended, ...args], options)
      : new Daemon(args[0]!, args.slice(1), options);
    this.#daemons.push(daemon);
    return daemon;
  }

  async #launchBackup(): Promise<Daemon> {
    const device = join(this.#folder, "device");
    await writeFile(device, Buffer.alloc(deviceBytes, 1));
    const args = ["-c", backupProgram, device, "--config-file", this.#configFile];
    const daemon = new Daemon("/usr/bin/python3", args, { logFile: join(this.#folder, "cinder-backup.log") });
    this.#daemons.push(daemon);
    return daemon;
  }

  /** How many items the list at `path` has; 0 while it cannot be had. */
  async #count(path: string): Promise<number> {
    const { keystone } = this.#peers;
    const project = await keystone.find("project", "admin");
    const headers = { "x-auth-token": keystone.adminToken };
    const reply = await fetch(`${this.#url}/${project}/${path}`, { headers });
    const [items] = Object.values((await reply.json()) as Readonly<Record<string, readonly unknown[]>>);
    return reply.status === 200 ? items!.length : 0;
  }

  async #configure(port: number, connection: string): Promise<void> {
    const { keystone, messages } = this.#peers;
    const locks = join(this.#folder, "locks");
    const groups: Record<string, ConfigGroups[string]> = {
      DEFAULT: {
        transport_url: messages.transportUrl,
        host: "reference",
        my_ip: "127.0.0.1",
        osapi_volume_listen: "127.0.0.1",
        osapi_volume_listen_port: port,
        osapi_volume_workers: this.#options.apiWorkers ?? 1,
        state_path: join(this.#folder, "state"),
        api_paste_config: "/usr/share/cinder-common/api-paste.ini",
        resource_query_filters_file: "/etc/cinder/resource_filters.json",
        enabled_backends: this.#backends.join(","),
        backup_driver: "cinder.backup.drivers.posix.PosixBackupDriver",
        backup_posix_path: join(this.#folder, "backups"),
        backup_compression_algorithm: "none",
        report_interval: 5,
      },
      database: { connection, max_pool_size: connectionsMax },
      coordination: { backend_url: `file://${locks}` },
      oslo_concurrency: { lock_path: locks },
      oslo_messaging_notifications: { driver: this.#options.notifies ? "messagingv2" : "noop" },
      key_manager: { backend: "cinder.keymgr.conf_key_mgr.ConfKeyManager", fixed_key: "0".repeat(64) },
      keystone_authtoken: {
        auth_type: "password",
        auth_url: keystone.url,
        www_authenticate_uri: keystone.url,
        user_domain_name: "Default",
        project_domain_name: "Default",
        project_name: "service",
        username: user,
        password,
        service_token_roles_required: true,
      },
    };
    for (const name of this.#backends) {
      const driver = "cinder.tests.fake_driver.FakeLoggingVolumeDriver";
      groups[name] = { volume_driver: driver, volume_backend_name: name };
    }
    const merged = new Set([...Object.keys(groups), ...Object.keys(this.#options.config ?? {})]);
    const lines = [...merged].flatMap((group) => [
      `[${group}]`,
      ...Object.entries({ ...groups[group], ...this.#options.config?.[group] }).map(([name, value]) => `${name} = ${value}`),
    ]);
    await writeFile(this.#configFile, `${lines.join("\n")}\n`);
  }
}

export interface Reference {
  readonly cinder: ReferenceCinder;
  /** Its message broker. */
  readonly messages: RabbitMq;
  dispose(): Promise<void>;
}

/** A running Cinder with a database and a message broker of its own, over the caller's Keystone. */
export async function prepareReferenceCinder(keystone: Keystone, options: ReferenceOptions = {}): Promise<Reference> {
  const [database, messages] = await Promise.all([prepareMariaDb(), prepareRabbitMq()]);
  const folder = await mkdtemp(join(tmpdir(), "andiron-cinder-"));
  const cinder = new ReferenceCinder(folder, { keystone, database, messages }, options);
  const dispose = async (): Promise<void> => {
    await cinder.dispose();
    await messages.dispose();
    await database.dispose();
  };
  try {
    await cinder.start();
    return { cinder, messages, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
