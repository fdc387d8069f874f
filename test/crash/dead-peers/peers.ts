// The cloud of the test of dead peers: Debian's Keystone, Glance and RabbitMQ around a service that tells what it does, and how
// each of them is taken away and brought back.

import { readFile, rm } from "node:fs/promises";
import { type Glance, prepareGlance } from "../../cloud/glance.ts";
import { prepareRabbitMq } from "../../cloud/rabbitmq.ts";
import { BlockStorage } from "../../harness/block-storage.ts";
import { type AndironProcess, type ConfigGroups, prepareAndiron } from "../../harness/service.ts";
import { type Keystone, password, prepareKeystone } from "../../keystone/keystone.ts";
import { Gate } from "../../notifications/gate.ts";
import type { ImageStore, StoredImage } from "../long-work/image-store.ts";

/** gone: the process is killed. hanging: SIGSTOP; connections are made and stay, and nothing comes of them. */
export type Absence = "gone" | "hanging";
export const absences: readonly Absence[] = ["gone", "hanging"];

export const peerNames = ["Keystone", "Glance", "RabbitMQ"] as const;

export interface Peer {
  readonly name: (typeof peerNames)[number];
  leave(how: Absence): Promise<void>;
  comeBack(how: Absence): Promise<void>;
}

export interface PeerCloud {
  readonly service: AndironProcess;
  readonly api: BlockStorage;
  readonly images: ImageStore;
  readonly peers: readonly Peer[];
  dispose(): Promise<void>;
}

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
    const gate = await Gate.open(broker.port);
    keep({ dispose: () => gate.close() });
    await keystone.grant("andiron", "service", "service", "admin");
    const service = keep(
      await prepareAndiron({
        ...config,
        DEFAULT: { ...config["DEFAULT"], auth_strategy: "keystone", glance_api_servers: glance.url },
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
      peerOf("RabbitMQ", broker, { leave: () => gate.cut(), comeBack: () => gate.leadTo(broker.port) }),
    ];
    return { service, api, images: new GlanceStore(keystone, glance), peers, dispose };
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
