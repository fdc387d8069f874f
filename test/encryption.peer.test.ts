// Encrypted volumes with a real Barbican and Keystone, through the API: whose key a volume has, that a clone has the same bytes
// under another key, transfers between projects, a Barbican that goes away, a kill -9 between a volume's end and its key's.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Barbican, prepareBarbican } from "./cloud/barbican.ts";
import { BlockStorage } from "./harness/block-storage.ts";
import { missingCommand } from "./harness/command.ts";
import { type AndironProcess, prepareAndiron } from "./harness/service.ts";
import { type Keystone, password, prepareKeystone } from "./keystone/keystone.ts";

const missing = await missingCommand(["keystone-manage", "barbican-wsgi-api", "uwsgi-core"]);
const users = { alice: "red", bob: "blue", boss: "red" } as const;
type User = keyof typeof users;

interface Shown {
  readonly id: string;
  readonly status: string;
  readonly encrypted: boolean;
  readonly encryption_key_id?: string;
}

describe("encrypted volumes", { skip: missing !== undefined && `${missing} is not installed`, timeout: 600_000 }, () => {
  let keystone: Keystone;
  let barbican: Barbican;
  let service: AndironProcess;
  const callers = new Map<User, BlockStorage>();
  const tokens = new Map<User, string>();
  const secrets = new Set<string>();

  const as = (user: User): BlockStorage => callers.get(user)!;

  before(async () => {
    keystone = await prepareKeystone();
    barbican = await prepareBarbican(keystone);
    await keystone.grant("andiron", "service", "service", "member");
    service = await prepareAndiron({
      DEFAULT: { auth_strategy: "keystone" },
      keystone_authtoken: { auth_url: keystone.url, username: "andiron", password },
      jobs: { lease_ttl: 2 },
    });
    await service.start(120_000);
    for (const [user, project] of Object.entries(users) as [User, string][]) {
      await keystone.grant(user, project, user === "boss" ? "admin" : "member");
      const token = await keystone.issue(user, project);
      tokens.set(user, token);
      callers.set(user, new BlockStorage(service, { project: await keystone.find("project", project), token }));
    }
    const boss = as("boss");
    const { volume_type: type } = await boss.call<{ volume_type: { id: string } }>("POST", "/types", {
      volume_type: { name: "secret" },
    });
    const encryption = { provider: "luks", control_location: "front-end", cipher: "aes-xts-plain64", key_size: 256 };
    await boss.call("POST", `/types/${type.id}/encryption`, { encryption });
  });
  after(async () => {
    await service?.dispose();
    await barbican?.dispose();
    await keystone?.dispose();
  });

  async function create(user: User, more: object = {}): Promise<Shown> {
    const asked = { volume: { size: 1, volume_type: "secret", ...more } };
    const { volume } = await as(user).call<{ volume: Shown }>("POST", "/volumes", asked);
    return show(user, volume.id);
  }

  async function show(user: User, id: string): Promise<Shown> {
    return (await as(user).call<{ volume: Shown }>("GET", `/volumes/${id}`)).volume;
  }

  /** The key's bytes, in hex, as Barbican gives them to the user; else its status. */
  async function keyOf(user: User, keyId: string | undefined): Promise<string> {
    const headers = { "x-auth-token": tokens.get(user)!, accept: "application/octet-stream" };
    const reply = await fetch(`${barbican.url}/v1/secrets/${keyId}/payload`, { headers });
    if (reply.status !== 200) return String(reply.status);
    const bytes = Buffer.from(await reply.arrayBuffer());
    assert.equal(bytes.length, 32);
    for (const encoding of ["hex", "base64"] as const) secrets.add(bytes.toString(encoding));
    return bytes.toString("hex");
  }

  async function awaitKey(user: User, keyId: string | undefined, wanted: string): Promise<void> {
    for (const untilMs = performance.now() + 60_000; ; await sleep(100)) {
      const found = await keyOf(user, keyId);
      if (found === wanted) return;
      assert.ok(performance.now() < untilMs, `key ${keyId} gives ${found}\n${await service.logTail()}`);
    }
  }

  test("a key of the caller's, another one for a clone, and none when the volumes are gone", async () => {
    const source = await create("alice");
    assert.deepEqual([source.status, source.encrypted], ["available", true]);
    const bytes = await keyOf("alice", source.encryption_key_id);
    assert.equal(await keyOf("bob", source.encryption_key_id), "403");
    assert.deepEqual(await as("alice").call("GET", `/volumes/${source.id}/encryption`), {
      encryption_key_id: source.encryption_key_id,
      provider: "luks",
      control_location: "front-end",
      cipher: "aes-xts-plain64",
      key_size: 256,
    });
    const clone = await create("alice", { source_volid: source.id });
    assert.notEqual(clone.encryption_key_id, source.encryption_key_id);
    assert.equal(await keyOf("alice", clone.encryption_key_id), bytes);
    const info = await as("alice").whileAttached(clone.id, async (_uri, { connection_info }) => connection_info);
    assert.equal((info as unknown as { encrypted: boolean }).encrypted, true);
    await as("alice").delete("volumes", source.id);
    await awaitKey("alice", source.encryption_key_id, "404");
    assert.equal(await keyOf("alice", clone.encryption_key_id), bytes);
    await as("alice").delete("volumes", clone.id);
    await awaitKey("alice", clone.encryption_key_id, "404");
  });

  test("a transfer gives the key to the other project, and takes it from the first", async () => {
    const { id: volume_id, encryption_key_id: first } = await create("alice");
    const bytes = await keyOf("alice", first);
    const offer = { transfer: { volume_id } };
    const { transfer } = await as("alice").call<{ transfer: { id: string; auth_key: string } }>(
      "POST",
      "/volume-transfers",
      offer,
    );
    await awaitKey("alice", first, "404");
    const { encryption_key_id: ours } = await show("alice", volume_id);
    assert.equal(await keyOf("alice", ours), "403");
    const accept = { accept: { auth_key: transfer.auth_key } };
    await as("bob").call("POST", `/volume-transfers/${transfer.id}/accept`, accept);
    const { encryption_key_id: last } = await show("bob", volume_id);
    assert.equal(await keyOf("bob", last), bytes);
    await awaitKey("bob", ours, "404");
    await as("bob").delete("volumes", volume_id);
    await awaitKey("bob", last, "404");
  });

  test("Barbican away: no volume is made; one that is deleted is gone, and its key when Barbican is back", async () => {
    const kept = await create("alice");
    const { url } = barbican;
    await barbican.stop();
    const refused = await as("alice").request("POST", "/volumes", { volume: { size: 1, volume_type: "secret" } });
    assert.equal(refused.status, 503);
    assert.match(JSON.stringify(refused.body), /The Barbican service is temporarily unavailable/);
    assert.deepEqual(
      (await as("alice").volumes()).map(({ id }) => id),
      [kept.id],
    );
    await as("alice").delete("volumes", kept.id);
    await barbican.serve(url);
    await awaitKey("alice", kept.encryption_key_id, "404");
  });

  test("after a kill -9 the key of a volume that is gone is deleted with our own credentials, if Barbican lets us", async () => {
    const { id, encryption_key_id: keyId } = await create("alice");
    const { url } = barbican;
    await barbican.allow("secret:delete", "role:service or rule:secret_project_member");
    await barbican.stop();
    await as("alice").delete("volumes", id);
    await service.kill();
    await service.start(120_000);
    assert.equal((await as("alice").request("GET", `/volumes/${id}`)).status, 404);
    await barbican.serve(url);
    await awaitKey("alice", keyId, "404");
  });

  test("no key and no token is in the log or in a record", async () => {
    const { encryption_key_id: keyId } = await create("alice");
    await keyOf("alice", keyId);
    const log = await readFile(join(service.folder, "andiron.log"), "utf8");
    const records = await service.manage("registry", "dump", "cinder/");
    assert.ok(records.stdout.includes(`"encryptionKeyId":"${keyId}"`));
    for (const text of [log, records.stdout]) {
      for (const secret of [...secrets, ...tokens.values()]) assert.ok(!text.includes(secret), "a secret is told");
    }
  });
});
