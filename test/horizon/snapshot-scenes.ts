// Project > Snapshots, and Admin > Snapshots.

import assert from "node:assert/strict";
import { type Scene, findByName } from "./scene.ts";

const page = "/project/snapshots/";

export const snapshotScenes: readonly Scene[] = [
  {
    name: "create a snapshot",
    async play({ member: { dashboard, storage } }) {
      await storage.createVolume({ name: "pictured" });
      await dashboard.open("/project/volumes/");
      const form = await dashboard.act("pictured", "Create Snapshot");
      await form.fill({ name: "picture", description: "of the beginning" });
      await dashboard.shoot("form");
      await form.submit('Creating volume snapshot "picture"');
      await dashboard.waitForRow("picture", "Available");
      await dashboard.shoot("list");
      const { id } = await findByName(storage, "snapshots", "picture");
      await dashboard.open(`${page}${id}`);
      await dashboard.waitForText("of the beginning");
      await dashboard.shoot("details");
      await dashboard.openTab("Messages");
    },
  },
  {
    name: "edit a snapshot",
    async play({ member: { dashboard, storage } }) {
      await storage.createSnapshot(await storage.createVolume({ name: "v-edit" }), "first");
      await dashboard.open(page);
      const form = await dashboard.act("first", "Edit Snapshot");
      await form.fill({ name: "second", description: "was the first" });
      await dashboard.shoot("form");
      await form.submit('Updating volume snapshot "second"');
      await dashboard.waitForRow("second", "was the first");
    },
  },
  {
    name: "create a volume from the list of snapshots",
    async play({ member: { dashboard, storage } }) {
      const id = await storage.createSnapshot(await storage.createVolume({ name: "v-origin" }), "origin");
      await dashboard.open(page);
      const form = await dashboard.act("origin", "Create Volume");
      await form.fill({ name: "of-origin", size: "2" });
      await dashboard.shoot("form");
      await form.submit('Creating volume "of-origin"');
      await dashboard.waitForRow("of-origin", "Available");
      assert.equal((await findByName(storage, "volumes", "of-origin"))["snapshot_id"], id);
    },
  },
  {
    name: "change a snapshot's metadata",
    async play({ member: { dashboard, storage } }) {
      await storage.createSnapshot(await storage.createVolume({ name: "v-label" }), "with-label");
      await dashboard.open(page);
      const dialog = await dashboard.act("with-label", "Update Metadata");
      await dialog.addMetadata("season", "autumn");
      await dashboard.shoot("dialog");
      await dialog.save();
      assert.deepEqual((await findByName(storage, "snapshots", "with-label"))["metadata"], { season: "autumn" });
    },
  },
  {
    name: "delete a snapshot",
    async play({ member: { dashboard, storage } }) {
      await storage.createSnapshot(await storage.createVolume({ name: "v-gone" }), "gone");
      await dashboard.open(page);
      const question = await dashboard.act("gone", "Delete Volume Snapshot");
      await question.submit("Scheduled deletion of Volume Snapshot: gone");
      await dashboard.waitForNoRow("gone");
      await dashboard.shoot("list");
    },
  },
  {
    name: "set a snapshot's status as the administrator",
    async play({ admin: { dashboard }, member }) {
      await member.storage.createSnapshot(await member.storage.createVolume({ name: "v-reset" }), "reset");
      await dashboard.open("/admin/snapshots/");
      await dashboard.waitForRow("reset", "demo");
      await dashboard.shoot("list");
      const form = await dashboard.act("reset", "Update Status");
      await form.choose("status", "Error");
      await dashboard.shoot("form");
      await form.submit('Successfully updated volume snapshot status: "Error"');
      await dashboard.waitForRow("reset", "Error");
      assert.equal((await findByName(member.storage, "snapshots", "reset"))["status"], "error");
      const { id } = await findByName(member.storage, "snapshots", "reset");
      await dashboard.open(`/admin/snapshots/${id}`);
      await dashboard.shoot("details");
    },
  },
  {
    name: "delete a snapshot as the administrator",
    async play({ admin: { dashboard }, member }) {
      await member.storage.createSnapshot(await member.storage.createVolume({ name: "v-foreign" }), "foreign");
      await dashboard.open("/admin/snapshots/");
      const question = await dashboard.act("foreign", "Delete Volume Snapshot");
      await question.submit("Scheduled deletion of Volume Snapshot: foreign");
      await dashboard.waitForNoRow("foreign");
    },
  },
];
