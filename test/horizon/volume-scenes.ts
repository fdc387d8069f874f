// Project > Volumes: making volumes of everything that they can be made of.

import assert from "node:assert/strict";
import { type Scene, findByName } from "./scene.ts";

const page = "/project/volumes/";

export const volumeScenes: readonly Scene[] = [
  {
    name: "create an empty volume",
    async play({ member: { dashboard, storage } }) {
      await dashboard.open(page);
      const form = await dashboard.press("Create Volume");
      await form.fill({ name: "empty", description: "of nothing", size: "2" });
      await dashboard.shoot("form");
      await form.submit('Creating volume "empty"');
      await dashboard.waitForRow("empty", "Available");
      await dashboard.shoot("list");
      const volume = await findByName(storage, "volumes", "empty");
      assert.equal(volume["size"], 2);
      await dashboard.open(`${page}${volume.id}/`);
      await dashboard.waitForText("of nothing");
      await dashboard.shoot("details");
    },
  },
  {
    name: "create a volume of an image",
    async play({ member: { dashboard, storage }, image }) {
      await dashboard.open(page);
      const form = await dashboard.press("Create Volume");
      await form.fill({ name: "imaged" });
      await form.choose("volume_source_type", "Image");
      await form.choose("image_source", image.name);
      await dashboard.shoot("form");
      await form.submit('Creating volume "imaged"');
      await dashboard.waitForRow("imaged", "Available");
      await dashboard.shoot("list");
      const volume = await findByName(storage, "volumes", "imaged");
      assert.equal((volume["volume_image_metadata"] as Record<string, string>)["image_id"], image.id);
      await dashboard.open(`${page}${volume.id}/`);
      await dashboard.waitForText(image.name);
      await dashboard.shoot("details");
    },
  },
  {
    name: "create a volume of a volume",
    async play({ member: { dashboard, storage } }) {
      const source = await storage.createVolume({ name: "model" });
      await dashboard.open(page);
      const form = await dashboard.press("Create Volume");
      await form.fill({ name: "cloned" });
      await form.choose("volume_source_type", "Volume");
      await form.choose("volume_source", "model");
      await dashboard.shoot("form");
      await form.submit('Creating volume "cloned"');
      await dashboard.waitForRow("cloned", "Available");
      assert.equal((await findByName(storage, "volumes", "cloned"))["source_volid"], source);
    },
  },
  {
    name: "create a volume of a snapshot",
    async play({ member: { dashboard, storage } }) {
      const snapshot = await storage.createSnapshot(await storage.createVolume({ name: "kept" }), "kept-then");
      await dashboard.open(page);
      const form = await dashboard.press("Create Volume");
      await form.fill({ name: "of-then" });
      await form.choose("volume_source_type", "Snapshot");
      await form.choose("snapshot_source", "kept-then");
      await dashboard.shoot("form");
      await form.submit('Creating volume "of-then"');
      await dashboard.waitForRow("of-then", "Available");
      assert.equal((await findByName(storage, "volumes", "of-then"))["snapshot_id"], snapshot);
    },
  },
  {
    name: "create a volume of a type in a zone",
    async play({ member: { dashboard, storage }, admin }) {
      await admin.storage.call("POST", "/types", { volume_type: { name: "chosen", description: "to be chosen" } });
      await dashboard.open(page);
      const form = await dashboard.press("Create Volume");
      await form.fill({ name: "typed" });
      await form.choose("type", "chosen");
      assert.deepEqual(await form.choices("availability_zone"), ["nova"]);
      await dashboard.shoot("form");
      await form.submit('Creating volume "typed"');
      await dashboard.waitForRow("typed", "Available");
      assert.equal((await findByName(storage, "volumes", "typed"))["volume_type"], "chosen");
    },
  },
  {
    name: "a volume that is too large is refused in the form",
    async play({ member: { dashboard, storage }, admin, cloud }) {
      const project = await cloud.keystone.find("project", "demo");
      const setQuota = (gigabytes: number): Promise<unknown> =>
        admin.storage.call("PUT", `/os-quota-sets/${project}`, { quota_set: { gigabytes } });
      await setQuota(200);
      try {
        await dashboard.open(page);
        const form = await dashboard.press("Create Volume");
        await form.fill({ name: "huge", size: "1000" });
        await form.submit("cannot be created as you only have");
        await dashboard.shoot("refused");
      } finally {
        await setQuota(-1);
      }
      await assert.rejects(findByName(storage, "volumes", "huge"));
    },
  },
  {
    name: "find volumes by their names",
    async play({ member: { dashboard, storage } }) {
      for (const name of ["needle", "haystack-1", "haystack-2"]) await storage.createVolume({ name });
      await dashboard.open(page);
      await dashboard.filter("volumes", "needle");
      await dashboard.waitForRow("needle", "Available");
      await dashboard.row("haystack-1").waitFor({ state: "hidden" });
      await dashboard.shoot("found");
    },
  },
  {
    name: "turn the pages of many volumes",
    async play({ member: { dashboard, storage } }) {
      for (let number = 1; number <= 21; number++)
        await storage.createVolume({ name: `many-${String(number).padStart(2, "0")}` });
      await dashboard.open(page);
      await dashboard.waitForRow("many-21", "Available");
      await dashboard.shoot("first");
      await dashboard.turn("Next");
      await dashboard.waitForRow("many-01", "Available");
      await dashboard.shoot("second");
      await dashboard.turn("Prev");
      await dashboard.waitForRow("many-21", "Available");
      for (const { id, name } of await storage.volumes()) {
        if (name?.startsWith("many-")) await storage.delete("volumes", id);
      }
    },
  },
];
