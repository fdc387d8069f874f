// Services, pools, hosts and zones, and the choice of a pool by what types ask for.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { PoolInfo } from "../engine/control.ts";
import { admin, member, openFixture } from "./cinder-fixture.ts";
import { meets } from "./extra-specs.ts";
import { CinderFault } from "./faults.ts";
import { choosePool } from "./scheduler.ts";
import { defaultSettings, poolDefaults } from "./settings.ts";

const pool = (name: string, freeBytes: number, provisionedBytes = 0): PoolInfo => ({
  name,
  protocol: "nbd",
  totalBytes: 2 ** 40,
  freeBytes,
  provisionedBytes,
  vdiskCount: 0,
});

test("one cinder-volume row a pool, one row a machine of what runs on each, up and down by what they report", async (t) => {
  const { cinder, control } = await openFixture(t, { settings: { host: "api1" } });
  const rows = await cinder.topology.services(admin, {});
  assert.deepEqual(
    rows.map((row) => [row.binary, row.host, row.state, row.status]),
    [
      ["cinder-backup", "api1", "up", "enabled"],
      ["cinder-scheduler", "api1", "up", "enabled"],
      ["cinder-volume", "andiron@p1", "up", "enabled"],
    ],
  );
  control.routerRows = control.routerRows.map((router) => ({ ...router, alive: false }));
  const [down] = await cinder.topology.services(admin, { binary: "cinder-volume", host: "andiron" });
  assert.deepEqual([down?.state, down?.volume?.backendState], ["down", "down"]);
  await assert.rejects(cinder.topology.services(member, {}), /^CinderFault: Policy doesn't allow/);
});

test("a disabled pool takes no volumes and is no host, until it is enabled again", async (t) => {
  const { cinder } = await openFixture(t);
  const target = { binary: "cinder-volume", host: "andiron@p1" };
  await cinder.topology.disableService(admin, target, "repair");
  const [row] = await cinder.topology.services(admin, { binary: "cinder-volume" });
  assert.deepEqual([row?.status, row?.disabledReason], ["disabled", "repair"]);
  assert.equal((await cinder.topology.hosts(admin)).length, 2);
  assert.equal((await cinder.topology.zones(member))[0]?.available, false);
  assert.equal((await cinder.volumes.create(member, { sizeGib: 1 })).volume.status, "error");
  await cinder.topology.enableService(admin, target);
  assert.equal((await cinder.volumes.create(member, { sizeGib: 1 })).volume.status, "available");
  assert.equal((await cinder.topology.hosts(admin)).length, 3);
  await assert.rejects(cinder.topology.enableService(admin, { ...target, host: "x" }), CinderFault);
});

test("pools and capabilities agree, and pools are filtered by name, capability and type", async (t) => {
  const { cinder } = await openFixture(t);
  const [row, ...others] = await cinder.topology.pools(admin, {});
  assert.equal(others.length, 0);
  assert.equal(row?.name, "andiron@p1#p1");
  const capabilities = await cinder.topology.capabilities(admin, "andiron@p1");
  for (const key of ["vendor_name", "volume_backend_name", "storage_protocol"]) {
    assert.equal(capabilities[key], row?.capabilities[key], key);
  }
  assert.equal(row?.capabilities["total_capacity_gb"], 2 ** 20);
  const type = await cinder.volumeTypes.create(admin, { name: "fc", extraSpecs: { storage_protocol: "FC" } });
  assert.equal((await cinder.topology.pools(admin, { volumeType: type.id })).length, 0);
  assert.equal((await cinder.topology.pools(admin, { name: "andiron@p1#p1" })).length, 1);
  assert.equal((await cinder.topology.pools(admin, { capabilities: { vendor_name: "x" } })).length, 0);
  await assert.rejects(cinder.topology.capabilities(admin, "x@y"), CinderFault);
});

test("a host's usage is counted in all and by project", async (t) => {
  const { cinder } = await openFixture(t);
  const { volume } = await cinder.volumes.create(member, { sizeGib: 2 });
  await cinder.volumes.create({ ...member, projectId: "other" }, { sizeGib: 3 });
  await cinder.snapshots.create(member, { volumeId: volume.id, allowInUse: false });
  const usages = await cinder.topology.hostUsage(admin, "andiron@p1");
  assert.deepEqual(
    usages.map((usage) => [usage.projectId, usage.volumeCount, usage.totalVolumeGib, usage.snapshotCount]),
    [
      ["(total)", 2, 5, 1],
      ...usages.slice(1).map((usage) => (usage.projectId === "demo" ? ["demo", 1, 2, 1] : ["other", 1, 3, 0])),
    ],
  );
  assert.equal(usages.length, 3);
  await assert.rejects(cinder.topology.hostUsage(admin, "api1"), CinderFault);
});

test("what extra specs ask for", () => {
  const table: [string, string | number | boolean | undefined, boolean][] = [
    ["<is> True", true, true],
    ["<is> False", true, false],
    ["<is> True", undefined, false],
    ["<in> nb", "nbd", true],
    ["<or> iscsi <or> nbd", "nbd", true],
    ["<or> iscsi <or> fc", "nbd", false],
    ["s== nbd", "nbd", true],
    ["s!= nbd", "nbd", false],
    [">= 10", 10, true],
    ["<= 10", 10, true],
    ["= 10", 11, true],
    ["= ", 11, false],
    ["s>= b", "nbd", true],
    ["== 1", "1.0", true],
    ["nbd", "nbd", true],
    ["two words", "two words", true],
    ["True", true, true],
    ["yes", true, true],
    ["yes", false, false],
  ];
  for (const [requirement, value, expected] of table) {
    assert.equal(meets(requirement, value), expected, `${requirement} of ${String(value)}`);
  }
});

test("the emptiest pool that fits is chosen, or the reasons name the filter and the figures", () => {
  const gib = 2 ** 30;
  const demand = { sizeGib: 10, extraSpecs: {}, availabilityZone: "nova" };
  const none = (_name: string): boolean => false;
  const choose = (pools: PoolInfo[], extra: object = {}, disabled = none, settings: object = {}): unknown =>
    choosePool({ ...defaultSettings, ...settings }, pools, { ...demand, ...extra }, disabled);
  const two = [pool("a", 10 * gib), pool("b", 20 * gib)];
  assert.deepEqual(choose(two), { pool: "b" });
  assert.deepEqual(choose(two, { pool: "a" }), { pool: "a" });
  assert.deepEqual(
    choose(two, {}, (name) => name === "b"),
    { pool: "a" },
  );
  assert.deepEqual(choose(two, { samePools: new Set(["a"]) }), { pool: "a" });
  assert.deepEqual(choose(two, { differentPools: new Set(["b"]) }), { pool: "a" });
  assert.deepEqual(choose(two, { samePools: new Set(["a", "b"]) }), {
    reasons: ["a: SameBackendFilter: same_host asks for a, b", "b: SameBackendFilter: same_host asks for a, b"],
  });
  const named = { extraSpecs: { volume_backend_name: "fast" } };
  assert.deepEqual(choose(two, named, none, { pools: { a: { ...poolDefaults, backendName: "fast" } } }), { pool: "a" });
  assert.deepEqual(choose([pool("a", gib)], named), {
    reasons: ['a: CapabilitiesFilter: volume_backend_name is a, not "fast"'],
  });
  assert.deepEqual(choose([]), { reasons: ["there is no pool"] });
  assert.deepEqual(
    choose([pool("a", gib)], {}, () => true),
    { reasons: ["a: ServiceFilter: it is disabled"] },
  );
  assert.deepEqual(choose([pool("a", gib, 20 * 2 ** 40)]), {
    reasons: ["a: CapacityFilter: 20480 GiB are provisioned of 1024 GiB, and 10 GiB more exceed max_over_subscription_ratio 20"],
  });
  const kept = { pools: { a: { ...poolDefaults, reservedPercentage: 10 } } };
  assert.deepEqual(choose([pool("a", 110 * gib)], {}, none, kept), { pool: "a" });
  assert.deepEqual(choose([pool("a", 102.5 * gib)], {}, none, kept), {
    reasons: ["a: CapacityFilter: 0.1 GiB are free beside the 10 % reserved, times 20 less than the 10 GiB asked for"],
  });
  const zones = { extraSpecs: { "RESKEY:availability_zones": "x, y" } };
  assert.deepEqual(choose([pool("a", gib)], zones), {
    reasons: ["a: AvailabilityZoneFilter: the type is for zones x, y, not for nova"],
  });
  assert.deepEqual(choose([{ ...pool("a", 10), totalBytes: Number.POSITIVE_INFINITY }], { sizeGib: 1e6 }), { pool: "a" });
});
