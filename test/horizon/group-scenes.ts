// Groups of volumes and their snapshots, of a project and as the administrator sees them.

import assert from "node:assert/strict";
import type { BlockStorage } from "../harness/block-storage.ts";
import { type Found, type Scene, type Stage, createAvailable, findByName } from "./scene.ts";

const page = "/project/volume_groups/";
const snapshotsPage = "/project/vg_snapshots/";

export const groupScenes: readonly Scene[] = [
  {
    name: "create a group",
    async play(stage) {
      const { dashboard } = stage.member;
      const { type } = await prepareTypes(stage, "g-new");
      await dashboard.open(page);
      const form = await dashboard.press("Create Group");
      await form.fill({ name: "new-group", description: "made by hand" });
      await form.choose("group_type", "g-new");
      await dashboard.shoot("information");
      await form.openTab("Manage Volume Types");
      await form.addMember("g-new");
      await dashboard.shoot("types");
      await form.submit("Created new volume group");
      await dashboard.waitForRow("new-group", "Available");
      await dashboard.shoot("list");
      const group = await findByName(stage.member.storage, "groups", "new-group");
      assert.deepEqual(group["volume_types"], [type]);
      await dashboard.open(`${page}${group.id}`);
      await dashboard.waitForText("made by hand");
      await dashboard.shoot("details");
    },
  },
  {
    name: "create a volume in a group",
    async play(stage) {
      const { dashboard, storage } = stage.member;
      const { group } = await prepareGroup(stage, "g-home");
      await dashboard.open("/project/volumes/");
      const form = await dashboard.press("Create Volume");
      await form.fill({ name: "at-home" });
      await form.choose("type", "g-home");
      await form.choose("group", "g-home");
      await dashboard.shoot("form");
      await form.submit('Creating volume "at-home"');
      await dashboard.waitForRow("at-home", "Available");
      await dashboard.waitForRow("at-home", "g-home");
      await dashboard.shoot("list");
      assert.equal((await findByName(storage, "volumes", "at-home"))["group_id"], group);
    },
  },
  {
    name: "edit a group",
    async play(stage) {
      const { dashboard } = stage.member;
      await prepareGroup(stage, "g-edit");
      await dashboard.open(page);
      const form = await dashboard.act("g-edit", "Edit Group");
      await form.fill({ name: "g-edited", description: "changed" });
      await dashboard.shoot("form");
      await form.submit('Updating volume group "g-edited"');
      await dashboard.waitForRow("g-edited", "changed");
    },
  },
  {
    name: "put volumes into a group and take them out",
    async play(stage) {
      const { dashboard, storage } = stage.member;
      const { group } = await prepareGroup(stage, "g-manage");
      const volume = await storage.createVolume({ name: "joins", ...{ volume_type: "g-manage" } });
      await dashboard.open(page);
      const form = await dashboard.act("g-manage", "Manage Volumes");
      await form.addMember("joins");
      await dashboard.shoot("form");
      await form.submit("Updated volumes for group.");
      await dashboard.waitForRow("g-manage", "Available");
      assert.equal((await findByName(storage, "volumes", "joins"))["group_id"], group);
      const question = await dashboard.act("g-manage", "Remove Volumes from Group");
      await dashboard.shoot("remove");
      await question.submit('Removing volumes from volume group "g-manage"');
      await storage.waitForStatus("volumes", volume, "available");
      await dashboard.waitForRow("g-manage", "Available");
      assert.equal((await findByName(storage, "volumes", "joins"))["group_id"], null);
    },
  },
  {
    name: "create a snapshot of a group and a group of it",
    async play(stage) {
      const { dashboard, storage } = stage.member;
      await prepareGroup(stage, "g-snap", ["s-1", "s-2"]);
      await dashboard.open(page);
      const form = await dashboard.act("g-snap", "Create Snapshot");
      await form.fill({ name: "together", description: "both at once" });
      await dashboard.shoot("form");
      await form.submit('Creating group snapshot "together"');
      await dashboard.open(snapshotsPage);
      await dashboard.waitForRow("together", "Available");
      await dashboard.shoot("list");
      const { id } = await findByName(storage, "group_snapshots", "together");
      await dashboard.open(`${snapshotsPage}${id}/detail/`);
      await dashboard.waitForText("both at once");
      await dashboard.shoot("details");
      await dashboard.open("/project/snapshots/");
      await dashboard.waitForRow("together", "s-1");
      await dashboard.waitForRow("together", "s-2");
      await dashboard.shoot("volume-snapshots");
      await dashboard.open(snapshotsPage);
      const again = await dashboard.act("together", "Create Group");
      await again.fill({ name: "of-together" });
      await dashboard.shoot("group-form");
      await again.submit('Creating group "of-together"');
      await dashboard.open(page);
      await dashboard.waitForRow("of-together", "Available");
      await dashboard.waitForRow("g-snap", "yes");
      await dashboard.shoot("groups");
      const group = await findByName(storage, "groups", "of-together");
      assert.equal(group["group_snapshot_id"], id);
      const { id: source } = await findByName(storage, "groups", "g-snap");
      await dashboard.open(`${page}${source}`);
      await dashboard.waitForText("s-2");
      await dashboard.shoot("group");
    },
  },
  {
    name: "delete a snapshot of a group",
    async play(stage) {
      const { dashboard, storage } = stage.member;
      const { group } = await prepareGroup(stage, "g-unsnap", ["u-1"]);
      await createAvailable(storage, "group_snapshots", { group_snapshot: { group_id: group, name: "passing" } });
      await dashboard.open(snapshotsPage);
      const question = await dashboard.act("passing", "Delete Snapshot");
      await question.submit("Scheduled deletion of Snapshot: passing");
      await dashboard.waitForNoRow("passing");
    },
  },
  {
    name: "clone a group",
    async play(stage) {
      const { dashboard, storage } = stage.member;
      await prepareGroup(stage, "g-origin", ["o-1"]);
      await dashboard.open(page);
      const form = await dashboard.act("g-origin", "Clone Group");
      await form.fill({ name: "g-clone" });
      await dashboard.shoot("form");
      await form.submit('Cloning volume group "g-clone"');
      await dashboard.waitForRow("g-clone", "Available");
      const { id } = await findByName(storage, "groups", "g-clone");
      const { volumes } = await storage.call<{ volumes: readonly Found[] }>("GET", `/volumes/detail?group_id=${id}`);
      assert.equal(volumes.length, 1);
    },
  },
  {
    name: "delete a group with its volumes",
    async play(stage) {
      const { dashboard, storage } = stage.member;
      await prepareGroup(stage, "g-gone", ["gone-1"]);
      await dashboard.open(page);
      const form = await dashboard.act("g-gone", "Delete Group");
      await form.check("delete_volumes");
      await dashboard.shoot("form");
      await form.submit('Deleting volume group "g-gone"');
      await dashboard.waitForNoRow("g-gone");
      await assert.rejects(findByName(storage, "volumes", "gone-1"));
    },
  },
  {
    name: "groups as the administrator",
    async play(stage) {
      const { dashboard } = stage.admin;
      const { group } = await prepareGroup(stage, "g-admin", ["a-1"]);
      const snapshot = { group_snapshot: { group_id: group, name: "gs-admin" } };
      await createAvailable(stage.member.storage, "group_snapshots", snapshot);
      // Of volumes and snapshots the dashboard asks for those of the administrator's own project here, and shows none.
      await dashboard.open("/admin/volume_groups/");
      await dashboard.waitForRow("g-admin", "demo");
      await dashboard.shoot("groups");
      await dashboard.open(`/admin/volume_groups/${group}`);
      await dashboard.shoot("group");
      await dashboard.open("/admin/vg_snapshots/");
      await dashboard.waitForRow("gs-admin", "demo");
      await dashboard.shoot("snapshots");
      const question = await dashboard.act("gs-admin", "Delete Snapshot");
      await question.submit("Scheduled deletion of Snapshot: gs-admin");
      await dashboard.waitForNoRow("gs-admin");
      await dashboard.open("/admin/volume_groups/");
      const form = await dashboard.act("g-admin", "Delete Group");
      await form.check("delete_volumes");
      await form.submit('Deleting volume group "g-admin"');
      await dashboard.waitForNoRow("g-admin");
    },
  },
];

/** A volume type and a group type of that name, whose groups are snapshot at one instant. */
async function prepareTypes({ admin: { storage } }: Stage, name: string): Promise<{ type: string; groupType: string }> {
  const { volume_type: type } = await storage.call<{ volume_type: Found }>("POST", "/types", {
    volume_type: { name, extra_specs: consistent },
  });
  const { group_type: groupType } = await storage.call<{ group_type: Found }>("POST", "/group_types", { group_type: { name } });
  await storage.call("POST", `/group_types/${groupType.id}/group_specs`, { group_specs: consistent });
  return { type: type.id, groupType: groupType.id };
}

const consistent = { consistent_group_snapshot_enabled: "<is> True" };

/** A group of that name with volumes of these names. */
async function prepareGroup(stage: Stage, name: string, volumes: readonly string[] = []): Promise<{ group: string }> {
  const { storage }: { storage: BlockStorage } = stage.member;
  const { type, groupType } = await prepareTypes(stage, name);
  const group = await createAvailable(storage, "groups", { group: { name, group_type: groupType, volume_types: [type] } });
  for (const volume of volumes) await storage.createVolume({ name: volume, ...{ volume_type: type, group_id: group } });
  return { group };
}
