// The surroundings of the API's benchmark: one Keystone, Andiron and Debian's Cinder behind it, each asked as the same member
// of the same project with the same token. Everything ends with dispose(), and with the benchmark's process.

import { prepareReferenceCinder, type Reference } from "../test/cloud/reference-cinder.ts";
import { type AndironProcess, prepareAndiron } from "../test/harness/service.ts";
import { type Keystone, password, prepareKeystone } from "../test/keystone/keystone.ts";
import { ApiTarget } from "./api-target.ts";
import { ourName } from "./target.ts";

/** Of cinder-api, one for each core, as an operator would have it here. */
const peerWorkers = 2;
const peerName = "Cinder 21.3";
const user = "bencher";
const project = "bench";

export interface ApiLabOptions {
  readonly withPeer: boolean;
  readonly say: (line: string) => void;
}

export class ApiLab {
  /** Ours first. */
  readonly targets: ApiTarget[] = [];
  readonly #keystone: Keystone;
  readonly #token: string;
  readonly #projectId: string;
  readonly #services = new Map<ApiTarget, AndironProcess>();
  #peer: Reference | undefined;

  constructor(keystone: Keystone, token: string, projectId: string) {
    this.#keystone = keystone;
    this.#token = token;
    this.#projectId = projectId;
  }

  async start({ withPeer, say }: ApiLabOptions): Promise<void> {
    if (!withPeer) return;
    this.targets.push(await this.openFresh());
    say(`starting ${peerName}`);
    this.#peer = await prepareReferenceCinder(this.#keystone, { apiWorkers: peerWorkers });
    this.targets.push(await this.#target(peerName, this.#peer.cinder.url));
  }

  /** A new Andiron, durable as it is shipped, with nothing in it. */
  async openFresh(): Promise<ApiTarget> {
    const service = await prepareAndiron({
      DEFAULT: { auth_strategy: "keystone" },
      engine: { main_thread_nice: 0 }, // Cinder does not go first either
      vpool1: { max_over_subscription_ratio: 1_000_000 }, // a crowd of empty volumes is larger than any disk
      keystone_authtoken: {
        auth_url: this.#keystone.url,
        www_authenticate_uri: this.#keystone.url,
        username: "andiron",
        password,
      },
    });
    try {
      await service.start();
      const { host, port } = service.endpoints.api;
      const target = await this.#target(ourName, `http://${host}:${port}/v3`);
      this.#services.set(target, service);
      return target;
    } catch (error) {
      await service.dispose();
      throw error;
    }
  }

  /** Memory of Andiron's process, with everything that is in it. */
  async residentBytes(target: ApiTarget): Promise<number> {
    const reply = await fetch(new URL("/metrics", target.url));
    const bytes = Number(/^process_resident_memory_bytes (\d+)$/m.exec(await reply.text())?.[1]);
    if (!(bytes > 0)) throw new Error("the metrics do not say how much memory there is");
    return bytes;
  }

  async stopPeer(): Promise<void> {
    await this.#peer?.dispose();
    this.#peer = undefined;
  }

  async dispose(): Promise<void> {
    for (const target of this.targets) await target.close();
    for (const service of this.#services.values()) await service.dispose();
    await this.stopPeer();
    await this.#keystone.dispose();
  }

  async #target(name: string, url: string): Promise<ApiTarget> {
    const target = new ApiTarget(name, `${url}/${this.#projectId}`, this.#token);
    await target.liftQuotas(this.#projectId);
    return target;
  }
}

/** Starts what is to be measured. */
export async function openApiLab(options: ApiLabOptions): Promise<ApiLab> {
  options.say("starting Keystone");
  const keystone = await prepareKeystone();
  let lab: ApiLab | undefined;
  try {
    await keystone.grant("andiron", "service", "service");
    await keystone.grant(user, project, "admin");
    lab = new ApiLab(keystone, await keystone.issue(user, project), await keystone.find("project", project));
    await lab.start(options);
    return lab;
  } catch (error) {
    if (lab === undefined) await keystone.dispose();
    else await lab.dispose();
    throw error;
  }
}
