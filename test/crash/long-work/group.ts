// Groups of volumes: snapshots of all of them at one instant while they are in use, copies of a group, its delete with its
// volumes.

import assert from "node:assert/strict";
import type { Attachment } from "../../harness/block-storage.ts";
import { openExport } from "../../harness/nbd.ts";
import { type Content, checkVolume, makeContent, writeVolume } from "./content.ts";
import { pools } from "./pools.ts";
import type { Ending, LongWork, Rig } from "./work.ts";

const members = 8;
const pieces = 4;

interface Shown {
  readonly id: string;
  readonly status: string;
}

type Collection = "groups" | "group_snapshots";

async function findByName({ api }: Rig, collection: Collection, name: string): Promise<Shown | undefined> {
  const found = (await api.call<Record<string, Shown[]>>("GET", `/${collection}/detail?name=${name}`))[collection]!;
  assert.ok(found.length < 2, `there are ${found.length} ${collection} ${name}`);
  return found[0];
}

async function awaitGone(rig: Rig, collection: Collection, name: string): Promise<void> {
  for (const deadlineMs = performance.now() + 60_000; (await findByName(rig, collection, name)) !== undefined;) {
    assert.ok(performance.now() < deadlineMs, `${name} is not deleted`);
  }
}

async function deleteGroup(rig: Rig, name: string): Promise<void> {
  const group = await findByName(rig, "groups", name);
  if (group === undefined) return;
  await rig.api.call("POST", `/groups/${group.id}/action`, { delete: { "delete-volumes": true } });
  await awaitGone(rig, "groups", name);
}

/** Volumes of a group, each with bytes of its own. */
async function makeGroup(rig: Rig, name: string): Promise<{ readonly id: string; readonly disks: ReadonlyMap<string, Content> }> {
  const { api, random } = rig;
  const typeName = `type of ${name}`;
  const { group_types: types } = await api.call<{ group_types: { id: string; name: string }[] }>("GET", "/group_types");
  const specs = { name: typeName, group_specs: { consistent_group_snapshot_enabled: "<is> True" } };
  const known = types.find((type) => type.name === typeName);
  const type =
    known ?? (await api.call<{ group_type: { id: string } }>("POST", "/group_types", { group_type: specs })).group_type;
  const asked = { name, group_type: type.id, volume_types: [pools[0]] };
  const { group } = await api.call<{ group: Shown }>("POST", "/groups", { group: asked });
  const disks = new Map<string, Content>();
  for (let at = 0; at < members; at++) {
    const id = await api.createVolume({ name: `${name}-${at}`, volume_type: pools[0], group_id: group.id });
    const content = makeContent(random.below(2 ** 30), pieces);
    await writeVolume(rig, id, content);
    disks.set(id, content);
  }
  return { id: group.id, disks };
}

async function membersOf({ api }: Rig, groupId: string): Promise<{ id: string; status: string; name: string }[]> {
  const path = `/volumes/detail?group_id=${groupId}`;
  return (await api.call<{ volumes: { id: string; status: string; name: string }[] }>("GET", path)).volumes;
}

/** All volumes are in use, so that the router has to cut them. */
export class GroupSnapshot implements LongWork {
  readonly name = "group-snapshot";
  readonly tookMs = 60;
  readonly #rig: Rig;
  #groupId = "";
  #disks: ReadonlyMap<string, Content> = new Map();
  #attached: Attachment[] = [];
  #asked = 0;

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  async prepare(): Promise<void> {
    const { api, service } = this.#rig;
    this.#asked++;
    if (this.#groupId === "") ({ id: this.#groupId, disks: this.#disks } = await makeGroup(this.#rig, this.name));
    for (const id of this.#disks.keys()) {
      const attachment = await api.attach(id);
      this.#attached.push(attachment);
      // It goes with the service.
      const client = await openExport(service, attachment.connection_info.name);
      await client.write(0, Buffer.alloc(4096), { fua: false }).catch(() => undefined);
    }
  }

  async begin(): Promise<void> {
    const asked = { group_snapshot: { group_id: this.#groupId, name: this.#snapshotName } };
    await this.#rig.api.call("POST", "/group_snapshots", asked);
  }

  async isUnderWay(): Promise<boolean> {
    return (await findByName(this.#rig, "group_snapshots", this.#snapshotName))?.status === "creating";
  }

  async end(): Promise<Ending> {
    const { api } = this.#rig;
    for (const { id } of this.#attached.splice(0)) await api.delete("attachments", id);
    const found = await findByName(this.#rig, "group_snapshots", this.#snapshotName);
    if (found === undefined) return "not begun";
    assert.equal(found.status, "available");
    const { snapshots } = await api.call<{ snapshots: { status: string; volume_id: string; group_snapshot_id: string }[] }>(
      "GET",
      "/snapshots/detail",
    );
    const taken = snapshots.filter((snapshot) => snapshot.group_snapshot_id === found.id);
    assert.deepEqual(taken.map(({ volume_id: id }) => id).sort(), [...this.#disks.keys()].sort());
    assert.ok(taken.every(({ status }) => status === "available"));
    await api.call("DELETE", `/group_snapshots/${found.id}`);
    await awaitGone(this.#rig, "group_snapshots", this.#snapshotName);
    return "done";
  }

  get #snapshotName(): string {
    return `${this.name}-${this.#asked}`;
  }
}

export class GroupCopy implements LongWork {
  readonly name = "group-copy";
  readonly tookMs = 60;
  readonly #rig: Rig;
  #groupId = "";
  #disks: ReadonlyMap<string, Content> = new Map();
  #asked = 0;

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  async prepare(): Promise<void> {
    this.#asked++;
    if (this.#groupId === "") ({ id: this.#groupId, disks: this.#disks } = await makeGroup(this.#rig, this.name));
  }

  async begin(): Promise<void> {
    const asked = { "create-from-src": { name: this.#copyName, source_group_id: this.#groupId } };
    await this.#rig.api.call("POST", "/groups/action", asked);
  }

  async isUnderWay(): Promise<boolean> {
    return (await findByName(this.#rig, "groups", this.#copyName))?.status === "creating";
  }

  async end(): Promise<Ending> {
    const copy = await findByName(this.#rig, "groups", this.#copyName);
    if (copy === undefined) return "not begun";
    assert.equal(copy.status, "available");
    const volumes = await membersOf(this.#rig, copy.id);
    assert.deepEqual(
      volumes.map(({ status }) => status),
      Array.from({ length: members }, () => "available"),
    );
    const sources = await this.#rig.api.call<{ volumes: { id: string; source_volid: string | null }[] }>(
      "GET",
      `/volumes/detail?group_id=${copy.id}`,
    );
    for (const { id, source_volid: source } of sources.volumes) {
      const content = this.#disks.get(source ?? "");
      if (content !== undefined) await checkVolume(this.#rig, id, content);
    }
    await deleteGroup(this.#rig, this.#copyName);
    return "done";
  }

  get #copyName(): string {
    return `${this.name}-${this.#asked}`;
  }
}

export class GroupDelete implements LongWork {
  readonly name = "group-delete";
  readonly tookMs = 60;
  readonly #rig: Rig;
  #groupId = "";

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  async prepare(): Promise<void> {
    if ((await findByName(this.#rig, "groups", this.name)) !== undefined) return;
    this.#groupId = (await makeGroup(this.#rig, this.name)).id;
  }

  async begin(): Promise<void> {
    await this.#rig.api.call("POST", `/groups/${this.#groupId}/action`, { delete: { "delete-volumes": true } });
  }

  async isUnderWay(): Promise<boolean> {
    return (await findByName(this.#rig, "groups", this.name))?.status === "deleting";
  }

  async end(): Promise<Ending> {
    const group = await findByName(this.#rig, "groups", this.name);
    if (group === undefined) {
      assert.deepEqual(await membersOf(this.#rig, this.#groupId), []);
      return "done";
    }
    assert.equal(group.status, "available");
    assert.equal((await membersOf(this.#rig, this.#groupId)).length, members);
    return "not begun";
  }
}
