// Admin > Group Types, with their specs.

import assert from "node:assert/strict";
import type { Found, Scene } from "./scene.ts";

const page = "/admin/group_types/";

export const groupTypeScenes: readonly Scene[] = [
  {
    name: "create and edit a group type",
    async play({ admin: { dashboard } }) {
      await dashboard.open(page);
      const form = await dashboard.press("Create Group Type");
      await form.fill({ name: "teams", group_type_description: "of volumes" });
      await dashboard.shoot("form");
      await form.submit("Successfully created group type: teams");
      await dashboard.waitForRow("teams", "of volumes");
      await dashboard.shoot("list");
      const change = await dashboard.act("teams", "Edit Group Type");
      await change.fill({ name: "crews", description: "of several volumes" });
      await change.submit("Successfully updated group type.");
      await dashboard.waitForRow("crews", "of several volumes");
    },
  },
  {
    name: "specs of a group type",
    async play({ admin: { dashboard, storage } }) {
      const { group_type: type } = await storage.call<{ group_type: Found }>("POST", "/group_types", {
        group_type: { name: "with-specs" },
      });
      await dashboard.open(page);
      await dashboard.act("with-specs", "View Specs");
      const form = await dashboard.press("Create Spec");
      await form.fill({ key: "consistent_group_snapshot_enabled", value: "<is> False" });
      await dashboard.shoot("create");
      await form.submit('Created group type spec "consistent_group_snapshot_enabled"');
      await dashboard.act("with-specs", "View Specs");
      await dashboard.waitForRow("consistent_group_snapshot_enabled", "<is> False");
      await dashboard.shoot("list");
      const change = await dashboard.act("consistent_group_snapshot_enabled", "Edit Spec");
      await change.fill({ value: "<is> True" });
      await change.submit('Saved group type spec "consistent_group_snapshot_enabled"');
      await dashboard.act("with-specs", "View Specs");
      await dashboard.waitForRow("consistent_group_snapshot_enabled", "<is> True");
      const specs = await storage.call<Found>("GET", `/group_types/${type.id}/group_specs`);
      assert.deepEqual(specs["group_specs"], { consistent_group_snapshot_enabled: "<is> True" });
      const question = await dashboard.act("consistent_group_snapshot_enabled", "Delete Spec");
      await question.submit("Delete Spec: consistent_group_snapshot_enabled");
      await dashboard.waitForNoRow("consistent_group_snapshot_enabled");
    },
  },
  {
    name: "delete a group type",
    async play({ admin: { dashboard, storage } }) {
      await storage.call("POST", "/group_types", { group_type: { name: "unused" } });
      await dashboard.open(page);
      const question = await dashboard.act("unused", "Delete Group Type");
      await question.submit("Deleted Group Type: unused");
      await dashboard.waitForNoRow("unused");
    },
  },
];
