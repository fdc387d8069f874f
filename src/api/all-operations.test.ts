// A tour of all operations against a real server and a real Cinder, once with the project in the URL and once without; every
// success is checked against its response schema. It fails when openapi.yaml names an operation that the tour has not seen
// succeed (or refuse, where it must), when an operation asks other policy rules than its x-policy and x-field-policy say, and
// when the record of what succeeded where is stale.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { Sightings } from "../../test/harness/operation-record.ts";
import { anImage } from "../cinder/image-rig.fixture.ts";
import { type Images, noImages } from "../cinder/images.ts";
import { type ApiFixture, itemsAt, openApi, textAt } from "./api-fixture.ts";
import { groupTour } from "./group-tour.fixture.ts";
import { operatorTour } from "./operator-tour.fixture.ts";
import { RecordingPolicy } from "./recording-policy.fixture.ts";

const latest = { version: "3.71" };
const absent = "99999999-9999-4999-8999-999999999999";
const instance = "88888888-8888-4888-8888-888888888888";
const connector = { host: "compute1", ip: "10.0.0.1", mountpoint: "/dev/vdb", initiator: null };

/** A Glance that has and takes everything. */
const images: Images = {
  ...noImages,
  find: async (_context, id) => [{ ...anImage, id }],
  copy: async ({ offset }) => ({ offset, isDone: true }),
  create: async (_context, image) => ({ visibility: "shared", isProtected: false, ...image }),
  upload: async () => ({ sent: 0, isDone: true }),
};

async function createVolume(api: ApiFixture, body: Record<string, unknown> = {}): Promise<string> {
  return textAt(await api.expect(202, "POST", "/volumes", { body: { volume: { size: 1, ...body } } }), "volume", "id");
}

async function act(
  api: ApiFixture,
  volumeId: string,
  key: string,
  value: unknown,
  status = 202,
  version = "3.71",
): Promise<void> {
  await api.expect(status, "POST", `/volumes/${volumeId}/action`, { version, body: { [key]: value } });
}

/** The record, and what each URL form adds to it. */
const seen = new Sightings();
const seenByForm = new Map<string, readonly string[]>();

for (const form of ["with the project in the URL", "without it"])
  test(`every operation, ${form}`, async (t) => {
    const seenHere = new Sightings();
    const asked = new Map<string, { enforced: Set<string>; shown: Set<string> }>();
    const policy = new RecordingPolicy();
    let stop = "";
    t.beforeEach((context) => void (stop = context.name));
    const saw = (operationId: string): void => {
      seenHere.add(operationId, stop);
      seen.add(operationId, stop);
    };
    const api = await openApi(t, {
      policy,
      images,
      namesProject: form !== "without it",
      onAnswer: (operationId, status) => {
        const rules = asked.get(operationId) ?? { enforced: new Set(), shown: new Set() };
        asked.set(operationId, rules);
        const { enforced, shown } = policy.take();
        for (const rule of enforced) rules.enforced.add(rule);
        for (const rule of shown) rules.shown.add(rule);
        if (status < 400) saw(operationId);
      },
    });

    await t.test("versions, healthcheck and metrics", async () => {
      const versions = await api.call("GET", "/");
      assert.equal(versions.status, 300);
      assert.equal(api.document.checkResponse("listVersions", 300, versions.json), undefined);
      saw("listVersions");
      for (const path of ["/v3/", "/v3"]) {
        const shown = await api.call("GET", path);
        assert.equal(shown.status, 200);
        assert.deepEqual(shown.json, versions.json);
      }
      saw("showVersion");
      assert.equal((await api.call("GET", "/healthcheck")).text, "OK");
      assert.equal((await api.call("HEAD", "/healthcheck")).status, 204);
      saw("getHealthcheck");
      const metrics = await api.call("GET", "/metrics");
      assert.equal(metrics.text, "andiron_up 1\n");
      assert.match(String(metrics.headers["content-type"]), /^text\/plain/);
      saw("getMetrics");
    });

    await t.test("a volume is created, shown, listed, changed and deleted", async () => {
      const id = await createVolume(api, { name: "tour é", description: "d", metadata: { a: "b" } });
      await api.expect(202, "POST", "/volumes", { ...latest, body: { volume: { size: "1" } } });
      for (const version of ["3.0", "3.13", "3.21", "3.48", "3.61", "3.63", "3.65", "3.71"]) {
        const { volume } = await api.expect(200, "GET", `/volumes/${id}`, { version });
        assert.equal(volume!["name"], "tour é");
      }
      await api.expect(200, "PUT", `/volumes/${id}`, { body: { volume: { display_name: "t2" } } });
      const { volume } = await api.expect(200, "PUT", `/volumes/${id}`, { ...latest, body: { volume: { description: null } } });
      assert.equal(volume!["name"], "t2");
      assert.equal(volume!["description"], null);
      const page = await api.expect(200, "GET", "/volumes?limit=1&sort=created_at:asc&with_count=1", latest);
      assert.equal(page["count"], 2);
      const next = new URL(textAt(page, "volumes_links", "0", "href"));
      const headers = { "x-auth-token": "admin:demo" };
      assert.equal(itemsAt((await api.call("GET", next.pathname + next.search, { headers })).json, "volumes").length, 1);
      const detail = await api.expect(200, "GET", "/volumes/detail?metadata=%7B'a':'b'%7D");
      assert.deepEqual(
        itemsAt(detail, "volumes").map((each) => each["id"]),
        [id],
      );
      assert.deepEqual(await api.expect(200, "GET", "/volumes/summary", { version: "3.12" }), {
        "volume-summary": { total_count: 2, total_size: 2 },
      });
      const summary = await api.expect(200, "GET", "/volumes/summary", { version: "3.36" });
      assert.deepEqual(summary["volume-summary"]!["metadata"], { a: ["b"] });
      assert.deepEqual(await api.expect(200, "GET", `/volumes/${id}/encryption`), { encryption_key_id: null });
      await api.expect(200, "GET", `/volumes/${id}/encryption/encryption_key_id`);
      await api.expect(202, "DELETE", `/volumes/${id}`);
      await api.cinder.idle();
      await api.expect(404, "GET", `/volumes/${id}`);
    });

    await t.test("volume metadata, with Etag and If-Match from 3.15", async () => {
      const id = await createVolume(api);
      const path = `/volumes/${id}/metadata`;
      assert.deepEqual(await api.expect(200, "POST", path, { body: { metadata: { a: "1", b: "2" } } }), {
        metadata: { a: "1", b: "2" },
      });
      assert.deepEqual(await api.expect(200, "PUT", path, { body: { metadata: { c: "3" } } }), { metadata: { c: "3" } });
      const old = await api.callIn("demo", "GET", path);
      assert.equal(old.headers["etag"], undefined);
      const shown = await api.callIn("demo", "GET", path, { version: "3.15" });
      const etag = String(shown.headers["etag"]);
      assert.match(etag, /^[0-9a-f]{32}$/);
      const replace = (ifMatch: string, version: string): Promise<{ status: number; text: string }> =>
        api.callIn("demo", "PUT", path, { version, headers: { "if-match": ifMatch }, body: { metadata: { d: "4" } } });
      const refused = await replace('"00000000000000000000000000000000"', "3.15");
      assert.equal(refused.status, 412);
      assert.equal(refused.text, "");
      assert.equal((await replace(`"${etag}"`, "3.15")).status, 200);
      assert.equal((await replace('"00000000000000000000000000000000"', "3.14")).status, 200);
      assert.deepEqual(await api.expect(200, "GET", `${path}/d`), { meta: { d: "4" } });
      assert.deepEqual(await api.expect(200, "PUT", `${path}/d`, { body: { meta: { d: "5" } } }), { meta: { d: "5" } });
      await api.expect(400, "PUT", `${path}/d`, { body: { meta: { e: "5" } } });
      await api.expect(200, "DELETE", `${path}/d`);
      await api.expect(404, "GET", `${path}/d`);
    });

    await t.test("actions that concern a volume alone", async () => {
      const id = await createVolume(api);
      await act(api, id, "os-extend", { new_size: "2" });
      await act(api, id, "os-update_readonly_flag", { readonly: "False" });
      await act(api, id, "os-set_bootable", { bootable: true }, 200);
      await act(api, id, "os-reset_status", { status: "error" });
      await act(api, id, "os-reset_status", { status: "available" });
      const set = { metadata: { os: "debian" } };
      assert.deepEqual(await api.expect(200, "POST", `/volumes/${id}/action`, { body: { "os-set_image_metadata": set } }), set);
      assert.deepEqual(await api.expect(200, "POST", `/volumes/${id}/action`, { body: { "os-show_image_metadata": null } }), set);
      const { volume } = await api.expect(200, "GET", `/volumes/${id}`);
      assert.deepEqual(volume!["volume_image_metadata"], { os: "debian" });
      assert.equal(volume!["bootable"], "true");
      assert.equal(volume!["size"], 2);
      await act(api, id, "os-unset_image_metadata", { key: "os" }, 200);
      const created = await api.expect(202, "POST", "/snapshots", { body: { snapshot: { volume_id: id } } });
      const snapshotId = textAt(created, "snapshot", "id");
      await act(api, id, "revert", { snapshot_id: snapshotId });
      await api.expect(202, "DELETE", `/snapshots/${snapshotId}`);
      await act(api, id, "os-force_delete", {});
    });

    await t.test("an image of a volume", async () => {
      const id = await createVolume(api, { description: "d" });
      const asked = { image_name: "i", disk_format: "qcow2", visibility: "public", protected: "True" };
      const early = { version: "3.0", body: { "os-volume_upload_image": asked } };
      await api.expect(400, "POST", `/volumes/${id}/action`, early);
      const made = await api.expect(202, "POST", `/volumes/${id}/action`, { ...early, version: "3.1" });
      const { image_id: imageId, updated_at: at, volume_type: type, ...rest } = made["os-volume_upload_image"]!;
      assert.deepEqual(rest, {
        id,
        status: "uploading",
        display_description: "d",
        size: 1,
        container_format: "bare",
        disk_format: "qcow2",
        image_name: "i",
        protected: true,
        visibility: "public",
      });
      assert.equal(type!["name"], "__DEFAULT__");
      assert.ok(imageId !== undefined && at !== undefined);
      await api.cinder.idle();
      const { volume } = await api.expect(200, "GET", `/volumes/${id}`);
      assert.equal(volume!["status"], "available");
      await api.expect(202, "DELETE", `/volumes/${id}`);
    });

    await t.test("another image in a volume", async () => {
      const id = await createVolume(api);
      await act(api, id, "os-reimage", { image_id: absent }, 404, "3.67");
      await act(api, id, "os-reset_status", { status: "reserved" });
      await act(api, id, "os-reimage", { image_id: absent }, 400, "3.68");
      await act(api, id, "os-reimage", { image_id: absent, reimage_reserved: true }, 202, "3.68");
      await api.cinder.idle();
      const { volume } = await api.expect(200, "GET", `/volumes/${id}`);
      assert.deepEqual([volume!["status"], volume!["bootable"]], ["available", "true"]);
      await act(api, id, "os-reimage", { image_id: absent }, 202, "3.68");
      await api.cinder.idle();
      await api.expect(202, "DELETE", `/volumes/${id}`);
    });

    await t.test("the attach family of old", async () => {
      const id = await createVolume(api);
      await act(api, id, "os-reserve", null);
      await act(api, id, "os-unreserve", null);
      await act(api, id, "os-attach", { instance_uuid: instance, mountpoint: "/dev/vdc", mode: "rw" });
      await act(api, id, "os-begin_detaching", null);
      await act(api, id, "os-roll_detaching", null);
      await act(api, id, "os-detach", {});
      const answer = await api.expect(200, "POST", `/volumes/${id}/action`, {
        body: { "os-initialize_connection": { connector } },
      });
      assert.equal(answer["connection_info"]!["driver_volume_type"], "nbd");
      assert.equal(typeof answer["connection_info"]!["data"]!["ports"]![0], "string");
      await act(api, id, "os-terminate_connection", { connector });
      await act(api, id, "os-attach", { host_name: "h", mountpoint: "/dev/vdc" });
      await act(api, id, "os-force_detach", { connector: {} });
      const { volume } = await api.expect(200, "GET", `/volumes/${id}`);
      assert.equal(volume!["status"], "available");
    });

    await t.test("snapshots", async () => {
      const volumeId = await createVolume(api);
      const given = { volume_id: volumeId, name: "s", description: "d", metadata: { a: "b" }, force: false };
      const created = await api.expect(202, "POST", "/snapshots", { body: { snapshot: given } });
      const id = textAt(created, "snapshot", "id");
      await api.expect(200, "GET", `/snapshots/${id}`, { version: "3.65" });
      await api.expect(200, "GET", `/snapshots?volume_id=${volumeId}`);
      await api.expect(200, "GET", "/snapshots/detail?sort=name:asc&with_count=true", { version: "3.65" });
      await api.expect(200, "PUT", `/snapshots/${id}`, { body: { snapshot: { name: "s2" } } });
      await api.expect(400, "PUT", `/snapshots/${id}`, { body: { snapshot: {} } });
      const path = `/snapshots/${id}/metadata`;
      await api.expect(200, "POST", path, { body: { metadata: { c: "d" } } });
      await api.expect(200, "PUT", path, { body: { metadata: { e: "f" } } });
      assert.deepEqual(await api.expect(200, "GET", path), { metadata: { e: "f" } });
      assert.deepEqual(await api.expect(200, "PUT", path, { body: { metadata: {} } }), { metadata: {} });
      await api.expect(200, "PUT", path, { body: { metadata: { e: "f" } } });
      assert.deepEqual(await api.expect(200, "GET", `${path}/e`), { meta: { e: "f" } });
      await api.expect(200, "PUT", `${path}/e`, { body: { meta: { e: "g" } } });
      await api.expect(200, "DELETE", `${path}/e`);
      const action = (key: string, value: unknown): Promise<unknown> =>
        api.expect(202, "POST", `/snapshots/${id}/action`, { body: { [key]: value } });
      await action("os-reset_status", { status: "creating" });
      await action("os-update_snapshot_status", { status: "available", progress: "100%" });
      await api.expect(202, "DELETE", `/snapshots/${id}`);
      const other = await api.expect(202, "POST", "/snapshots", { version: "3.66", body: { snapshot: { volume_id: volumeId } } });
      await api.expect(202, "POST", `/snapshots/${textAt(other, "snapshot", "id")}/action`, { body: { "os-force_delete": {} } });
    });

    await t.test("attachments", async () => {
      const volumeId = await createVolume(api);
      const v327 = { version: "3.27" };
      const given = { volume_uuid: volumeId, instance_uuid: instance };
      const { attachment } = await api.expect(200, "POST", "/attachments", { ...v327, body: { attachment: given } });
      assert.equal(attachment!["attach_mode"], "null");
      assert.deepEqual(attachment!["connection_info"], {});
      const id = textAt(attachment, "id");
      const updated = await api.expect(200, "PUT", `/attachments/${id}`, { ...v327, body: { attachment: { connector } } });
      assert.equal(updated["attachment"]!["connection_info"]!["driver_volume_type"], "nbd");
      await api.expect(404, "POST", `/attachments/${id}/action`, { version: "3.43", body: { "os-complete": null } });
      await api.expect(204, "POST", `/attachments/${id}/action`, { version: "3.44", body: { "os-complete": null } });
      const shown = await api.expect(200, "GET", `/attachments/${id}`, v327);
      assert.equal(shown["attachment"]!["status"], "attached");
      await api.expect(200, "GET", `/attachments?volume_id=${volumeId}`, v327);
      await api.expect(200, "GET", "/attachments/detail", v327);
      const moded = { ...given, connector: { ...connector, host: "compute2" }, mode: "ro" };
      await api.expect(400, "POST", "/attachments", { version: "3.53", body: { attachment: moded } });
      const second = await api.expect(200, "POST", "/attachments", { version: "3.54", body: { attachment: moded } });
      const left = await api.expect(200, "DELETE", `/attachments/${textAt(second, "attachment", "id")}`, v327);
      assert.deepEqual(
        itemsAt(left, "attachments").map((each) => each["id"]),
        [id],
      );
      assert.deepEqual(await api.expect(200, "DELETE", `/attachments/${id}`, v327), { attachments: [] });
    });

    await t.test("types, extra specs and access", async () => {
      const given = { name: "gold", description: "d", extra_specs: { a: "b" }, "os-volume-type-access:is_public": false };
      const id = textAt(await api.expect(200, "POST", "/types", { body: { volume_type: given } }), "volume_type", "id");
      await api.expect(409, "POST", "/types", { body: { volume_type: given } });
      await api.expect(200, "GET", `/types/${id}`);
      await api.expect(200, "GET", "/types/default");
      const listed = await api.expect(200, "GET", "/types?is_public=None");
      assert.ok(itemsAt(listed, "volume_types").some((each) => textAt(each, "id") === id));
      await api.expect(400, "GET", "/types?is_public=x");
      await api.expect(200, "PUT", `/types/${id}`, { body: { volume_type: { description: "e" } } });
      const specs = `/types/${id}/extra_specs`;
      assert.deepEqual(await api.expect(200, "POST", specs, { body: { extra_specs: { c: "d" } } }), { extra_specs: { c: "d" } });
      assert.deepEqual(await api.expect(200, "GET", specs), { extra_specs: { a: "b", c: "d" } });
      assert.deepEqual(await api.expect(200, "PUT", `${specs}/c`, { body: { c: "x" } }), { c: "x" });
      await api.expect(400, "PUT", `${specs}/c`, { body: { other: "x" } });
      assert.deepEqual(await api.expect(200, "GET", `${specs}/c`), { c: "x" });
      await api.expect(202, "DELETE", `${specs}/c`);
      const action = (key: string): Promise<unknown> =>
        api.expect(202, "POST", `/types/${id}/action`, { body: { [key]: { project: "p1" } } });
      await action("addProjectAccess");
      const access = await api.expect(200, "GET", `/types/${id}/os-volume-type-access`);
      assert.deepEqual(access, { volume_type_access: [{ volume_type_id: id, project_id: "p1" }] });
      await action("removeProjectAccess");
      await api.expect(202, "DELETE", `/types/${id}`);
    });

    await t.test("quotas and limits", async () => {
      await api.expect(200, "GET", "/limits");
      await api.expect(200, "GET", "/limits?project_id=p1", { version: "3.39" });
      const set = await api.expect(200, "GET", "/os-quota-sets/demo?usage=True");
      assert.equal(set["quota_set"]!["id"], "demo");
      assert.equal(typeof set["quota_set"]!["volumes"]!["in_use"], "number");
      await api.expect(200, "GET", "/os-quota-sets/demo/defaults");
      const body = { quota_set: { volumes: "7" } };
      assert.equal((await api.expect(200, "PUT", "/os-quota-sets/p1", { body }))["quota_set"]!["volumes"], 7);
      await api.expect(400, "PUT", "/os-quota-sets/p1", { body: { quota_set: { volumes: -2 } } });
      await api.expect(400, "PUT", "/os-quota-sets/p1", { body: { quota_set: { nothing: 1 } } });
      await api.expect(200, "DELETE", "/os-quota-sets/p1");
      await api.expect(200, "GET", "/os-quota-class-sets/default");
      await api.expect(200, "PUT", "/os-quota-class-sets/default", { body: { quota_class_set: { backups: 11 } } });
    });

    await t.test("services, hosts, pools, zones and what is fixed", async () => {
      const services = await api.expect(200, "GET", "/os-services?binary=cinder-volume", latest);
      const host = textAt(services, "services", "0", "host");
      const target = { binary: "cinder-volume", host };
      assert.deepEqual(await api.expect(200, "PUT", "/os-services/disable", { body: target }), {
        host,
        service: "",
        disabled: true,
        binary: "cinder-volume",
        status: "disabled",
      });
      await api.expect(200, "PUT", "/os-services/disable-log-reason", { body: { ...target, disabled_reason: "why" } });
      await api.expect(200, "PUT", "/os-services/disable-log-reason", { body: target });
      await api.expect(200, "PUT", "/os-services/enable", { body: target });
      assert.ok(itemsAt(await api.expect(200, "GET", "/os-hosts"), "hosts").length >= 2);
      await api.expect(200, "GET", `/os-hosts/${encodeURIComponent(host)}`);
      const pools = await api.expect(200, "GET", "/scheduler-stats/get_pools?detail=True");
      const poolName = textAt(pools, "pools", "0", "name");
      assert.match(poolName, /.+@.+#.+/);
      assert.deepEqual((await api.expect(200, "GET", "/scheduler-stats/get_pools"))["pools"], [{ name: poolName }]);
      await api.expect(400, "GET", "/scheduler-stats/get_pools?foo=1", { version: "3.28" });
      await api.expect(200, "GET", `/capabilities/${host}`);
      await api.expect(200, "GET", "/os-availability-zone");
      assert.equal(itemsAt(await api.expect(200, "GET", "/extensions"), "extensions").length, 32);
      await api.expect(200, "GET", "/extensions/os-services");
      await api.expect(404, "GET", "/extensions/nothing");
      const filters = await api.expect(200, "GET", "/resource_filters?resource=group", { version: "3.33" });
      assert.deepEqual(filters, { resource_filters: [{ resource: "group", filters: ["name"] }] });
    });

    await t.test("a volume that no pool can take leaves a message", async () => {
      const bogus = { name: "bogus", extra_specs: { vendor_name: "nobody" } };
      await api.expect(200, "POST", "/types", { body: { volume_type: bogus } });
      const id = await createVolume(api, { volume_type: "bogus" });
      await api.cinder.idle();
      assert.equal((await api.expect(200, "GET", `/volumes/${id}`))["volume"]!["status"], "error");
      const messages = await api.expect(200, "GET", `/messages?resource_uuid=${id}`, { version: "3.5" });
      assert.equal(textAt(messages, "messages", "0", "event_id"), "VOLUME_VOLUME_001_003");
      const asked = `/messages?resource_type=volume&resource_uuid=${id}`; // as the dashboard does
      assert.equal(itemsAt(await api.expect(200, "GET", asked, { version: "3.5" }), "messages").length, 1);
      const path = `/messages/${textAt(messages, "messages", "0", "id")}`;
      await api.expect(200, "GET", path, { version: "3.3" });
      await api.expect(404, "GET", path, { version: "3.2" });
      await api.expect(204, "DELETE", path, { version: "3.3" });
      await api.expect(404, "GET", path, { version: "3.3" });
    });

    await t.test("many attachments, growing in use and forced deletion, which ask a second rule", async () => {
      const given = { name: "many", extra_specs: { multiattach: "<is> True" } };
      const typeId = textAt(await api.expect(200, "POST", "/types", { body: { volume_type: given } }), "volume_type", "id");
      for (const version of ["3.52", "3.54"]) {
        const made = await api.expect(202, "POST", "/volumes", { version, body: { volume: { size: 1, volume_type: "many" } } });
        const id = textAt(made, "volume", "id");
        await act(api, id, "os-set_bootable", { bootable: true }, 200);
        const attachmentIds: string[] = [];
        for (const host of ["compute1", "compute2"]) {
          const attachment = { volume_uuid: id, instance_uuid: randomUUID(), connector: { ...connector, host } };
          const answer = await api.expect(200, "POST", "/attachments", { version, body: { attachment } });
          attachmentIds.push(textAt(answer, "attachment", "id"));
          const action = { version: "3.44", body: { "os-complete": null } };
          await api.expect(204, "POST", `/attachments/${attachmentIds.at(-1)}/action`, action);
        }
        await act(api, id, "os-extend", { new_size: 2 });
        for (const each of attachmentIds) await api.expect(200, "DELETE", `/attachments/${each}`, { version });
        await act(api, id, "os-reset_status", { status: "maintenance" });
        await api.expect(400, "DELETE", `/volumes/${id}`, { version: "3.23" });
        await api.expect(202, "DELETE", `/volumes/${id}?force=true`, { version: "3.23" });
      }
      await api.expect(202, "DELETE", `/types/${typeId}`);
    });

    await t.test("what is not there is not found", async () => {
      for (const path of [`/volumes/${absent}`, `/snapshots/${absent}`, `/types/${absent}`, `/volumes/${absent}/metadata`]) {
        await api.expect(404, "GET", path);
      }
      await api.expect(404, "GET", `/attachments/${absent}`, { version: "3.27" });
    });

    for (const [name, stop] of Object.entries({ ...operatorTour, ...groupTour })) await t.test(name, () => stop(api));

    await t.test("every operation of openapi.yaml has succeeded, and nothing went wrong behind it", () => {
      for (const { id, refusal } of api.document.operations) {
        assert.equal(seenHere.operationIds.includes(id), refusal === undefined, `${id} has succeeded`);
      }
      assert.deepEqual(api.errors, []);
      assert.deepEqual(api.troubles, []);
      seenByForm.set(form, seenHere.operationIds);
    });

    await t.test("every operation has asked the rules of its x-policy and x-field-policy, and no other", () => {
      for (const { id, rules, fieldRules } of api.document.operations) {
        const { enforced = [], shown = [] } = asked.get(id) ?? {};
        assert.deepEqual([[...enforced].sort(), [...shown].sort()], [[...rules].sort(), [...fieldRules].sort()], id);
      }
    });
  });

test("the record says which stop of the tour saw which operation succeed", () => {
  assert.equal(seenByForm.size, 2);
  for (const ids of seenByForm.values()) assert.deepEqual(ids, seen.operationIds);
  seen.checkRecord(import.meta.filename);
});
