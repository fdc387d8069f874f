// The tour of the README with Debian's real openstack client, and what it says when something is wrong.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BlockStorage } from "./harness/block-storage.ts";
import { missingCommand } from "./harness/command.ts";
import { OpenstackClient } from "./harness/openstack-client.ts";
import { watchOperations } from "./harness/operation-record.ts";
import { prepareAndiron, type AndironProcess } from "./harness/service.ts";

interface ShownVolume {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly size: number;
  readonly type: string;
  readonly properties: Record<string, string> | string;
  readonly snapshot_id: string | null;
  readonly source_volid: string | null;
}

interface ListedVolume {
  readonly ID: string;
  readonly Name: string;
  readonly Status: string;
  readonly Size: number;
}

const skip = (await missingCommand(["openstack"])) ?? false;

describe("the openstack client", { skip: skip && `${skip} is not installed`, timeout: 900_000 }, () => {
  let service: AndironProcess;
  let api: BlockStorage;
  let client: OpenstackClient;

  before(async () => {
    service = await prepareAndiron();
    await service.start();
    api = new BlockStorage(service);
    client = new OpenstackClient(api.url);
  });
  after(() => service.dispose());
  watchOperations(import.meta.filename, () => service);

  /** What is left of earlier tests would change lists and sums. */
  async function deleteAll(): Promise<void> {
    for (const { id } of await api.snapshots()) await api.delete("snapshots", id);
    for (const { id } of await api.volumes()) await api.delete("volumes", id);
  }

  test("a volume is created, listed, shown, renamed, described, extended and deleted", async () => {
    const created = await client.json<ShownVolume>("volume", "create", "--size", "1", "--description", "first", "tour");
    assert.equal(created.name, "tour");
    assert.equal(created.size, 1);
    assert.ok(["creating", "available"].includes(created.status), created.status);
    await api.waitForStatus("volumes", created.id, "available");

    const listed = await client.json<ListedVolume[]>("volume", "list");
    assert.deepEqual(
      listed.map(({ ID, Name, Status, Size }) => [ID, Name, Status, Size]),
      [[created.id, "tour", "available", 1]],
    );
    const shown = await client.json<ShownVolume>("volume", "show", "tour");
    assert.equal(shown.id, created.id);
    assert.equal(shown.type, "__DEFAULT__");

    await client.text("volume", "set", "--name", "renamed", "--property", "colour=green", "tour");
    await client.text("volume", "set", "--size", "2", "renamed");
    await api.waitForStatus("volumes", created.id, "available");
    const changed = await client.json<ShownVolume>("volume", "show", created.id);
    assert.equal(changed.name, "renamed");
    assert.equal(changed.size, 2);
    assert.match(JSON.stringify(changed.properties), /colour.*green/);

    await client.text("volume", "delete", "renamed");
    assert.deepEqual(await client.json<ListedVolume[]>("volume", "list"), []);
  });

  test("snapshots and clones live on without the volume that they come from", async () => {
    await client.text("volume", "create", "--size", "1", "origin");
    await client.text("volume", "snapshot", "create", "--volume", "origin", "moment");
    const [moment] = await client.json<{ ID: string; Name: string; Status: string }[]>("volume", "snapshot", "list");
    assert.equal(moment?.Name, "moment");
    await api.waitForStatus("snapshots", moment.ID, "available");
    const fromSnapshot = await client.json<ShownVolume>("volume", "create", "--snapshot", "moment", "from-snapshot");
    const fromVolume = await client.json<ShownVolume>("volume", "create", "--source", "origin", "from-volume");
    for (const { id } of [fromSnapshot, fromVolume]) await api.waitForStatus("volumes", id, "available");
    assert.equal(fromSnapshot.snapshot_id, moment.ID);
    assert.equal(fromSnapshot.size, 1);
    const listed = await client.json<ListedVolume[]>("volume", "list", "--sort-column", "Name");
    assert.deepEqual(
      listed.map(({ Name }) => Name),
      ["from-snapshot", "from-volume", "origin"],
    );
    await client.text("volume", "snapshot", "delete", "moment");
    await client.text("volume", "delete", "origin", "from-snapshot", "from-volume");
    assert.deepEqual(await client.json<ListedVolume[]>("volume", "list"), []);
  });

  test("volume types are made, given extra specs, used and deleted", async () => {
    await client.text("volume", "type", "create", "--property", "volume_backend_name=vpool1", "quick");
    const types = await client.json<{ Name: string }[]>("volume", "type", "list");
    assert.deepEqual(types.map(({ Name }) => Name).sort(), ["__DEFAULT__", "quick"]);
    const volume = await client.json<ShownVolume>("volume", "create", "--size", "1", "--type", "quick", "typed");
    assert.equal(volume.type, "quick");
    await api.waitForStatus("volumes", volume.id, "available");
    const refused = await client.run("volume", "type", "delete", "quick");
    assert.equal(refused.code, 1, "a type in use can't be deleted");
    await client.text("volume", "delete", "typed");
    await client.text("volume", "type", "delete", "quick");
  });

  test("an attachment is listed, shown and deleted", async () => {
    await deleteAll();
    const volumeId = await api.createVolume({ name: "attached" });
    const { id } = await api.attach(volumeId);
    const versioned = (...args: string[]): string[] => ["--os-volume-api-version", "3.44", "volume", "attachment", ...args];
    const listed = await client.json<{ ID: string }[]>(...versioned("list"));
    assert.deepEqual(
      listed.map(({ ID }) => ID),
      [id],
    );
    const shown = await client.text(...versioned("show", id));
    assert.match(shown, /attached/);
    const busy = await client.run("volume", "delete", "attached");
    assert.equal(busy.code, 1, "a volume in use can't be deleted");
    await client.text(...versioned("delete", id));
    await api.waitForStatus("volumes", volumeId, "available");
    await client.text("volume", "delete", "attached");
  });

  test("services, pools, limits, zones and the summary are told", async () => {
    await deleteAll();
    await api.createVolume({ size: 3 });
    const services = await client.json<{ Binary: string; State: string; Status: string }[]>("volume", "service", "list");
    assert.ok(services.some(({ Binary }) => Binary === "cinder-volume"));
    assert.ok(services.every(({ State, Status }) => State === "up" && Status === "enabled"));
    const limits = await client.json<{ Name: string; Value: number }[]>("limits", "show", "--absolute");
    const value = (name: string): number | undefined => limits.find(({ Name }) => Name === name)?.Value;
    assert.equal(value("totalVolumesUsed"), 1);
    assert.equal(value("totalGigabytesUsed"), 3);
    const zones = await client.json<{ "Zone Name": string }[]>("availability", "zone", "list", "--volume");
    assert.deepEqual(
      zones.map((zone) => zone["Zone Name"]),
      ["nova"],
    );
    await client.text("extension", "list", "--volume");
    const summary = await api.call<{ "volume-summary": unknown }>("GET", "/volumes/summary");
    assert.deepEqual(summary["volume-summary"], { metadata: {}, total_count: 1, total_size: 3 });
    const pools = await api.call<{ pools: { name: string }[] }>("GET", "/scheduler-stats/get_pools");
    assert.match(pools.pools[0]?.name ?? "", /^[^@#]+@vpool1#vpool1$/);
    const quotas = await api.call<{ quota_set: Record<string, { in_use: number }> }>("GET", "/os-quota-sets/demo?usage=true");
    assert.equal(quotas.quota_set["gigabytes"]?.in_use, 3);
  });

  test("errors have an exit code and a sentence of Cinder's", async () => {
    const missing = await client.run("volume", "show", "nothing-like-it");
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /No volume with a name or ID of 'nothing-like-it' exists/);
    const small = await client.run("volume", "create", "--size", "0", "nothing");
    assert.equal(small.code, 1);
    assert.match(small.stderr, /HTTP 400/);
    const typeless = await client.run("volume", "create", "--size", "1", "--type", "no-such-type", "nothing");
    assert.equal(typeless.code, 1);
    assert.match(typeless.stderr, /no-such-type.*(HTTP 404)/s);
    const volumeId = await api.createVolume({ name: "shrinking", size: 2 });
    const shrunk = await client.run("volume", "set", "--size", "1", volumeId);
    assert.equal(shrunk.code, 1);
    assert.match(shrunk.stderr, /New size must be greater/);
  });

  test("what was made is there after a restart", async () => {
    await deleteAll();
    const volumeId = await api.createVolume({ name: "kept" });
    assert.equal(await service.stop(), 0);
    await service.start();
    client = new OpenstackClient(api.url);
    const [kept] = await client.json<ListedVolume[]>("volume", "list");
    assert.deepEqual([kept?.ID, kept?.Name, kept?.Status], [volumeId, "kept", "available"]);
  });
});
