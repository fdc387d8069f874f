// The cloud of the test of dead peers: Debian's Keystone, Glance, RabbitMQ and Swift around a service that tells what it does and
// backs up to Swift, and how each of them is taken away and brought back.

import { readFile, rm } from "node:fs/promises";
import { type Glance, prepareGlance } from "../../cloud/glance.ts";
import { prepareRabbitMq } from "../../cloud/rabbitmq.ts";
import { type Swift, prepareSwift } from "../../cloud/swift.ts";
import { BlockStorage } from "../../harness/block-storage.ts";
import { type AndironProcess, type ConfigGroups, prepareAndiron } from "../../harness/service.ts";
import { type Keystone, password, prepareKeystone } from "../../keystone/keystone.ts";
import { Gate } from "../../notifications/gate.ts";
import type { ImageStore, StoredImage } from "../long-work/image-store.ts";
import { backupsOf } from "../outside/look.ts";

/**
 * gone: the process is killed, or its port leads nowhere and what was connected is broken off. hanging: SIGSTOP; connections are
 * made and stay, and nothing comes of them.
 */
export type Absence = "gone" | "hanging";
export const absences: readonly Absence[] = ["gone", "hanging"];

export const peerNames = ["Keystone", "Glance", "RabbitMQ", "Swift"] as const;

export interface Peer {
  readonly name: (typeof peerNames)[number];
  leave(how: Absence): Promise<void>;
  comeBack(how: Absence): Promise<void>;
}

export interface PeerCloud {
  readonly service: AndironProcess;
  readonly api: BlockStorage;
  readonly images: ImageStore;
  /** The backup's id of each object in Swift. */
  readonly stored: () => Promise<readonly string[]>;
  readonly peers: readonly Peer[];
  dispose(): Promise<void>;
}

const swiftUser = "test:tester";
const swiftKey = "testing";

export async function preparePeerCloud(config: ConfigGroups): Promise<PeerCloud> {
  const parts: { dispose(): Promise<void> }[] = [];
  const keep = <T extends { dispose(): Promise<void> }>(part: T): T => {
    parts.unshift(part);
    return part;
  };
  const dispose = async (): Promise<void> => {
    for (const part of parts.splice(0)) await part.dispose();
  };
  try {
    const keystone = keep(await prepareKeystone());
    const broker = keep(await prepareRabbitMq());
    const glance = keep(await prepareGlance({ keystone, broker }));
    const swift = keep(await prepareSwift());
    const swiftPort = Number(new URL(swift.url).port);
    const [gate, swiftGate] = [await Gate.open(broker.port), await Gate.open(swiftPort)];
    for (const one of [gate, swiftGate]) keep({ dispose: () => one.close() });
    await keystone.grant("andiron", "service", "service", "admin");
    const service = keep(
      await prepareAndiron({
        ...config,
        DEFAULT: {
          ...config["DEFAULT"],
          auth_strategy: "keystone",
          glance_api_servers: glance.url,
          backup_driver: "swift",
          backup_swift_auth_version: "1",
          backup_swift_auth_url: `http://127.0.0.1:${swiftGate.port}/auth/v1.0`,
          backup_swift_user: swiftUser,
          backup_swift_key: swiftKey,
        },
        keystone_authtoken: { auth_url: keystone.url, username: "andiron", password, http_connect_timeout: 2 },
        oslo_messaging_notifications: {
          driver: "messagingv2",
          transport_url: broker.transportUrl.replace(`:${broker.port}/`, `:${gate.port}/`),
        },
        oslo_messaging_rabbit: { rabbit_interval_max: 2, heartbeat_timeout_threshold: 4 },
      }),
    );
    await service.start(180_000);
    const project = await keystone.find("project", "admin");
    const api = new BlockStorage(service, { project, token: keystone.adminToken });
    const peers: Peer[] = [
      peerOf("Keystone", keystone, { leave: () => keystone.stop(), comeBack: () => keystone.startAgain() }),
      peerOf("Glance", glance, { leave: () => glance.stop(), comeBack: () => glance.startAgain() }),
      peerOf("Swift", swift, { leave: () => swiftGate.cut(), comeBack: () => swiftGate.leadTo(swiftPort) }),
      peerOf("RabbitMQ", broker, { leave: () => gate.cut(), comeBack: () => gate.leadTo(broker.port) }),
    ];
    const images = new GlanceStore(keystone, glance);
    return { service, api, images, stored: () => listStored(swift), peers, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

interface Suspendable {
  suspend(): void;
  resume(): void;
}

interface Removable {
  leave(): Promise<void> | void;
  comeBack(): Promise<void> | void;
}

function peerOf(name: Peer["name"], process: Suspendable, going: Removable): Peer {
  return {
    name,
    leave: async (how) => (how === "gone" ? going.leave() : process.suspend()),
    comeBack: async (how) => (how === "gone" ? going.comeBack() : process.resume()),
  };
}

async function listStored({ url }: Swift): Promise<string[]> {
  const asked = await fetch(`${url}/auth/v1.0`, { headers: { "x-storage-user": swiftUser, "x-storage-pass": swiftKey } });
  const headers = { "x-auth-token": asked.headers.get("x-auth-token") ?? "" };
  const listed = await fetch(`${asked.headers.get("x-storage-url")}/volumebackups?limit=10000`, { headers });
  // Before the first backup there is no container.
  if (listed.status === 404) return [];
  if (!listed.ok) throw new Error(`Swift answers ${listed.status} to a listing`);
  return backupsOf((await listed.text()).split("\n"));
}

class GlanceStore implements ImageStore {
  readonly #keystone: Keystone;
  readonly #glance: Glance;

  constructor(keystone: Keystone, glance: Glance) {
    this.#keystone = keystone;
    this.#glance = glance;
  }

  async offer(path: string, format: string): Promise<string> {
    const bytes = await readFile(path);
    await rm(path);
    return this.#glance.createPublicImage({ name: "offered", bytes, format });
  }

  async list(): Promise<readonly StoredImage[]> {
    const reply = await this.#send("GET", "/v2/images?limit=1000");
    return ((await reply.json()) as { images: StoredImage[] }).images;
  }

  pathOf(id: string): string {
    return this.#glance.pathOf(id);
  }

  async delete(id: string): Promise<void> {
    const { status } = await this.#send("DELETE", `/v2/images/${id}`);
    if (status !== 204) throw new Error(`Glance answers ${status} to the delete of image ${id}`);
  }

  #send(method: string, path: string): Promise<Response> {
    return fetch(`${this.#glance.url}${path}`, { method, headers: { "x-auth-token": this.#keystone.adminToken } });
  }
}
