// Stores of backups that are away, come back, hang, or have damaged objects; and what lies in them when there is a key. A backup
// ends well or in an error that says why, its volume is free again, and the service goes on.

import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BlockStorage } from "./harness/block-storage.ts";
import { openExport, readBytes } from "./harness/nbd.ts";
import { prepareAndiron, type AndironProcess, type ConfigGroups } from "./harness/service.ts";

const mebibyte = 1024 * 1024;
const waitMsMax = 120_000;
const text = "what nobody else may read ";

interface Shown {
  readonly status: string;
  readonly fail_reason: string | null;
  readonly encryption_key_id?: string | null;
}

interface Rig {
  readonly service: AndironProcess;
  readonly api: BlockStorage;
  /** With some text on it. */
  readonly volume: string;
}

async function openRig(t: TestContext, config: ConfigGroups): Promise<Rig> {
  const service = await prepareAndiron(config);
  t.after(() => service.dispose());
  await service.start();
  const api = new BlockStorage(service);
  const volume = await api.createVolume();
  await write(service, api, volume);
  return { service, api, volume };
}

async function write(service: AndironProcess, api: BlockStorage, volume: string, offset = 3 * mebibyte): Promise<void> {
  await api.whileAttached(volume, async (_uri, { connection_info }) => {
    const client = await openExport(service, connection_info.name);
    await client.write(offset, Buffer.alloc(2 * mebibyte, text), { fua: true });
    await client.disconnect();
  });
  await check(service, api, volume, [offset]);
}

/** The text is at these offsets. */
async function check(service: AndironProcess, api: BlockStorage, volume: string, offsets: readonly number[]): Promise<void> {
  await api.whileAttached(volume, async (_uri, { connection_info }) => {
    const client = await openExport(service, connection_info.name);
    for (const offset of offsets) {
      const bytes = await readBytes(client, offset, 2 * mebibyte);
      assert.ok(bytes.equals(Buffer.alloc(2 * mebibyte, text)), `the bytes at ${offset}`);
    }
    await client.disconnect();
  });
}

async function ask(api: BlockStorage, volume: string, incremental = false): Promise<string> {
  const body = { backup: { volume_id: volume, incremental } };
  return (await api.call<{ backup: { id: string } }>("POST", "/backups", body)).backup.id;
}

const show = async (api: BlockStorage, id: string): Promise<Shown> =>
  (await api.call<{ backup: Shown }>("GET", `/backups/${id}`)).backup;

/** Until its status is another one. */
async function after(api: BlockStorage, id: string, status: string): Promise<Shown> {
  const untilMs = performance.now() + waitMsMax;
  for (;;) {
    const shown = await show(api, id);
    if (shown.status !== status) return shown;
    assert.ok(performance.now() < untilMs, `backup ${id} stays ${status}`);
    await sleep(50);
  }
}

async function filesOf(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

const posix = { backup_driver: "posix", backup_compression_algorithm: "none" };

describe("stores of backups", { timeout: 900_000 }, () => {
  test("a store that was away for some time: the backup waits for it and ends well; one that stays away: an error", async (t) => {
    const { service, api, volume } = await openRig(t, { DEFAULT: posix, jobs: { tries_max: 4 } });
    const root = join(service.statePath, "backup");
    const first = await ask(api, volume);
    assert.equal((await after(api, first, "creating")).status, "available");
    await rename(root, `${root}-away`);
    const second = await ask(api, volume);
    await sleep(1500);
    assert.equal((await show(api, second)).status, "creating");
    await rename(`${root}-away`, root);
    assert.deepEqual(await after(api, second, "creating").then(({ status }) => status), "available");
    await rename(root, `${root}-away`);
    const third = await ask(api, volume);
    const { status, fail_reason } = await after(api, third, "creating");
    assert.equal(status, "error");
    assert.match(fail_reason ?? "", /given up after 4 tries/);
    await api.waitForStatus("volumes", volume, "available");
    assert.deepEqual(
      (await readdir(service.statePath)).filter((name) => name === "backup"),
      [],
      "nothing is made in its place",
    );
    await rename(`${root}-away`, root);
    for (const id of [third, second, first]) {
      await api.call("DELETE", `/backups/${id}`);
      while ((await api.request("GET", `/backups/${id}`)).status !== 404) await sleep(50);
    }
    assert.deepEqual(
      (await filesOf(root)).filter((path) => !path.includes(".incoming")),
      [],
    );
  });

  test("records that are taken to another service with the same store restore there, to a larger volume too", async (t) => {
    const store = await mkdtemp(join(tmpdir(), "andiron-backups-"));
    t.after(() => rm(store, { recursive: true, force: true }));
    const config = { DEFAULT: { backup_driver: "posix", backup_posix_path: store } };
    const { service, api, volume } = await openRig(t, config);
    const ids = [await ask(api, volume)];
    await after(api, ids[0]!, "creating");
    await write(service, api, volume, 9 * mebibyte);
    ids.push(await ask(api, volume, true));
    await after(api, ids[1]!, "creating");
    const other = await openRig(t, config);
    for (const id of ids) {
      const exported = await api.call<{ "backup-record": unknown }>("GET", `/backups/${id}/export_record`);
      await other.api.call("POST", "/backups/import_record", exported);
      assert.equal((await after(other.api, id, "creating")).status, "available");
    }
    await service.stop();
    const target = await other.api.createVolume({ size: 2 });
    await other.api.call("POST", `/backups/${ids[1]!}/restore`, { restore: { volume_id: target } });
    await after(other.api, ids[1]!, "restoring");
    await other.api.waitForStatus("volumes", target, "available");
    await check(other.service, other.api, target, [3 * mebibyte, 9 * mebibyte]);
  });

  test("a damaged object: the restore ends in an error, and the backup is there for another try", async (t) => {
    const { service, api, volume } = await openRig(t, { DEFAULT: posix });
    const id = await ask(api, volume);
    assert.equal((await after(api, id, "creating")).status, "available");
    const [chunk] = (await filesOf(join(service.statePath, "backup"))).filter((path) => /\/\d{8}\.\d+$/.test(path));
    const right = await readFile(chunk!);
    const wrong = Buffer.from(right);
    wrong[mebibyte]! ^= 1;
    await writeFile(chunk!, wrong);
    const target = await api.createVolume();
    await api.call("POST", `/backups/${id}/restore`, { restore: { volume_id: target } });
    assert.equal((await after(api, id, "restoring")).status, "available");
    const shown = await api.call<{ volume: { status: string } }>("GET", `/volumes/${target}`);
    assert.equal(shown.volume.status, "error_restoring");
    const { messages } = await api.call<{ messages: { user_message: string }[] }>("GET", `/messages?resource_uuid=${id}`);
    assert.match(messages[0]?.user_message ?? "", /does not match its checksum/);
    await writeFile(chunk!, right);
    const other = await api.createVolume();
    await api.call("POST", `/backups/${id}/restore`, { restore: { volume_id: other } });
    await after(api, id, "restoring");
    await api.waitForStatus("volumes", other, "available");
  });

  test("under a key nothing can be read in the store, nor the key in the log; without it a restore names it", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "andiron-keys-"));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const path = join(folder, "keys");
    const secret = "5a".repeat(32);
    await writeFile(path, `k1 ${secret}\n`, { mode: 0o600 });
    const config = { DEFAULT: { ...posix, debug: true, backup_encryption_key_file: path } };
    const { service, api, volume } = await openRig(t, config);
    const id = await ask(api, volume);
    const { status, encryption_key_id } = await after(api, id, "creating");
    assert.deepEqual([status, encryption_key_id], ["available", "k1"]);
    for (const file of await filesOf(join(service.statePath, "backup"))) assert.ok(!(await readFile(file)).includes(text));
    await service.stop();
    await writeFile(path, `k2 ${"6b".repeat(32)}\n`);
    await service.start();
    const restore = async (): Promise<string> => {
      const { restore: begun } = await api.call<{ restore: { volume_id: string } }>("POST", `/backups/${id}/restore`, {
        restore: {},
      });
      await after(api, id, "restoring");
      return begun.volume_id;
    };
    await restore();
    const { messages } = await api.call<{ messages: { user_message: string }[] }>("GET", `/messages?resource_uuid=${id}`);
    assert.match(messages[0]?.user_message ?? "", /under key k1, which is not here/);
    await service.stop();
    await writeFile(path, `k2 ${"6b".repeat(32)}\nk1 ${secret}\n`);
    await service.start();
    await api.waitForStatus("volumes", await restore(), "available");
    assert.ok(!(await readFile(join(service.folder, "andiron.log"), "utf8")).toLowerCase().includes(secret));
  });

  test("a store that takes requests and never answers holds up its backups only, not the end of the service", async (t) => {
    const sockets = new Set<Socket>();
    const hole = createServer((socket) => void sockets.add(socket.on("error", () => undefined)));
    await new Promise<void>((resolve) => hole.listen(0, "127.0.0.1", resolve));
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      hole.close();
    });
    const endpoint = `http://127.0.0.1:${(hole.address() as AddressInfo).port}`;
    const s3 = { backup_driver: "s3", backup_s3_endpoint_url: endpoint, backup_s3_store_access_key: "a" };
    const config = { DEFAULT: { ...s3, backup_s3_store_secret_key: "never-to-be-seen" } };
    const { service, api, volume } = await openRig(t, config);
    const ids = [await ask(api, volume)];
    for (let more = 0; more < 3; more++) ids.push(await ask(api, await api.createVolume()));
    const untilMs = performance.now() + 20_000;
    while (sockets.size === 0 && performance.now() < untilMs) await sleep(50);
    assert.ok(sockets.size > 0, "the store is asked");
    const other = await api.createVolume();
    await write(service, api, other);
    await api.delete("volumes", other);
    for (const id of ids) assert.equal((await show(api, id)).status, "creating");
    assert.equal(await service.stop(), 0);
    assert.ok(!(await readFile(join(service.folder, "andiron.log"), "utf8")).includes("never-to-be-seen"));
  });
});
