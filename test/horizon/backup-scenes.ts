// Project > Backups, and Admin > Backups.

import assert from "node:assert/strict";
import type { BlockStorage } from "../harness/block-storage.ts";
import { type Scene, createAvailable, findByName } from "./scene.ts";

const page = "/project/backups/";

export const backupScenes: readonly Scene[] = [
  {
    name: "create a backup",
    async play({ member: { dashboard, storage } }) {
      await storage.createVolume({ name: "precious" });
      await dashboard.open("/project/volumes/");
      const form = await dashboard.act("precious", "Create Backup");
      await form.fill({ name: "kept-safe", description: "of the first day" });
      await dashboard.shoot("form");
      await form.submit('Creating volume backup "kept-safe"');
      await dashboard.waitForRow("kept-safe", "Available");
      await dashboard.shoot("list");
      const { id } = await findByName(storage, "backups", "kept-safe");
      await dashboard.open(`${page}${id}/`);
      await dashboard.waitForText("of the first day");
      await dashboard.shoot("details");
    },
  },
  {
    name: "create an incremental backup",
    async play({ member: { dashboard, storage } }) {
      const volume = await storage.createVolume({ name: "changing" });
      await createBackup(storage, volume, "whole");
      await dashboard.open("/project/volumes/");
      const form = await dashboard.act("changing", "Create Backup");
      await form.fill({ name: "difference" });
      await form.check("incremental");
      await dashboard.shoot("form");
      await form.submit('Creating volume backup "difference"');
      await dashboard.waitForRow("difference", "Available");
      assert.equal((await findByName(storage, "backups", "difference"))["is_incremental"], true);
    },
  },
  {
    name: "create a backup of a snapshot",
    async play({ member: { dashboard, storage } }) {
      const snapshot = await storage.createSnapshot(await storage.createVolume({ name: "v-moment" }), "moment");
      await dashboard.open("/project/snapshots/");
      const form = await dashboard.act("moment", "Create Backup");
      await form.fill({ name: "of-moment" });
      await dashboard.shoot("form");
      await form.submit('Creating volume backup "of-moment"');
      await dashboard.waitForRow("of-moment", "Available");
      await dashboard.shoot("list");
      assert.equal((await findByName(storage, "backups", "of-moment"))["snapshot_id"], snapshot);
    },
  },
  {
    name: "restore a backup to a new volume",
    async play({ member: { dashboard, storage } }) {
      await createBackup(storage, await storage.createVolume({ name: "v-restored" }), "restored");
      await dashboard.open(page);
      const form = await dashboard.act("restored", "Restore Backup");
      await form.choose("volume_id", "Create a New Volume");
      await dashboard.shoot("form");
      const message = await form.submit("Request for restoring backup restored");
      const volume = / to volume with id: (\S+) /.exec(message)![1]!;
      await storage.waitForStatus("volumes", volume, "available");
      await dashboard.open(`/project/volumes/${volume}/`);
      await dashboard.waitForText("v-restored");
      await dashboard.shoot("volume");
    },
  },
  {
    name: "restore a backup over its volume",
    async play({ member: { dashboard, storage } }) {
      const volume = await storage.createVolume({ name: "v-overwritten" });
      await createBackup(storage, volume, "overwriting");
      await dashboard.open(page);
      const form = await dashboard.act("overwriting", "Restore Backup");
      await form.choose("volume_id", "v-overwritten");
      await form.submit(`to volume with id: ${volume}`);
      await storage.waitForStatus("volumes", volume, "available");
      await dashboard.open(page);
      await dashboard.waitForRow("overwriting", "Available");
    },
  },
  {
    name: "turn the pages of many backups",
    async play({ member: { dashboard, storage } }) {
      const volume = await storage.createVolume({ name: "v-pages" });
      for (let number = 1; number <= 21; number++) await createBackup(storage, volume, `page-${String(number).padStart(2, "0")}`);
      await dashboard.open(page);
      await dashboard.waitForRow("page-21", "Available");
      await dashboard.shoot("first");
      await dashboard.turn("Next");
      await dashboard.waitForRow("page-01", "Available");
      await dashboard.shoot("second");
      await dashboard.turn("Prev");
      await dashboard.waitForRow("page-21", "Available");
      type Backups = { backups: readonly { id: string; name: string }[] };
      for (const { id, name } of (await storage.call<Backups>("GET", "/backups")).backups) {
        if (name.startsWith("page-")) await storage.call("DELETE", `/backups/${id}`);
      }
    },
  },
  {
    name: "delete a backup",
    async play({ member: { dashboard, storage } }) {
      await createBackup(storage, await storage.createVolume({ name: "v-old" }), "outdated");
      await dashboard.open(page);
      const question = await dashboard.act("outdated", "Delete Volume Backup");
      await dashboard.shoot("question");
      await question.submit("Scheduled deletion of Volume Backup: outdated");
      await dashboard.waitForNoRow("outdated");
    },
  },
  {
    name: "backups as the administrator",
    async play({ admin: { dashboard }, member: { storage } }) {
      const id = await createBackup(storage, await storage.createVolume({ name: "v-admin" }), "seen-by-admin");
      await dashboard.open("/admin/backups/");
      await dashboard.waitForRow("seen-by-admin", "demo");
      await dashboard.shoot("list");
      await dashboard.open(`/admin/backups/${id}/`);
      await dashboard.waitForText("seen-by-admin");
      await dashboard.shoot("details");
      await dashboard.open("/admin/backups/");
      const form = await dashboard.act("seen-by-admin", "Update Volume backup Status");
      await form.choose("status", "Error");
      await dashboard.shoot("form");
      await form.submit('Successfully updated volume backup status to "Error"');
      await dashboard.waitForRow("seen-by-admin", "Error");
      const question = await dashboard.act("seen-by-admin", "Delete Volume Backup");
      await question.submit("Scheduled deletion of Volume Backup: seen-by-admin");
      await dashboard.waitForNoRow("seen-by-admin");
    },
  },
];

async function createBackup(storage: BlockStorage, volume: string, name: string): Promise<string> {
  return createAvailable(storage, "backups", { backup: { volume_id: volume, name } });
}
