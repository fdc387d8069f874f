// A scene: one thing that a user of the dashboard does, with what must then be so, on the pages and in the service. A scene makes
// by the API what it begins with, and leaves what it made: its names are its own.

import { setTimeout as sleep } from "node:timers/promises";
import type { BlockStorage } from "../harness/block-storage.ts";
import type { Cloud } from "../cloud/cloud.ts";
import type { Dashboard } from "./dashboard.ts";

export interface Scene {
  readonly name: string;
  /** It is played only where there is Nova with a host. */
  readonly needsServers?: true;
  play(stage: Stage): Promise<void>;
}

/** Somebody at the dashboard, and the API with the same rights. */
export interface Actor {
  readonly dashboard: Dashboard;
  readonly storage: BlockStorage;
}

export interface Stage {
  /** A member of the project "demo". */
  readonly member: Actor;
  /** The administrator, in the project "admin". */
  readonly admin: Actor;
  readonly cloud: Cloud;
  readonly image: TestImage;
}

/** An image that every project sees. */
export interface TestImage {
  readonly id: string;
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface Found {
  readonly id: string;
  readonly [field: string]: unknown;
}

/** What the collection has of that name, with all details; rejects when it has not exactly one. */
export async function findByName(storage: BlockStorage, collection: string, name: string): Promise<Found> {
  const detail = detailed.has(collection) ? "/detail" : "";
  const key = collection.replaceAll("-", "_");
  const body = await storage.call<Record<string, readonly Found[]>>(
    "GET",
    `/${collection}${detail}?name=${encodeURIComponent(name)}`,
  );
  const found = (body[key] ?? []).filter((each) => each["name"] === name);
  if (found.length !== 1) throw new Error(`there are ${found.length} of ${collection} with the name ${name}`);
  return found[0]!;
}

const detailed = new Set(["volumes", "snapshots", "backups", "groups", "group_snapshots"]);

/** Makes one in the collection, and waits until it is available; resolves with its id. */
export async function createAvailable(storage: BlockStorage, collection: string, body: unknown): Promise<string> {
  const made = await storage.call<Record<string, Found>>("POST", `/${collection}`, body);
  const [key, { id }] = Object.entries(made)[0]!;
  for (;;) {
    const status = (await storage.call<Record<string, Found>>("GET", `/${collection}/${id}`))[key]!["status"];
    if (status === "available") return id;
    if (status !== "creating") throw new Error(`the ${key} ${id} is ${String(status)}`);
    await sleep(50);
  }
}
