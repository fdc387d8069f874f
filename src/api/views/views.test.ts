// Every view, field by field and microversion by microversion.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Attachment, Message, Snapshot, Volume, VolumeType } from "../../cinder/model.ts";
import { Links } from "../links.ts";
import { viewAttachment, viewAttachmentEntry, viewConnectionInfo } from "./attachment.ts";
import { extensionViews } from "./extension.ts";
import { viewMessage } from "./message.ts";
import { viewQuotaSet } from "./quota-set.ts";
import { viewHost, viewHostUsage, viewService } from "./service.ts";
import { viewSnapshot, viewSnapshotEntry } from "./snapshot.ts";
import { formatUtcTime } from "../../common/utc-time.ts";
import { viewVolume, viewVolumeEntry, viewVolumeSummary } from "./volume.ts";
import { viewVolumeType } from "./volume-type.ts";

const links = new Links("http://api:8776", "demo");
const createdAtMs = Date.UTC(2026, 10, 22, 6, 37, 15, 798);
const created = "2026-11-22T06:37:15.798000";

const volume: Volume = {
  v: 1,
  id: "11111111-1111-4111-8111-111111111111",
  projectId: "demo",
  userId: "ann",
  name: "data",
  description: null,
  sizeGib: 2,
  status: "available",
  attachStatus: "detached",
  migrationStatus: null,
  previousStatus: null,
  typeId: "t1",
  host: "andiron@vpool1#vpool1",
  availabilityZone: "nova",
  createdAtMs,
  updatedAtMs: null,
  bootable: false,
  multiattach: false,
  snapshotId: null,
  sourceVolumeId: null,
  groupId: null,
  consumesQuota: true,
  metadata: { a: "b" },
  adminMetadata: { readonly: "True" },
  imageMetadata: {},
  snapshotCount: 0,
  attachmentIds: [],
};

const attachment: Attachment = {
  v: 1,
  id: "22222222-2222-4222-8222-222222222222",
  volumeId: volume.id,
  projectId: "demo",
  userId: "ann",
  status: "attached",
  instanceId: "i1",
  attachedHost: "compute1",
  mountpoint: "/dev/vdb",
  attachMode: "rw",
  connector: { host: "compute1" },
  connectionInfo: {
    driver_volume_type: "nbd",
    hosts: ["127.0.0.1"],
    ports: ["10809"],
    name: "secret",
    access_mode: "rw",
    discard: true,
    qos_specs: null,
    encrypted: false,
    cacheable: false,
    volume_id: volume.id,
    attachment_id: "22222222-2222-4222-8222-222222222222",
  },
  unclaimed: false,
  createdAtMs,
  updatedAtMs: null,
  attachedAtMs: createdAtMs,
};

const baseKeys = [
  "attachments",
  "availability_zone",
  "bootable",
  "consistencygroup_id",
  "created_at",
  "description",
  "encrypted",
  "id",
  "links",
  "metadata",
  "multiattach",
  "name",
  "replication_status",
  "size",
  "snapshot_id",
  "source_volid",
  "status",
  "updated_at",
  "user_id",
  "volume_type",
];

/** What each microversion adds for members, and what it adds for administrators besides. */
const additions: readonly (readonly [number, readonly string[], readonly string[]])[] = [
  [0, [], ["migration_status"]],
  [12, [], []],
  [13, ["group_id"], []],
  [20, [], []],
  [21, [], ["provider_id"]],
  [47, [], []],
  [48, ["shared_targets", "service_uuid"], []],
  [60, [], []],
  [61, [], ["cluster_name"]],
  [62, [], []],
  [63, ["volume_type_id"], []],
  [64, [], []],
  [65, ["consumes_quota"], []],
  [71, [], []],
];

for (const isAdmin of [false, true]) {
  const expected = [...baseKeys];
  for (const [minor, forAll, forAdmins] of additions) {
    expected.push(...forAll, ...(isAdmin ? forAdmins : []));
    const keys = [...expected].sort();
    test(`a volume at 3.${minor} has exactly its fields for ${isAdmin ? "an administrator" : "a member"}`, () => {
      const view = viewVolume({ volume, typeName: "fast", attachments: [] }, { minor, isAdmin, links, fields: undefined });
      assert.deepEqual(Object.keys(view).sort(), keys);
    });
  }
}

const ofMember = { host: false, project: true, migration: false, imageMetadata: true };
const ofAdmin = { host: true, project: true, migration: true, imageMetadata: true };

test("show and detail add attributes, and image metadata only when there is some", () => {
  const detail = { volume, typeName: "fast", attachments: [] };
  const member = viewVolume(detail, { minor: 0, isAdmin: false, links, fields: ofMember });
  assert.deepEqual(Object.keys(member).sort(), [...baseKeys, "os-vol-tenant-attr:tenant_id"].sort());
  const withImage = { ...detail, volume: { ...volume, imageMetadata: { os: "debian" } } };
  const admin = viewVolume(withImage, { minor: 0, isAdmin: true, links, fields: ofAdmin });
  assert.equal(admin["os-vol-host-attr:host"], "andiron@vpool1#vpool1");
  assert.equal(admin["os-vol-mig-status-attr:migstat"], null);
  assert.equal(admin["os-vol-mig-status-attr:name_id"], null);
  assert.deepEqual(admin["volume_image_metadata"], { os: "debian" });
  const bare = { host: false, project: false, migration: false, imageMetadata: false };
  const stripped = viewVolume(withImage, { minor: 0, isAdmin: false, links, fields: bare });
  assert.deepEqual(Object.keys(stripped).sort(), [...baseKeys].sort());
});

test("a volume's values are in the API's notation", () => {
  const view = viewVolume({ volume, typeName: "fast", attachments: [] }, { minor: 71, isAdmin: false, links, fields: undefined });
  assert.equal(view["bootable"], "false");
  assert.equal(view["created_at"], created);
  assert.equal(view["updated_at"], null);
  assert.deepEqual(view["metadata"], { a: "b", readonly: "True" });
  assert.deepEqual(view["links"], [
    { rel: "self", href: `http://api:8776/v3/demo/volumes/${volume.id}` },
    { rel: "bookmark", href: `http://api:8776/demo/volumes/${volume.id}` },
  ]);
});

test("statuses of managing are shown as users know them", () => {
  const shown = (status: Volume["status"]): unknown =>
    viewVolume(
      { volume: { ...volume, status }, typeName: null, attachments: [] },
      { minor: 0, isAdmin: false, links, fields: undefined },
    )["status"];
  assert.equal(shown("managing"), "creating");
  assert.equal(shown("error_managing"), "error");
  assert.equal(shown("error_managing_deleting"), "deleting");
  assert.equal(shown("in-use"), "in-use");
});

test("a volume's attachments show the host to administrators only", () => {
  const detail = { volume, typeName: null, attachments: [attachment] };
  const shown = (isAdmin: boolean): unknown => viewVolume(detail, { minor: 0, isAdmin, links, fields: undefined })["attachments"];
  const entry = {
    id: volume.id,
    attachment_id: attachment.id,
    volume_id: volume.id,
    server_id: "i1",
    host_name: "compute1",
    device: "/dev/vdb",
    attached_at: created,
  };
  assert.deepEqual(shown(true), [entry]);
  assert.deepEqual(shown(false), [{ ...entry, host_name: null }]);
});

test("the short form and the summary", () => {
  assert.deepEqual(Object.keys(viewVolumeEntry({ volume, typeName: null, attachments: [] }, links)), ["id", "name", "links"]);
  const summary = { count: 2, totalGib: 5, metadata: { a: ["b", "c"] } };
  assert.deepEqual(viewVolumeSummary(summary, 35), { total_count: 2, total_size: 5 });
  assert.deepEqual(viewVolumeSummary(summary, 36), { total_count: 2, total_size: 5, metadata: { a: ["b", "c"] } });
});

const snapshot: Snapshot = {
  v: 1,
  id: "33333333-3333-4333-8333-333333333333",
  projectId: "demo",
  userId: "ann",
  volumeId: volume.id,
  typeId: null,
  name: "s",
  description: null,
  sizeGib: 2,
  status: "available",
  progress: "100%",
  createdAtMs,
  updatedAtMs: createdAtMs,
  groupSnapshotId: null,
  consumesQuota: true,
  availabilityZone: "nova",
  metadata: {},
};
const snapshotKeys = ["created_at", "description", "id", "metadata", "name", "size", "status", "updated_at", "volume_id"];

test("a snapshot has exactly the fields of its microversion", () => {
  assert.deepEqual(Object.keys(viewSnapshotEntry(snapshot)).sort(), snapshotKeys);
  const keysAt = (minor: number): string[] => Object.keys(viewSnapshot(snapshot, minor, false)).sort();
  assert.deepEqual(keysAt(13), snapshotKeys);
  assert.deepEqual(keysAt(14), [...snapshotKeys, "group_snapshot_id"].sort());
  assert.deepEqual(keysAt(40), [...snapshotKeys, "group_snapshot_id"].sort());
  assert.deepEqual(keysAt(41), [...snapshotKeys, "group_snapshot_id", "user_id"].sort());
  assert.deepEqual(keysAt(64), keysAt(41));
  assert.deepEqual(keysAt(65), [...snapshotKeys, "group_snapshot_id", "user_id", "consumes_quota"].sort());
  const extended = viewSnapshot(snapshot, 0, true);
  assert.equal(extended["os-extended-snapshot-attributes:progress"], "100%");
  assert.equal(extended["os-extended-snapshot-attributes:project_id"], "demo");
});

test("an attachment's connection is flat, and what is unknown is written as Cinder writes it", () => {
  const view = viewAttachment(attachment);
  assert.equal((view["connection_info"] as { driver_volume_type: string }).driver_volume_type, "nbd");
  assert.equal(view["attached_at"], created);
  const reserved = viewAttachment({
    ...attachment,
    status: "reserved",
    attachMode: null,
    connectionInfo: null,
    attachedAtMs: null,
    instanceId: null,
  });
  assert.deepEqual(reserved, {
    id: attachment.id,
    status: "reserved",
    instance: null,
    volume_id: volume.id,
    attached_at: "",
    detached_at: "",
    attach_mode: "null",
    connection_info: {},
  });
  assert.deepEqual(Object.keys(viewAttachmentEntry(attachment)), ["id", "status", "instance", "volume_id"]);
});

test("os-initialize_connection nests everything but the type", () => {
  const { driver_volume_type, ...data } = attachment.connectionInfo!;
  assert.deepEqual(viewConnectionInfo(attachment.connectionInfo!), { driver_volume_type, data });
});

test("a type's access field and its qos specs depend on operation and role", () => {
  const type: VolumeType = {
    v: 1,
    id: "t1",
    name: "fast",
    description: null,
    isPublic: true,
    extraSpecs: { x: "y" },
    access: [],
    qosSpecsId: null,
    createdAtMs,
    updatedAtMs: null,
  };
  const keys = (withQosSpecs: boolean, withAccess: boolean): string[] =>
    Object.keys(viewVolumeType(type, { withQosSpecs, withAccess, extraSpecs: {} })).sort();
  assert.deepEqual(keys(false, false), ["description", "extra_specs", "id", "is_public", "name"]);
  assert.deepEqual(keys(true, true), [
    "description",
    "extra_specs",
    "id",
    "is_public",
    "name",
    "os-volume-type-access:is_public",
    "qos_specs_id",
  ]);
});

test("quota sets are limits, or limits with their use", () => {
  const quotas = { volumes: { limit: 10, inUse: 3, reserved: 0 as const } };
  assert.deepEqual(viewQuotaSet(quotas, "demo", false), { id: "demo", volumes: 10 });
  assert.deepEqual(viewQuotaSet(quotas, undefined, true), { volumes: { limit: 10, in_use: 3, reserved: 0 } });
});

test("services show cluster from 3.7 and backend_state from 3.49", () => {
  const row = {
    binary: "cinder-volume",
    host: "andiron@vpool1",
    zone: "nova",
    status: "enabled" as const,
    state: "up" as const,
    updatedAtMs: createdAtMs,
    disabledReason: null,
    volume: { replicationStatus: "disabled", activeBackendId: null, frozen: false as const, backendState: "up" as const },
  };
  const keysAt = (minor: number): Set<string> => new Set(Object.keys(viewService(row, minor)));
  assert.equal(keysAt(6).has("cluster"), false);
  assert.equal(keysAt(7).has("cluster"), true);
  assert.equal(keysAt(48).has("backend_state"), false);
  assert.equal(keysAt(49).has("backend_state"), true);
  const { volume: _, ...scheduler } = row;
  assert.equal("frozen" in viewService({ ...scheduler, binary: "cinder-scheduler" }, 71), false);
  assert.deepEqual(viewHost(row), {
    "service-status": "available",
    service: "cinder-volume",
    zone: "nova",
    "service-state": "enabled",
    host_name: "andiron@vpool1",
    "last-update": created,
  });
});

test("host usage is written in text", () => {
  const usage = { host: "h@p", projectId: "(total)", volumeCount: 2, totalVolumeGib: 3, snapshotCount: 0, totalSnapshotGib: 0 };
  assert.deepEqual(viewHostUsage(usage), {
    resource: {
      host: "h@p",
      project: "(total)",
      volume_count: "2",
      total_volume_gb: "3",
      snapshot_count: "0",
      total_snapshot_gb: "0",
    },
  });
});

test("a message has its fields and links", () => {
  const message: Message = {
    v: 1,
    id: "m1",
    projectId: "demo",
    requestId: "req-1",
    eventId: "VOLUME_VOLUME_001_003",
    userMessage: "schedule allocate volume:Could not find any available weighted backend.",
    level: "ERROR",
    resourceType: "VOLUME",
    resourceId: volume.id,
    createdAtMs,
    guaranteedUntilMs: createdAtMs,
  };
  const view = viewMessage(message, links);
  assert.equal(view["event_id"], "VOLUME_VOLUME_001_003");
  assert.equal(view["message_level"], "ERROR");
  assert.equal(view["resource_uuid"], volume.id);
});

test("there are 32 extensions with different names, Services among them", () => {
  assert.equal(new Set(extensionViews.map((view) => view["alias"])).size, 32);
  assert.ok(extensionViews.some((view) => view["name"] === "Services"));
});

test("times have microseconds and no zone", () => {
  assert.equal(formatUtcTime(createdAtMs), created);
});

test("the next link keeps the other parameters and replaces the marker", () => {
  const query = new URLSearchParams("limit=1&marker=old&name=é");
  assert.deepEqual(links.next("volumes/detail", query, "new"), [
    { rel: "next", href: "http://api:8776/v3/demo/volumes/detail?limit=1&name=%C3%A9&marker=new" },
  ]);
  assert.equal(
    new Links("http://h", undefined).next("volumes", new URLSearchParams(), "m")[0]?.href,
    "http://h/v3/volumes?marker=m",
  );
});
