// One instant over all volumes of a group, as a client of NBD sees it. A writer stamps the volumes one after the other, each
// round with the next number, each write after the one before was acknowledged. So at every instant the stamps fall along the
// volumes by at most one, and so must those of a group snapshot's members, and of the volumes of a copied group: whatever runs
// meanwhile, kills with SIGKILL included. GROUP_KILLS and GROUP_SEED for longer runs and to repeat one.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../src/common/random.ts";
import type { NbdClient } from "../src/nbd/client.ts";
import { BlockStorage, type Attachment, type Snapshot, type Volume } from "./harness/block-storage.ts";
import { openExport, readBytes } from "./harness/nbd.ts";
import { type AndironProcess, prepareAndiron } from "./harness/service.ts";

const kills = Number(process.env["GROUP_KILLS"] ?? 8);
const seed = Number(process.env["GROUP_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
const startMsMax = 180_000;
const blockBytes = 4096;
const membersMax = 20;

interface Group {
  readonly id: string;
  readonly status: string;
  readonly volumes: readonly string[];
}

/** Stamps all volumes in order, round after round, until it is stopped or a connection breaks. */
class RoundWriter {
  readonly #service: AndironProcess;
  readonly #exportNames: readonly string[];
  #round = 1;
  #next = 0;
  #stopped = false;
  #ended: Promise<void> = Promise.resolve();

  constructor(service: AndironProcess, attachments: readonly Attachment[]) {
    this.#service = service;
    this.#exportNames = attachments.map(({ connection_info }) => connection_info.name);
  }

  get round(): number {
    return this.#round;
  }

  /** Goes on where it was: what was not acknowledged is written again. */
  async start(): Promise<void> {
    this.#stopped = false;
    const clients = await Promise.all(this.#exportNames.map((name) => openExport(this.#service, name)));
    this.#ended = this.#run(clients).catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#ended;
  }

  async #run(clients: readonly NbdClient[]): Promise<void> {
    try {
      while (!this.#stopped) {
        const client = clients[this.#next]!;
        const block = Buffer.alloc(blockBytes);
        block.writeUInt32LE(this.#round);
        await client.write(0, block, { fua: false });
        this.#next = (this.#next + 1) % clients.length;
        if (this.#next === 0) this.#round++;
      }
    } finally {
      await Promise.all(clients.map((client) => client.disconnect().catch(() => undefined)));
    }
  }
}

/** What is wrong with stamps along the volumes of one instant. */
function contradiction(stamps: readonly number[]): string | undefined {
  const [first = 0] = stamps;
  const last = stamps.at(-1) ?? 0;
  const falls = stamps.every((stamp, index) => index === 0 || stamp <= stamps[index - 1]!);
  return falls && first - last <= 1 ? undefined : `no one instant: ${stamps.join(" ")}`;
}

test("the judge tells one instant from several", () => {
  for (const stamps of [
    [3, 3, 3],
    [4, 3, 3],
    [4, 4, 3],
    [0, 0, 0],
  ])
    assert.equal(contradiction(stamps), undefined);
  for (const stamps of [
    [3, 4, 3],
    [3, 3, 4],
    [5, 4, 3],
    [5, 3, 3],
  ])
    assert.match(contradiction(stamps) ?? "", /no one instant/);
});

describe(`one instant over a group (GROUP_SEED=${seed})`, { timeout: 300_000 + kills * 60_000 }, () => {
  const random = seededRandom(seed);
  let service: AndironProcess;
  let api: BlockStorage;
  let groupType = "";

  before(async () => {
    service = await prepareAndiron({ DEFAULT: { quota_groups: -1 }, jobs: { lease_ttl: 2 } });
    await service.start(startMsMax);
    api = new BlockStorage(service);
    const made = await api.call<{ group_type: { id: string } }>("POST", "/group_types", { group_type: { name: "g" } });
    groupType = made.group_type.id;
  });
  after(() => service.dispose());

  async function makeGroup(size: number): Promise<{ readonly id: string; readonly volumeIds: readonly string[] }> {
    const body = { group: { group_type: groupType, volume_types: ["__DEFAULT__"] } };
    const { id } = (await api.call<{ group: Group }>("POST", "/groups", body)).group;
    const volumeIds: string[] = [];
    for (let i = 0; i < size; i++) {
      const volume = { size: 1, volume_type: "__DEFAULT__", group_id: id };
      volumeIds.push((await api.call<{ volume: Volume }>("POST", "/volumes", { volume })).volume.id);
    }
    return { id, volumeIds };
  }

  async function settled(path: string, key: string): Promise<void> {
    const untilMs = performance.now() + 60_000;
    for (;;) {
      const { status } = (await api.call<Record<string, { status: string }>>("GET", path))[key]!;
      if (status === "available") return;
      assert.equal(status, "creating", path);
      assert.ok(performance.now() < untilMs, `${path} stays ${status}`);
      await sleep(20);
    }
  }

  async function cut(groupId: string): Promise<string> {
    const body = { group_snapshot: { group_id: groupId } };
    return (await api.call<{ group_snapshot: { id: string } }>("POST", "/group_snapshots", body)).group_snapshot.id;
  }

  async function copy(source: object): Promise<string> {
    const body = { "create-from-src": source };
    const { id } = (await api.call<{ group: Group }>("POST", "/groups/action", body)).group;
    await settled(`/groups/${id}`, "group");
    return id;
  }

  /** The stamps of a copied group's volumes, in the order of the volumes that those are of. */
  async function stampsOf(groupId: string, originals: readonly string[]): Promise<number[]> {
    const all = await api.call<{ volumes: (Volume & { snapshot_id: string; source_volid: string })[] }>(
      "GET",
      `/volumes/detail?group_id=${groupId}`,
    );
    const originOf = new Map((await api.snapshots()).map((snapshot: Snapshot) => [snapshot.id, snapshot.volume_id]));
    const stamps: number[] = [];
    for (const original of originals) {
      const volume = all.volumes.find((one) => (originOf.get(one.snapshot_id) ?? one.source_volid) === original);
      assert.ok(volume !== undefined, `no copy of ${original}`);
      assert.equal(volume.status, "available");
      stamps.push(
        await api.whileAttached(volume.id, async (_uri, { connection_info }) => {
          const client = await openExport(service, connection_info.name);
          const stamp = (await readBytes(client, 0, blockBytes)).readUInt32LE();
          await client.disconnect();
          return stamp;
        }),
      );
    }
    return stamps;
  }

  async function removeGroup(id: string): Promise<void> {
    await api.call("POST", `/groups/${id}/action`, { delete: { "delete-volumes": true } });
    while ((await api.request("GET", `/groups/${id}`)).status !== 404) await sleep(50);
  }

  /** Copies a group snapshot, judges the copy, and removes both; the newest stamp. */
  async function judge(groupSnapshotId: string, volumeIds: readonly string[]): Promise<number> {
    await settled(`/group_snapshots/${groupSnapshotId}`, "group_snapshot");
    const copied = await copy({ group_snapshot_id: groupSnapshotId });
    const stamps = await stampsOf(copied, volumeIds);
    assert.equal(contradiction(stamps), undefined);
    await removeGroup(copied);
    await api.call("DELETE", `/group_snapshots/${groupSnapshotId}`);
    return stamps[0]!;
  }

  test("of as many volumes as a group may have, while they are written, by group snapshots and by copies", async (context) => {
    const { id, volumeIds } = await makeGroup(membersMax);
    const attachments: Attachment[] = [];
    for (const volumeId of volumeIds) attachments.push(await api.attach(volumeId));
    const writer = new RoundWriter(service, attachments);
    await writer.start();
    const newest: number[] = [];
    for (let i = 0; i < 3; i++) {
      await sleep(random.below(200));
      const begun = writer.round;
      const stamp = await judge(await cut(id), volumeIds);
      assert.ok(stamp >= begun - 1, `a cut of round ${stamp}, asked for in round ${begun}`);
      newest.push(stamp);
    }
    const copied = await copy({ source_group_id: id });
    const stamps = await stampsOf(copied, volumeIds);
    assert.equal(contradiction(stamps), undefined);
    assert.ok(stamps[0]! >= newest.at(-1)!);
    await writer.stop();
    for (const attachment of attachments) await api.delete("attachments", attachment.id);
    const atRest = await judge(await cut(id), volumeIds);
    assert.ok(atRest >= stamps[0]!);
    for (const group of [copied, id]) await removeGroup(group);
    context.diagnostic(`cuts in rounds ${newest.join(", ")}, the copy in ${stamps[0]}, at rest ${atRest}`);
    assert.deepEqual([(await api.volumes()).length, (await api.snapshots()).length], [0, 0]);
  });

  test("while the service is killed with a group snapshot under way, which then comes to its end", async (context) => {
    const { id, volumeIds } = await makeGroup(5);
    const attachments: Attachment[] = [];
    for (const volumeId of volumeIds) attachments.push(await api.attach(volumeId));
    const writer = new RoundWriter(service, attachments);
    await writer.start();
    let [judged, unfinished] = [0, 0];
    for (let done = 0; done < kills; done++) {
      await sleep(random.below(100));
      const asked = cut(id).catch(() => undefined);
      await sleep(random.below(150));
      await service.kill();
      await asked;
      await writer.stop();
      await service.start(startMsMax);
      await writer.start();
      const { group_snapshots: left } = await api.call<{ group_snapshots: { id: string; status: string }[] }>(
        "GET",
        "/group_snapshots/detail",
      );
      for (const groupSnapshot of left) {
        if (groupSnapshot.status === "creating") unfinished++;
        await judge(groupSnapshot.id, volumeIds);
        judged++;
      }
    }
    await writer.stop();
    for (const attachment of attachments) await api.delete("attachments", attachment.id);
    await removeGroup(id);
    context.diagnostic(`${kills} kills, ${judged} group snapshots, ${unfinished} of them unfinished at the kill`);
    if (kills >= 8) assert.ok(judged > 0, "every kill came before the request");
    for (const prefix of ["engine/snapshot/", "engine/vdisk/", "engine/wish/"]) {
      assert.equal((await service.manage("registry", "dump", prefix)).stdout, "", prefix);
    }
  });

  test("a copy of a group comes to its end through kills at any instant, and the quota to what is there", async () => {
    const { id, volumeIds } = await makeGroup(6);
    for (let done = 0; done < Math.ceil(kills / 2); done++) {
      const asked = api.call("POST", "/groups/action", { "create-from-src": { source_group_id: id } }).catch(() => undefined);
      await sleep(random.below(60));
      await service.kill();
      await asked;
      await service.start(startMsMax);
      const { groups } = await api.call<{ groups: Group[] }>("GET", "/groups/detail?list_volume=true");
      for (const group of groups) {
        if (group.id === id) continue;
        await settled(`/groups/${group.id}`, "group");
        assert.equal(group.volumes.length, volumeIds.length);
        await stampsOf(group.id, volumeIds);
        const path = "/os-quota-sets/demo?usage=true";
        const { quota_set: set } = await api.call<{ quota_set: Record<string, { in_use: number }> }>("GET", path);
        assert.deepEqual([set["groups"]!.in_use, set["volumes"]!.in_use, set["snapshots"]!.in_use], [2, 12, 0]);
        await removeGroup(group.id);
      }
    }
    await removeGroup(id);
    assert.deepEqual(await api.volumes(), []);
  });
});
