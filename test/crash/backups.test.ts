// Kills of the running service in the middle of backups: a volume is written, backed up whole and on top of what is there,
// restored to another one, and backups are deleted from the top, while the service is killed with SIGKILL at random instants,
// its starts included. Each time it is settled every object of the store is a backup's, as many as that says, the engine has
// the one cut that is kept, and every restore is the volume as it was. In the end nothing is left. BACKUP_KILLS and BACKUP_SEED
// for longer runs and to repeat one.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../../src/common/random.ts";
import type { NbdClient } from "../../src/nbd/client.ts";
import { BlockStorage } from "../harness/block-storage.ts";
import { noise, openExport, readBytes } from "../harness/nbd.ts";
import { prepareAndiron, type AndironProcess } from "../harness/service.ts";

const kills = Number(process.env["BACKUP_KILLS"] ?? 8);
const seed = Number(process.env["BACKUP_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
const mebibyte = 1024 * 1024;
/** What is written, and compared each time; the rest of the disk only in the end. */
const usedBytes = 192 * mebibyte;
const gibibyte = 1024 * mebibyte;
/** For each request. */
const killsOfOneMax = 2;
const settleMsMax = 180_000;
const startMsMax = 180_000;

interface ShownBackup {
  readonly id: string;
  readonly status: string;
  readonly is_incremental: boolean;
  readonly object_count: number;
  readonly fail_reason: string | null;
}

/** What a backup must restore to. */
interface MadeBackup {
  readonly id: string;
  readonly hash: string;
}

describe(`kill -9 in backups (BACKUP_SEED=${seed})`, { timeout: 300_000 + kills * 60_000 }, () => {
  const random = seededRandom(seed);
  const chain: MadeBackup[] = [];
  const met: Record<string, number> = {};
  let service: AndironProcess;
  let api: BlockStorage;
  let volume = "";
  let target = "";
  let done = 0;

  before(async () => {
    service = await prepareAndiron({
      DEFAULT: { backup_driver: "posix", backup_file_size: mebibyte, quota_backups: -1, quota_backup_gigabytes: -1 },
      jobs: { lease_ttl: 2 },
    });
    await service.start(startMsMax);
    api = new BlockStorage(service);
    volume = await api.createVolume();
    target = await api.createVolume();
  });
  after(() => service.dispose());

  async function withDisk<T>(id: string, work: (client: NbdClient) => Promise<T>): Promise<T> {
    return api.whileAttached(id, async (_uri, { connection_info }) => {
      const client = await openExport(service, connection_info.name);
      try {
        return await work(client);
      } finally {
        await client.disconnect();
      }
    });
  }

  const hashOf = (id: string, lengthBytes = usedBytes): Promise<string> =>
    withDisk(id, async (client) => {
      const sum = createHash("sha256");
      for (let at = 0; at < lengthBytes; at += 16 * mebibyte) sum.update(await readBytes(client, at, 16 * mebibyte));
      return sum.digest("hex");
    });

  async function change(mebibytes: number): Promise<void> {
    await withDisk(volume, async (client) => {
      for (let piece = 0; piece < mebibytes; piece++) {
        await client.write(random.below((usedBytes - mebibyte) / 4096) * 4096, noise(random.below(2 ** 31), mebibyte), {
          fua: false,
        });
      }
      await client.trim(random.below(usedBytes / mebibyte - 3) * mebibyte, 3 * mebibyte, { fua: false });
      await client.flush();
    });
  }

  const backups = async (): Promise<ShownBackup[]> =>
    (await api.call<{ backups: ShownBackup[] }>("GET", "/backups/detail")).backups;

  /** The objects of each backup, by its id. */
  async function objects(): Promise<Record<string, number>> {
    const root = join(service.statePath, "backup");
    const counts: Record<string, number> = {};
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true }).catch(() => [])) {
      const id = /\/backup_([^/]+)$/.exec(entry.parentPath)?.[1];
      if (!entry.isFile() || entry.parentPath.endsWith(".incoming")) continue;
      assert.ok(id !== undefined, `what is ${entry.parentPath}/${entry.name}?`);
      counts[id] = (counts[id] ?? 0) + 1;
    }
    return counts;
  }

  async function engineSnapshots(): Promise<string[]> {
    const { stdout } = await service.manage("registry", "dump", "engine/snapshot/");
    return stdout.split("\n").filter((line) => line !== "");
  }

  /** Nothing is under way: objects, cuts and quota are what the backups say. */
  async function checkSettled(): Promise<void> {
    const shown = await backups();
    assert.deepEqual(shown.map(({ id }) => id).toSorted(), chain.map(({ id }) => id).toSorted());
    const counted = Object.fromEntries(shown.map((backup) => [backup.id, backup.object_count]));
    assert.deepEqual(await objects(), counted);
    const snapshots = await engineSnapshots();
    assert.ok(snapshots.length <= 1, `cuts that nobody needs: ${snapshots.join("\n")}`);
    const set = await api.call<{ quota_set: Record<string, { in_use: number }> }>("GET", "/os-quota-sets/demo?usage=true");
    assert.equal(set.quota_set["backups"]?.in_use, chain.length);
    assert.equal((await service.manage("registry", "dump", "engine/export/")).stdout, "");
  }

  async function kill(what: string): Promise<void> {
    await service.kill();
    done++;
    met[what] = (met[what] ?? 0) + 1;
    while (random.below(100) < 15) {
      await service.launch();
      await sleep(random.below(1500));
      await service.kill();
    }
    await service.start(startMsMax);
    const known = new Set((await backups()).map(({ id }) => id));
    for (const id of Object.keys(await objects())) assert.ok(known.has(id), `objects of a backup that is not there: ${id}`);
  }

  /** Until `isOver`, with kills on the way. */
  async function until(what: string, isOver: () => Promise<boolean>): Promise<void> {
    const untilMs = performance.now() + settleMsMax;
    let left = what === "delete" ? killsOfOneMax : random.below(killsOfOneMax + 1);
    while (!(await isOver())) {
      assert.ok(performance.now() < untilMs, `${what} does not end\n${await service.logTail()}`);
      if (done < kills && left > 0) {
        await sleep(random.below(what === "delete" ? 40 : 500));
        if (await isOver()) return;
        await kill(what);
        left--;
      } else {
        await sleep(50);
      }
    }
  }

  async function show(id: string): Promise<ShownBackup | undefined> {
    const { status, body } = await api.request<{ backup: ShownBackup }>("GET", `/backups/${id}`);
    return status === 404 ? undefined : body.backup;
  }

  const statusOf = async (id: string): Promise<string> =>
    (await api.call<{ volume: { status: string } }>("GET", `/volumes/${id}`)).volume.status;

  async function create(): Promise<void> {
    await change(8 + random.below(24));
    const hash = await hashOf(volume);
    const incremental = chain.length > 0 && random.below(4) > 0;
    const body = { backup: { volume_id: volume, incremental } };
    const { id } = (await api.call<{ backup: { id: string } }>("POST", "/backups", body)).backup;
    await until("create", async () => (await show(id))?.status !== "creating");
    const shown = await show(id);
    assert.deepEqual([shown?.status, shown?.fail_reason, shown?.is_incremental], ["available", null, incremental]);
    assert.equal(await statusOf(volume), "available");
    if (!incremental) for (const old of chain.splice(0).reverse()) await remove(old.id);
    chain.push({ id, hash });
  }

  async function restore({ id, hash }: MadeBackup): Promise<void> {
    await api.call("POST", `/backups/${id}/restore`, { restore: { volume_id: target } });
    await until("restore", async () => (await statusOf(target)) !== "restoring-backup");
    assert.deepEqual([await statusOf(target), (await show(id))?.status], ["available", "available"]);
    assert.equal(await hashOf(target), hash);
  }

  async function remove(id: string): Promise<void> {
    await api.call("DELETE", `/backups/${id}`);
    await until("delete", async () => (await show(id)) === undefined);
  }

  test("every backup survives every kill, restores to its instant, and leaves nothing", async (context) => {
    for (let round = 0; done < kills; round++) {
      await create();
      await checkSettled();
      await restore(chain[random.below(chain.length)]!);
      await checkSettled();
      if (chain.length > 1) await remove(chain.pop()!.id);
      await checkSettled();
    }
    context.diagnostic(`${done} kills: ${JSON.stringify(met)}`);
    for (const backup of chain) await restore(backup);
    while (chain.length > 0) await remove(chain.pop()!.id);
    await checkSettled();
    assert.deepEqual(await engineSnapshots(), []);
    await create();
    const whole = await hashOf(volume, gibibyte);
    await api.delete("volumes", volume);
    assert.deepEqual(await engineSnapshots(), []);
    await restore(chain[0]!);
    assert.equal(await hashOf(target, gibibyte), whole);
  });
});
