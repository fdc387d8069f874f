// Admin > Volumes: what an administrator sees of all projects' volumes, and does with them.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { poolNames } from "../cloud/cloud.ts";
import { type Scene, findByName } from "./scene.ts";

const page = "/admin/volumes/";
const hostField = "os-vol-host-attr:host";

export const adminVolumeScenes: readonly Scene[] = [
  {
    name: "the volumes of all projects",
    async play({ admin: { dashboard, storage }, member }) {
      const id = await member.storage.createVolume({ name: "of-demo" });
      await storage.createVolume({ name: "of-admin" });
      await dashboard.open(page);
      await dashboard.waitForRow("of-demo", "demo");
      await dashboard.waitForRow("of-admin", "admin");
      await dashboard.shoot("list");
      await dashboard.open(`${page}${id}/`);
      await dashboard.waitForText(id);
      await dashboard.shoot("details");
    },
  },
  {
    name: "find volumes as the administrator",
    async play({ admin: { dashboard }, member }) {
      await member.storage.createVolume({ name: "sought" });
      await dashboard.open(page);
      await dashboard.ask("Status =", "available");
      await dashboard.waitForRow("sought", "Available");
      await dashboard.shoot("by-status");
      await dashboard.ask("Volume Name =", "sought");
      await dashboard.waitForRow("sought", "Available");
      await dashboard.shoot("by-name");
      await dashboard.ask("Status =", "error");
      await dashboard.waitForNoRow("sought");
      await dashboard.ask("Status =", "");
    },
  },
  {
    name: "set a volume's status",
    async play({ admin: { dashboard }, member }) {
      await member.storage.createVolume({ name: "maintained" });
      await dashboard.open(page);
      const form = await dashboard.act("maintained", "Update Volume Status");
      await form.choose("status", "Maintenance");
      await dashboard.shoot("form");
      await form.submit('Successfully updated volume status to "Maintenance"');
      await dashboard.waitForRow("maintained", "Maintenance");
      assert.equal((await findByName(member.storage, "volumes", "maintained"))["status"], "maintenance");
      await dashboard.shoot("list");
    },
  },
  {
    name: "migrate a volume to another pool",
    async play({ admin, member }) {
      const id = await member.storage.createVolume({ name: "migrant" });
      const before = await hostOf(admin.storage, id);
      const other = poolNames.find((name) => !before.includes(name))!;
      const { dashboard } = admin;
      await dashboard.open(page);
      const form = await dashboard.act("migrant", "Migrate Volume");
      const target = (await form.choices("host")).find((choice) => choice.includes(other))!;
      await form.choose("host", target);
      await dashboard.shoot("form");
      await form.submit("Successfully sent the request to migrate volume: migrant");
      // The dashboard does not ask again for what is available, and so is the volume all the time.
      while ((await hostOf(admin.storage, id)) !== target) await sleep(200);
      await dashboard.open(page);
      await dashboard.waitForRow("migrant", other);
      await dashboard.shoot("list");
    },
  },
  {
    name: "unmanage a volume and manage it again",
    async play({ admin, member }) {
      const id = await member.storage.createVolume({ name: "released" });
      const host = await hostOf(admin.storage, id);
      const { dashboard } = admin;
      await dashboard.open(page);
      const release = await dashboard.act("released", "Unmanage Volume");
      await dashboard.shoot("unmanage");
      await release.submit("Successfully sent the request to unmanage volume: released");
      await dashboard.waitForNoRow("released");
      const form = await dashboard.press("Manage Volume");
      await form.fill({ identifier: `volume-${id}`, host, name: "taken-back", metadata: "was=released" });
      await dashboard.shoot("manage");
      await form.submit("Successfully sent the request to manage volume: taken-back");
      await dashboard.waitForRow("taken-back", "Available");
      assert.deepEqual((await findByName(admin.storage, "volumes", "taken-back"))["metadata"], { was: "released" });
    },
  },
  {
    name: "change a volume's metadata as the administrator",
    async play({ admin: { dashboard }, member }) {
      await member.storage.createVolume({ name: "tagged" });
      await dashboard.open(page);
      const dialog = await dashboard.act("tagged", "Update Metadata");
      await dialog.addMetadata("tag", "blue");
      await dialog.save();
      assert.deepEqual((await findByName(member.storage, "volumes", "tagged"))["metadata"], { tag: "blue" });
    },
  },
  {
    name: "delete a volume as the administrator",
    async play({ admin: { dashboard }, member }) {
      await member.storage.createVolume({ name: "unwanted" });
      await dashboard.open(page);
      const question = await dashboard.act("unwanted", "Delete Volume");
      await question.submit("Scheduled deletion of Volume: unwanted");
      await dashboard.waitForNoRow("unwanted");
      await dashboard.shoot("list");
    },
  },
];

async function hostOf(storage: { call<T>(method: string, path: string): Promise<T> }, id: string): Promise<string> {
  const { volume } = await storage.call<{ volume: Record<string, string> }>("GET", `/volumes/${id}`);
  return volume[hostField]!;
}
