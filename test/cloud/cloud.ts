// A small OpenStack of Debian's services around Andiron: Keystone, RabbitMQ and Glance, and the service of this checkout with
// two vPools, all of them in Keystone's catalogue. Private as its parts are; ends with dispose(), and with the test's process.

import { type AndironProcess, type ConfigGroups, prepareAndiron } from "../harness/service.ts";
import { type Keystone, password, prepareKeystone } from "../keystone/keystone.ts";
import { type Glance, prepareGlance } from "./glance.ts";
import { type RabbitMq, prepareRabbitMq } from "./rabbitmq.ts";

/** The vPools, which are backends' names to the cloud. */
export const poolNames: readonly string[] = ["vpool1", "vpool2"];

export interface Cloud {
  readonly keystone: Keystone;
  readonly broker: RabbitMq;
  readonly glance: Glance;
  readonly andiron: AndironProcess;
  /** What servers are made of, where there is Nova (nova-cloud.ts). */
  readonly servers?: ServerParts;
  dispose(): Promise<void>;
}

export interface ServerParts {
  /** Ids of two flavors. */
  readonly flavors: readonly [string, string];
  /** How many hosts they can run on. */
  readonly hosts: number;
  /** A raw disk image that boots. */
  readonly guestImage: Uint8Array;
}

/** What `config` gives goes over Andiron's configuration in this cloud. */
export async function prepareCloud(config: (keystone: Keystone) => ConfigGroups = () => ({})): Promise<Cloud> {
  const parts: { dispose(): Promise<void> }[] = [];
  const keep = async <T extends { dispose(): Promise<void> }>(preparing: Promise<T>): Promise<T> => {
    const part = await preparing;
    parts.unshift(part);
    return part;
  };
  const dispose = async (): Promise<void> => {
    for (const part of parts.splice(0)) await part.dispose();
  };
  const started = await Promise.allSettled([keep(prepareKeystone()), keep(prepareRabbitMq())]);
  try {
    const [keystone, broker] = [valueOf(started[0]), valueOf(started[1])];
    const glance = await keep(prepareGlance({ keystone, broker }));
    const andiron = await keep(prepareAndiron(configure(keystone, config(keystone))));
    await keystone.grant("andiron", "service", "service");
    await andiron.start();
    const { host, port } = andiron.endpoints.api;
    await keystone.publish("block-storage", `http://${host}:${port}/v3/$(project_id)s`);
    return { keystone, broker, glance, andiron, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function configure(keystone: Keystone, config: ConfigGroups): ConfigGroups {
  const pools = poolNames.map((name) => [name, { volume_backend_name: name }] as const);
  const groups: ConfigGroups = {
    DEFAULT: { auth_strategy: "keystone", enabled_backends: poolNames.join(","), backup_driver: "posix" },
    keystone_authtoken: { auth_url: keystone.url, username: "andiron", password, service_type: "block-storage" },
    ...Object.fromEntries(pools),
  };
  const names = new Set([...Object.keys(groups), ...Object.keys(config)]);
  return Object.fromEntries([...names].map((name) => [name, { ...groups[name], ...config[name] }]));
}

function valueOf<T>(result: PromiseSettledResult<T>): T {
  if (result.status === "rejected") throw result.reason;
  return result.value;
}
