// What kinds of long work do with volumes, by their names.

import assert from "node:assert/strict";
import type { Volume } from "../../harness/block-storage.ts";
import type { Ending, Rig } from "./work.ts";

export interface ShownVolume extends Volume {
  readonly migration_status: string | null;
  readonly bootable: string;
  readonly volume_type: string;
  readonly "os-vol-host-attr:host": string;
}

/** The volume of that name; undefined when there is none. */
export async function findVolume({ api }: Rig, name: string): Promise<ShownVolume | undefined> {
  const { volumes } = await api.call<{ volumes: ShownVolume[] }>("GET", `/volumes/detail?name=${name}`);
  assert.ok(volumes.length < 2, `there are ${volumes.length} volumes ${name}`);
  return volumes[0];
}

/** An error is clear when a message says why. */
export async function clearError({ api }: Rig, resourceId: string): Promise<Ending> {
  const path = `/messages?resource_uuid=${resourceId}`;
  const { messages } = await api.call<{ messages: { id: string; user_message: string }[] }>("GET", path);
  assert.ok(messages.length > 0, `${resourceId} is in error, and nothing says why`);
  for (const { id } of messages) await api.call("DELETE", `/messages/${id}`);
  return "error";
}

/** "pool" of "host@pool#pool". */
export const poolOf = (volume: ShownVolume): string => volume["os-vol-host-attr:host"].split("#")[1]!;

export const isMoving = ({ migration_status: status }: ShownVolume): boolean =>
  ["starting", "migrating", "completing"].includes(status ?? "");
