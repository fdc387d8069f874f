// Admin > Volume Types: types with their extra specs, encryption and access, and QoS specs.

import assert from "node:assert/strict";
import type { BlockStorage } from "../harness/block-storage.ts";
import type { Found, Scene } from "./scene.ts";

const page = "/admin/volume_types/";

export const volumeTypeScenes: readonly Scene[] = [
  {
    name: "create a volume type",
    async play({ admin: { dashboard, storage } }) {
      await dashboard.open(page);
      const form = await dashboard.press("Create Volume Type");
      await form.fill({ name: "gold", vol_type_description: "the best" });
      await dashboard.shoot("form");
      await form.submit("Successfully created volume type: gold");
      await dashboard.waitForRow("gold", "the best");
      await dashboard.shoot("list");
      assert.equal((await findType(storage, "gold"))["is_public"], true);
    },
  },
  {
    name: "edit a volume type",
    async play({ admin: { dashboard, storage } }) {
      await createType(storage, "iron");
      await dashboard.open(page);
      const form = await dashboard.act("iron", "Edit Volume Type");
      await form.fill({ name: "steel", description: "harder" });
      await form.check("is_public", false);
      await dashboard.shoot("form");
      await form.submit("Successfully updated volume type.");
      await dashboard.waitForRow("steel", "harder");
      assert.equal((await findType(storage, "steel"))["is_public"], false);
    },
  },
  {
    name: "give a project access to a private type",
    async play({ admin: { dashboard, storage }, cloud }) {
      const id = await createType(storage, "private", { "os-volume-type-access:is_public": false });
      await dashboard.open(page);
      const form = await dashboard.act("private", "Edit Access");
      await form.mark("demo");
      await dashboard.shoot("form");
      await form.submit("Modified volume type access");
      type Access = { volume_type_access: readonly { project_id: string }[] };
      const { volume_type_access: access } = await storage.call<Access>("GET", `/types/${id}/os-volume-type-access`);
      assert.deepEqual(
        access.map(({ project_id }) => project_id),
        [await cloud.keystone.find("project", "demo")],
      );
    },
  },
  {
    name: "extra specs of a volume type",
    async play({ admin: { dashboard, storage } }) {
      const id = await createType(storage, "specified");
      await dashboard.open(page);
      await dashboard.act("specified", "View Extra Specs");
      await dashboard.shoot("none");
      const form = await dashboard.press("Create");
      await form.fill({ key: "volume_backend_name", value: "vpool9" });
      await dashboard.shoot("create");
      await form.submit('Created extra spec "volume_backend_name"');
      await dashboard.waitForRow("volume_backend_name", "vpool9");
      await dashboard.shoot("list");
      const change = await dashboard.act("volume_backend_name", "Edit");
      await change.fill({ value: "vpool1" });
      await change.submit('Saved extra spec "volume_backend_name"');
      await dashboard.waitForRow("volume_backend_name", "vpool1");
      assert.deepEqual((await findType(storage, "specified"))["extra_specs"], { volume_backend_name: "vpool1" });
      const question = await dashboard.act("volume_backend_name", "Delete Extra Spec");
      await question.submit("Deleted Extra Spec: volume_backend_name");
      await dashboard.waitForNoRow("volume_backend_name");
      assert.deepEqual(await storage.call("GET", `/types/${id}/extra_specs`), { extra_specs: {} });
    },
  },
  {
    name: "change a volume type's metadata",
    async play({ admin: { dashboard, storage } }) {
      await createType(storage, "described");
      await dashboard.open(page);
      const dialog = await dashboard.act("described", "Update Metadata");
      await dialog.addMetadata("colour", "green");
      await dialog.save();
      assert.deepEqual((await findType(storage, "described"))["extra_specs"], { colour: "green" });
    },
  },
  {
    name: "encryption of a volume type",
    async play({ admin: { dashboard, storage } }) {
      const id = await createType(storage, "secret");
      await dashboard.open(page);
      const form = await dashboard.act("secret", "Create Encryption");
      await form.fill({ provider: "luks", cipher: "aes-xts-plain64", key_size: "256" });
      await dashboard.shoot("create");
      await form.submit("Successfully created encryption for volume type: secret");
      await dashboard.waitForRow("secret", "luks");
      await dashboard.shoot("list");
      await dashboard.open(`${page}${id}/type_encryption_detail/`);
      await dashboard.waitForText("aes-xts-plain64");
      await dashboard.shoot("details");
      await dashboard.open(page);
      const change = await dashboard.act("secret", "Update Encryption");
      await change.fill({ key_size: "512" });
      await change.submit("Successfully updated encryption for volume type: secret");
      assert.equal((await storage.call<Found>("GET", `/types/${id}/encryption`))["key_size"], 512);
      const question = await dashboard.act("secret", "Delete Encryption");
      await dashboard.shoot("question");
      await question.submit("Deleted Encryption: secret");
      assert.deepEqual(await storage.call("GET", `/types/${id}/encryption`), {});
    },
  },
  {
    name: "delete a volume type",
    async play({ admin: { dashboard, storage } }) {
      await createType(storage, "obsolete");
      await dashboard.open(page);
      const question = await dashboard.act("obsolete", "Delete Volume Type");
      await dashboard.shoot("question");
      await question.submit("Deleted Volume Type: obsolete");
      await dashboard.waitForNoRow("obsolete");
    },
  },
  {
    name: "create a QoS spec with pairs",
    async play({ admin: { dashboard, storage } }) {
      await dashboard.open(page);
      const form = await dashboard.press("Create QoS Spec");
      await form.fill({ name: "limits" });
      await form.choose("consumer", "front-end");
      await dashboard.shoot("form");
      await form.submit("Successfully created QoS Spec: limits");
      await dashboard.waitForRow("limits", "front-end");
      await dashboard.act("limits", "Manage Specs");
      const pair = await dashboard.press("Create");
      await pair.fill({ key: "total_iops_sec", value: "500" });
      await pair.submit('Created spec "total_iops_sec"');
      await dashboard.waitForRow("limits", "total_iops_sec=500");
      await dashboard.shoot("list");
      await dashboard.act("limits", "Manage Specs");
      await dashboard.shoot("pairs");
      const change = await dashboard.act("total_iops_sec", "Edit");
      await change.fill({ value: "600" });
      await change.submit('Saved spec "total_iops_sec"');
      await dashboard.waitForRow("limits", "total_iops_sec=600");
      assert.deepEqual((await findQos(storage, "limits"))["specs"], { total_iops_sec: "600" });
      await dashboard.act("limits", "Manage Specs");
      const question = await dashboard.act("total_iops_sec", "Delete Spec");
      await question.submit("Deleted Spec: total_iops_sec");
      await dashboard.waitForNoRow("total_iops_sec");
    },
  },
  {
    name: "associate a QoS spec with a type",
    async play({ admin: { dashboard, storage } }) {
      await createType(storage, "limited");
      const qos = await createQos(storage, "slow");
      await dashboard.open(page);
      const form = await dashboard.act("limited", "Manage QoS Spec Association");
      await form.choose("qos_spec_choice", "slow");
      await dashboard.shoot("form");
      await form.submit("Successfully updated QoS Spec association.");
      await dashboard.waitForRow("limited", "slow");
      assert.equal((await findType(storage, "limited"))["qos_specs_id"], qos);
      const undo = await dashboard.act("limited", "Manage QoS Spec Association");
      await undo.choose("qos_spec_choice", "None");
      await undo.submit("Successfully updated QoS Spec association.");
      assert.equal((await findType(storage, "limited"))["qos_specs_id"], null);
    },
  },
  {
    name: "change the consumer of a QoS spec and delete it",
    async play({ admin: { dashboard, storage } }) {
      await createQos(storage, "moved");
      await dashboard.open(page);
      const form = await dashboard.act("moved", "Edit Consumer");
      await form.choose("consumer_choice", "both");
      await dashboard.shoot("form");
      await form.submit("Successfully modified QoS Spec consumer.");
      await dashboard.waitForRow("moved", "both");
      assert.equal((await findQos(storage, "moved"))["consumer"], "both");
      const question = await dashboard.act("moved", "Delete QoS Spec");
      await question.submit("Deleted QoS Spec: moved");
      await dashboard.waitForNoRow("moved");
    },
  },
];

async function createType(storage: BlockStorage, name: string, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const { volume_type } = await storage.call<{ volume_type: Found }>("POST", "/types", { volume_type: { name, ...more } });
  return volume_type.id;
}

async function findType(storage: BlockStorage, name: string): Promise<Found> {
  const { volume_types } = await storage.call<{ volume_types: readonly Found[] }>("GET", "/types?is_public=None");
  return volume_types.find((type) => type["name"] === name)!;
}

async function createQos(storage: BlockStorage, name: string): Promise<string> {
  const body = { qos_specs: { name, consumer: "front-end", total_iops_sec: "100" } };
  return (await storage.call<{ qos_specs: Found }>("POST", "/qos-specs", body)).qos_specs.id;
}

async function findQos(storage: BlockStorage, name: string): Promise<Found> {
  const { qos_specs } = await storage.call<{ qos_specs: readonly Found[] }>("GET", "/qos-specs");
  return qos_specs.find((qos) => qos["name"] === name)!;
}
