// Pages of the cloud in which volumes have a part: the overview, quotas and their defaults, the services of the system.

import assert from "node:assert/strict";
import type { Scene } from "./scene.ts";

type ClassQuotas = Readonly<Record<"quota_class_set", Readonly<Record<string, number>>>>;
type Quotas = Readonly<Record<"quota_set", Readonly<Record<string, number>>>>;

export const cloudScenes: readonly Scene[] = [
  {
    name: "the overview of a project",
    async play({ member: { dashboard, storage } }) {
      await storage.createVolume({ name: "counted", size: 5 });
      await dashboard.open("/project/");
      await dashboard.waitForText("Volume Storage");
      await dashboard.shoot("overview");
    },
  },
  {
    name: "the block storage services",
    async play({ admin: { dashboard } }) {
      await dashboard.open("/admin/info/");
      await dashboard.openTab("Block Storage Services");
      await dashboard.waitForRow("cinder-scheduler", "Enabled");
      await dashboard.waitForRow("cinder-volume", "Up");
      await dashboard.shoot("services");
    },
  },
  {
    name: "the default quotas",
    async play({ admin: { dashboard, storage } }) {
      const read = async (): Promise<number> =>
        (await storage.call<ClassQuotas>("GET", "/os-quota-class-sets/default")).quota_class_set["snapshots"]!;
      const before = await read();
      await dashboard.open("/admin/defaults/");
      await dashboard.openTab("Volume Quotas");
      await dashboard.waitForRow("Volume Snapshots", String(before));
      await dashboard.shoot("list");
      const form = await dashboard.press("Update Defaults");
      await form.openTab("Volume");
      await form.fill({ snapshots: "17" });
      await dashboard.shoot("form");
      await form.submit("Default quotas updated.");
      assert.equal(await read(), 17);
      await storage.call("PUT", "/os-quota-class-sets/default", { quota_class_set: { snapshots: before } });
    },
  },
  {
    name: "the quotas of a project",
    async play({ admin: { dashboard, storage }, cloud }) {
      const project = await cloud.keystone.find("project", "demo");
      await dashboard.open("/identity/");
      const form = await dashboard.act("demo", "Modify Quotas");
      await form.openTab("Volume");
      await form.fill({ volumes: "23" });
      await dashboard.shoot("form");
      await form.submit("Modified quotas of project");
      const { quota_set: quotas } = await storage.call<Quotas>("GET", `/os-quota-sets/${project}`);
      assert.equal(quotas["volumes"], 23);
      await storage.call("PUT", `/os-quota-sets/${project}`, { quota_set: { volumes: -1 } });
    },
  },
];
