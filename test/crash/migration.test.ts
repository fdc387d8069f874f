// Kills of the running service in the middle of migrations: a volume goes to and fro between two pools, and the service is killed
// with SIGKILL at random instants, its starts included. At each restart quota, API and the pools' inventories agree: a vDisk is
// a volume's, or the copy of one that is under way. In the end every byte is as it was written, and no vDisk is left over.
// MIGRATION_KILLS and MIGRATION_SEED for longer runs and to repeat one.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../../src/common/random.ts";
import type { NbdClient } from "../../src/nbd/client.ts";
import { BlockStorage } from "../harness/block-storage.ts";
import { noise, openExport, readBytes } from "../harness/nbd.ts";
import { prepareAndiron, type AndironProcess } from "../harness/service.ts";

const kills = Number(process.env["MIGRATION_KILLS"] ?? 12);
const seed = Number(process.env["MIGRATION_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;
const dataMebibytes = 96;
const settleMsMax = 120_000;
const startMsMax = 180_000;

interface Shown {
  readonly status: string;
  readonly migration_status: string | null;
  readonly volume_type: string;
  readonly "os-vol-host-attr:host": string;
}

interface VdiskRow {
  readonly id: string;
  readonly pool: string;
}

describe(`kill -9 in migrations (MIGRATION_SEED=${seed})`, { timeout: 300_000 + kills * 60_000 }, () => {
  const random = seededRandom(seed);
  let service: AndironProcess;
  let api: BlockStorage;

  before(async () => {
    service = await prepareAndiron({ DEFAULT: { enabled_backends: "east,west" }, jobs: { lease_ttl: 2 } });
    await service.start(startMsMax);
    api = new BlockStorage(service);
  });
  after(() => service.dispose());

  const show = async (id: string): Promise<Shown> => (await api.call<{ volume: Shown }>("GET", `/volumes/${id}`)).volume;
  const poolOf = (shown: Shown): string => shown["os-vol-host-attr:host"].split("#")[1]!;
  const isUnderWay = ({ migration_status: status }: Shown): boolean =>
    ["starting", "migrating", "completing"].includes(status ?? "");

  const vdisks = async (): Promise<VdiskRow[]> => {
    const { code, stdout, stderr } = await service.manage("--json", "vdisk", "list");
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as VdiskRow[];
  };

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

  /** Noise in pieces all over the disk; the hash of all of it. */
  async function fill(id: string): Promise<string> {
    return withDisk(id, async (client) => {
      for (let at = 0; at < dataMebibytes; at++) {
        const place = Math.floor((at * gibibyte) / dataMebibytes / 4096) * 4096;
        await client.write(place, noise(at, mebibyte), { fua: false });
      }
      await client.flush();
      return hash(client);
    });
  }

  async function hash(client: NbdClient): Promise<string> {
    const sums: string[] = [];
    for (let at = 0; at < gibibyte; at += mebibyte)
      sums.push(
        createHash("sha256")
          .update(await readBytes(client, at, mebibyte))
          .digest("hex")
          .slice(0, 8),
      );
    return sums.join(" ");
  }

  /** Steps go on meanwhile: of several looks one must agree. */
  async function checkInventory(id: string): Promise<void> {
    for (let look = 1; ; look++) {
      const shown = await show(id);
      const rows = await vdisks();
      const own = rows.filter((row) => row.id === id);
      const others = rows.filter((row) => row.id !== id);
      const isRight =
        own.length === 1 &&
        own[0]!.pool === poolOf(shown) &&
        others.length === (isUnderWay(shown) ? 1 : 0) &&
        others.every(({ pool }) => pool !== poolOf(shown));
      const set = await api.call<{ quota_set: Record<string, { in_use: number }> }>("GET", "/os-quota-sets/demo?usage=true");
      const charged = ["volumes", "gigabytes", `gigabytes_${shown.volume_type}`].map((key) => set.quota_set[key]?.in_use);
      if (isRight && charged.join() === "1,1,1") return;
      assert.ok(look < 40, `${JSON.stringify(shown)}, vDisks ${JSON.stringify(rows)}, charged ${charged.join()}`);
      await sleep(100);
    }
  }

  async function kill(): Promise<void> {
    await service.kill();
    while (random.below(100) < 15) {
      await service.launch();
      await sleep(random.below(1500));
      await service.kill();
    }
  }

  async function settled(id: string): Promise<Shown> {
    const untilMs = performance.now() + settleMsMax;
    for (;;) {
      const shown = await show(id);
      if (!isUnderWay(shown)) return shown;
      assert.ok(performance.now() < untilMs, `the migration stays ${JSON.stringify(shown)}\n${await service.logTail()}`);
      await sleep(50);
    }
  }

  /** Asks for the other pool: by migration, or by a type of that pool. */
  async function sendOff(id: string): Promise<void> {
    const shown = await show(id);
    const target = poolOf(shown) === "east" ? "west" : "east";
    const host = shown["os-vol-host-attr:host"].replace(/@.*/, `@${target}#${target}`);
    const { volume_type: type } = shown;
    const byType = type === "__DEFAULT__" ? random.below(2) === 0 : true;
    const body = byType
      ? { "os-retype": { new_type: target, migration_policy: "on-demand" } }
      : { "os-migrate_volume": { host, lock_volume: random.below(2) === 0 } };
    await api.call("POST", `/volumes/${id}/action`, body);
  }

  test("a volume survives every kill on its way, with all its bytes and one vDisk", async (context) => {
    for (const name of ["east", "west"]) {
      await api.call("POST", "/types", { volume_type: { name, extra_specs: { volume_backend_name: name } } });
    }
    const id = await api.createVolume();
    const written = await fill(id);
    let done = 0;
    const met: Record<string, number> = {};
    while (done < kills) {
      await sendOff(id);
      while (done < kills) {
        await sleep(random.below(1500));
        const { migration_status: at } = await show(id);
        await kill();
        done++;
        met[at ?? "none"] = (met[at ?? "none"] ?? 0) + 1;
        await service.start(startMsMax);
        await checkInventory(id);
        if (!isUnderWay(await show(id))) break;
      }
      const { status, migration_status: end } = await settled(id);
      assert.deepEqual([status, end], ["available", "success"]);
      await checkInventory(id);
    }
    context.diagnostic(`${done} kills: ${JSON.stringify(met)}`);
    assert.equal(await withDisk(id, hash), written);
    if (kills >= 10) assert.ok((met["migrating"] ?? 0) + (met["completing"] ?? 0) > 0, "no kill hit a migration");
    await api.delete("volumes", id);
    assert.deepEqual(await vdisks(), []);
    assert.equal((await service.manage("registry", "dump", "engine/export/")).stdout, "");
  });

  test("an operator cancels a migration: the volume stays where it was, and the other pool is empty", async () => {
    const id = await api.createVolume();
    const written = await fill(id);
    const from = poolOf(await show(id));
    await sendOff(id);
    const { code, stdout } = await service.manage("--json", "jobs", "list");
    assert.equal(code, 0);
    const [job] = (JSON.parse(stdout) as { id: string; resource: string }[]).filter(
      ({ resource }) => resource === `volume ${id}`,
    );
    if (job === undefined) return; // it was quicker
    await service.manage("jobs", "cancel", job.id);
    const shown = await settled(id);
    if (shown.migration_status === "success") return;
    assert.deepEqual([shown.status, shown.migration_status, poolOf(shown)], ["available", "error", from]);
    await checkInventory(id);
    assert.equal(await withDisk(id, hash), written);
    const { messages } = await api.call<{ messages: { user_message: string }[] }>("GET", `/messages?resource_uuid=${id}`);
    assert.match(messages[0]?.user_message ?? "", /cancelled by an operator/);
  });
});
