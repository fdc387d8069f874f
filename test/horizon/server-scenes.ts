// Volumes and servers: attached, given back, and booted from.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Found, Scene, Stage } from "./scene.ts";

const page = "/project/volumes/";

export const serverScenes: readonly Scene[] = [
  {
    name: "attach a volume to a server and detach it",
    needsServers: true,
    async play(stage) {
      const { dashboard, storage } = stage.member;
      await createServer(stage, "host-of-disks");
      const volume = await storage.createVolume({ name: "plugged" });
      await dashboard.open(page);
      const form = await dashboard.act("plugged", "Manage Attachments");
      await form.choose("instance", "host-of-disks");
      await dashboard.shoot("attach");
      await form.submit("Attaching volume plugged to instance host-of-disks");
      await dashboard.waitForRow("plugged", "In-use");
      await dashboard.waitForRow("plugged", "/dev/vdb on host-of-disks");
      await dashboard.shoot("attached");
      await dashboard.open(`${page}${volume}/`);
      await dashboard.waitForText("Attached to host-of-disks on /dev/vdb");
      await dashboard.shoot("details");
      await dashboard.open(page);
      await dashboard.act("plugged", "Manage Attachments");
      const question = await dashboard.act("host-of-disks", "Detach Volume");
      await dashboard.shoot("detach");
      await question.submit("Detaching Volume: Volume plugged on instance host-of-disks");
      await dashboard.waitForRow("plugged", "Available");
      await dashboard.shoot("detached");
    },
  },
  {
    name: "the list of all volumes with a server's",
    needsServers: true,
    async play(stage) {
      const { member, admin } = stage;
      const server = await createServer(stage, "keeps-a-disk");
      const volume = await member.storage.createVolume({ name: "held" });
      await askNova(stage, "POST", `/servers/${server}/os-volume_attachments`, { volumeAttachment: { volumeId: volume } });
      await member.storage.waitForStatus("volumes", volume, "in-use");
      await admin.dashboard.open("/admin/volumes/");
      await admin.dashboard.waitForRow("held", "/dev/vdb on keeps-a-disk");
      await admin.dashboard.shoot("list");
      assert.ok(!(await admin.dashboard.actionsOf("held")).includes("Delete Volume"));
    },
  },
];

/** A server of the guest's image, without networks; resolves with its id when it is active. */
async function createServer(stage: Stage, name: string): Promise<string> {
  const { cloud, image } = stage;
  const body = { server: { name, imageRef: image.id, flavorRef: cloud.servers!.flavors[0], networks: "none" } };
  const { server } = await askNova<{ server: Found }>(stage, "POST", "/servers", body);
  for (;;) {
    const { status } = (await askNova<{ server: Found }>(stage, "GET", `/servers/${server.id}`)).server;
    if (status === "ACTIVE") return server.id;
    if (status !== "BUILD") throw new Error(`the server ${name} is ${String(status)}`);
    await sleep(500);
  }
}

async function askNova<T>({ cloud: { keystone } }: Stage, method: string, path: string, body?: unknown): Promise<T> {
  const token = await keystone.issue("ann", "demo");
  const [service] = (await keystone.send("GET", "/services?type=compute")).body["services"] as unknown as readonly Found[];
  const endpoints = await keystone.send("GET", `/endpoints?service_id=${service!.id}&interface=public`);
  const [endpoint] = endpoints.body["endpoints"] as unknown as readonly Found[];
  const reply = await fetch(`${String(endpoint!["url"])}${path}`, {
    method,
    headers: { "content-type": "application/json", "x-auth-token": token, "openstack-api-version": "compute 2.37" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!reply.ok) throw new Error(`Nova answers ${reply.status} to ${method} ${path}: ${await reply.text()}`);
  return (await reply.json()) as T;
}
