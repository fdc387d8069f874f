// Project > Volumes: what can be done with a volume that is there.

import assert from "node:assert/strict";
import { type Found, type Scene, findByName } from "./scene.ts";

const page = "/project/volumes/";

export const volumeChangeScenes: readonly Scene[] = [
  {
    name: "edit a volume",
    async play({ member: { dashboard, storage } }) {
      await storage.createVolume({ name: "misnamed" });
      await dashboard.open(page);
      const form = await dashboard.act("misnamed", "Edit Volume");
      await form.fill({ name: "renamed", description: "has another name" });
      await form.check("bootable");
      await dashboard.shoot("form");
      await form.submit('Updating volume "renamed"');
      await dashboard.waitForRow("renamed", "has another name");
      assert.equal((await findByName(storage, "volumes", "renamed"))["bootable"], "true");
      await dashboard.shoot("list");
    },
  },
  {
    name: "extend a volume",
    async play({ member: { dashboard, storage } }) {
      await storage.createVolume({ name: "grows" });
      await dashboard.open(page);
      const form = await dashboard.act("grows", "Extend Volume");
      await form.fill({ new_size: "3" });
      await dashboard.shoot("form");
      await form.submit('Extending volume: "grows"');
      await dashboard.waitForRow("grows", "3GiB");
      assert.equal((await findByName(storage, "volumes", "grows"))["size"], 3);
    },
  },
  {
    name: "change a volume's type",
    async play({ member: { dashboard, storage }, admin }) {
      await admin.storage.call("POST", "/types", { volume_type: { name: "other" } });
      await storage.createVolume({ name: "retyped" });
      await dashboard.open(page);
      const form = await dashboard.act("retyped", "Change Volume Type");
      await form.choose("volume_type", "other");
      await form.choose("migration_policy", "On Demand");
      await dashboard.shoot("form");
      await form.submit('Successfully sent the request to change the volume type to "other" for volume: "retyped"');
      await dashboard.waitForRow("retyped", "Available");
      assert.equal((await findByName(storage, "volumes", "retyped"))["volume_type"], "other");
      await dashboard.shoot("list");
    },
  },
  {
    name: "upload a volume to an image",
    async play({ member: { dashboard, storage } }) {
      await storage.createVolume({ name: "uploaded" });
      await dashboard.open(page);
      const form = await dashboard.act("uploaded", "Upload to Image");
      await form.fill({ image_name: "of-a-volume" });
      await form.choose("disk_format", "Raw");
      await dashboard.shoot("form");
      await form.submit("Successfully sent the request to upload volume to image");
      await dashboard.waitForRow("uploaded", "Available");
      await dashboard.open("/project/images");
      await dashboard.waitForRow("of-a-volume", "Active");
      await dashboard.shoot("images");
    },
  },
  {
    name: "change a volume's metadata",
    async play({ member: { dashboard, storage } }) {
      await storage.createVolume({ name: "labelled" });
      await dashboard.open(page);
      const dialog = await dashboard.act("labelled", "Update Metadata");
      await dialog.addMetadata("purpose", "demonstration");
      await dashboard.shoot("dialog");
      await dialog.save();
      assert.deepEqual((await findByName(storage, "volumes", "labelled"))["metadata"], { purpose: "demonstration" });
    },
  },
  {
    name: "hand a volume over to another project",
    async play({ member, admin }) {
      await member.storage.createVolume({ name: "handed" });
      await member.dashboard.open(page);
      const form = await member.dashboard.act("handed", "Create Transfer");
      await form.fill({ name: "hand-over" });
      await member.dashboard.shoot("form");
      await form.submit('Created volume transfer: "hand-over"');
      await member.dashboard.shoot("created");
      const id = await member.dashboard.page.inputValue("#id_id");
      const key = await member.dashboard.page.inputValue("#id_auth_key");
      await member.dashboard.open(page);
      await member.dashboard.waitForRow("handed", "Awaiting Transfer");
      await member.dashboard.shoot("waiting");
      await admin.dashboard.open(page);
      const acceptance = await admin.dashboard.press("Accept Transfer");
      await acceptance.fill({ transfer_id: id, auth_key: key });
      await admin.dashboard.shoot("accept");
      await acceptance.submit("Successfully accepted volume transfer");
      await admin.dashboard.waitForRow("handed", "Available");
      await admin.dashboard.shoot("accepted");
      await findByName(admin.storage, "volumes", "handed");
    },
  },
  {
    name: "cancel a transfer",
    async play({ member: { dashboard, storage } }) {
      const id = await storage.createVolume({ name: "stays" });
      await storage.call("POST", "/volume-transfers", { transfer: { volume_id: id, name: "off" } });
      // Not in the list: it draws the row anew while the volume is awaiting, and a question about the old one does nothing then.
      await dashboard.open(`${page}${id}/`);
      const question = await dashboard.press("Cancel Transfer");
      await question.submit('Successfully deleted volume transfer "off"');
      await dashboard.open(page);
      await dashboard.waitForRow("stays", "Available");
      await dashboard.shoot("list");
    },
  },
  {
    name: "the details of a volume with snapshots",
    async play({ member: { dashboard, storage } }) {
      const id = await storage.createVolume({ name: "detailed" });
      await storage.createSnapshot(id, "of-detailed");
      await dashboard.open(`${page}${id}/`);
      await dashboard.openTab("Snapshots");
      await dashboard.waitForRow("of-detailed", "Available");
      await dashboard.shoot("snapshots");
    },
  },
  {
    name: "the messages of a volume that could not be made",
    async play({ member: { dashboard, storage }, admin }) {
      const extra_specs = { volume_backend_name: "nowhere" };
      await admin.storage.call("POST", "/types", { volume_type: { name: "homeless", extra_specs } });
      const body = { volume: { name: "unmade", size: 1, volume_type: "homeless" } };
      const { volume } = await storage.call<{ volume: Found }>("POST", "/volumes", body);
      await dashboard.open(page);
      await dashboard.waitForRow("unmade", "Error");
      await dashboard.shoot("list");
      await dashboard.open(`${page}${volume.id}/`);
      await dashboard.openTab("Messages");
      await dashboard.waitForRow("schedule allocate volume", "ERROR");
      await dashboard.shoot("messages");
    },
  },
  {
    name: "the dialog that launches a server from a volume",
    async play({ member: { dashboard, storage }, image }) {
      await storage.createVolume({ name: "boots", ...{ imageRef: image.id } });
      await dashboard.open(page);
      const wizard = await dashboard.act("boots", "Launch as Instance");
      await wizard.root.getByText("Launch Instance").first().waitFor();
      await dashboard.shoot("wizard");
    },
  },
  {
    name: "delete a volume",
    async play({ member: { dashboard, storage } }) {
      await storage.createVolume({ name: "doomed" });
      await dashboard.open(page);
      const question = await dashboard.act("doomed", "Delete Volume");
      await dashboard.shoot("question");
      await question.submit("Scheduled deletion of Volume: doomed");
      await dashboard.waitForNoRow("doomed");
      await assert.rejects(findByName(storage, "volumes", "doomed"));
    },
  },
  {
    name: "delete several volumes",
    async play({ member: { dashboard, storage } }) {
      for (const name of ["spare-1", "spare-2"]) await storage.createVolume({ name });
      await dashboard.open(page);
      await dashboard.mark("spare-1");
      await dashboard.mark("spare-2");
      const question = await dashboard.press("Delete Volumes");
      await dashboard.shoot("question");
      await question.submit("Scheduled deletion of Volumes: spare-");
      await dashboard.waitForNoRow("spare-");
    },
  },
];
