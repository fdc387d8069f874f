// A verifying writer on a volume that goes to and fro between two pools while it is attached, by migration and by retype, with
// kills of the service at random instants. Without a kill the writer's connection never breaks; with one it is made anew by the
// same name. Every read is checked, and after each kill and at the end every sector. LIVE_MOVES, LIVE_KILLS and LIVE_SEED for
// longer runs and to repeat one.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../../src/common/random.ts";
import type { NbdClient } from "../../src/nbd/client.ts";
import { BlockStorage } from "../harness/block-storage.ts";
import { openExport } from "../harness/nbd.ts";
import { prepareAndiron, type AndironProcess } from "../harness/service.ts";
import { readStamps } from "./disk.ts";
import { SectorModel } from "./sector-model.ts";
import { VerifyingWriter } from "./writer.ts";

const moves = Number(process.env["LIVE_MOVES"] ?? 6);
const kills = Number(process.env["LIVE_KILLS"] ?? 5);
const seed = Number(process.env["LIVE_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
const sectors = (64 * 1024 * 1024) / 512;
const settleMsMax = 120_000;

interface Shown {
  readonly status: string;
  readonly migration_status: string | null;
  readonly volume_type: string;
  readonly "os-vol-host-attr:host": string;
}

describe(`an attached volume moves under its writer (LIVE_SEED=${seed})`, { timeout: 300_000 + (moves + kills) * 60_000 }, () => {
  const random = seededRandom(seed);
  const model = new SectorModel(new Int32Array(sectors), "acknowledged");
  let service: AndironProcess;
  let api: BlockStorage;
  let id: string;
  let exportName: string;
  let stamp = 0;

  before(async () => {
    service = await prepareAndiron({ DEFAULT: { enabled_backends: "east,west" }, jobs: { lease_ttl: 2 } });
    await service.start();
    api = new BlockStorage(service);
    for (const name of ["east", "west"]) {
      await api.call("POST", "/types", { volume_type: { name, extra_specs: { volume_backend_name: name } } });
    }
    id = await api.createVolume();
    exportName = (await api.attach(id)).connection_info.name;
  });
  after(() => service.dispose());

  const show = async (): Promise<Shown> => (await api.call<{ volume: Shown }>("GET", `/volumes/${id}`)).volume;
  const poolOf = (shown: Shown): string => shown["os-vol-host-attr:host"].split("#")[1]!;
  const isUnderWay = ({ migration_status: at }: Shown): boolean => ["starting", "migrating", "completing"].includes(at ?? "");

  async function begin(): Promise<{ client: NbdClient; writer: VerifyingWriter }> {
    const client = await openExport(service, exportName);
    const options = { device: client, model, random, firstByte: 0, nextStamp: () => ++stamp, workers: 4 };
    const writer = new VerifyingWriter(options);
    writer.start();
    return { client, writer };
  }

  /** The other pool: by migration, or by a type of that pool. Returns its name. */
  async function sendOff(): Promise<string> {
    const shown = await show();
    const target = poolOf(shown) === "east" ? "west" : "east";
    const host = shown["os-vol-host-attr:host"].replace(/@.*/, `@${target}#${target}`);
    const byType = shown.volume_type === "__DEFAULT__" ? random.below(2) === 0 : true;
    const body = byType
      ? { "os-retype": { new_type: target, migration_policy: "on-demand" } }
      : { "os-migrate_volume": { host, lock_volume: false } };
    await api.call("POST", `/volumes/${id}/action`, body);
    return target;
  }

  async function arrived(): Promise<Shown> {
    const untilMs = performance.now() + settleMsMax;
    for (;;) {
      const shown = await show();
      if (!isUnderWay(shown)) return shown;
      assert.ok(performance.now() < untilMs, `it stays ${JSON.stringify(shown)}\n${await service.logTail()}`);
      await sleep(50);
    }
  }

  async function checkAll(client: NbdClient): Promise<void> {
    assert.deepEqual(model.recover(await readStamps(client, 0, sectors)), []);
  }

  test("its connection lasts through every move, and every sector is what was written", async (context) => {
    const { client, writer } = await begin();
    for (let move = 0; move < moves; move++) {
      const target = await sendOff();
      const shown = await arrived();
      assert.deepEqual([shown.status, shown.migration_status, poolOf(shown)], ["in-use", "success", target]);
      assert.equal(writer.failure, undefined);
    }
    await writer.stop();
    assert.equal(writer.failure, undefined);
    assert.deepEqual(writer.wrong, []);
    await checkAll(client);
    await client.disconnect();
    context.diagnostic(`${moves} moves, ${writer.tally.operations} operations on one connection`);
  });

  test("kills on the way: the volume arrives, and nothing acknowledged is lost", async (context) => {
    let operations = 0;
    const met: Record<string, number> = {};
    for (let killed = 0; killed < kills;) {
      const target = await sendOff();
      while (killed < kills) {
        const { client, writer } = await begin();
        await sleep(random.below(2500));
        const { migration_status: at } = await show();
        await service.kill();
        await writer.stop();
        await client.disconnect().catch(() => undefined);
        killed++;
        met[at ?? "none"] = (met[at ?? "none"] ?? 0) + 1;
        operations += writer.tally.operations;
        assert.deepEqual(writer.wrong, []);
        await service.start();
        const reader = await openExport(service, exportName);
        await checkAll(reader);
        await reader.disconnect();
        if (!isUnderWay(await show())) break;
      }
      const shown = await arrived();
      const seen = [shown.status, shown.migration_status, poolOf(shown)];
      assert.deepEqual(seen, ["in-use", "success", target], await service.logTail());
    }
    context.diagnostic(`${kills} kills: ${JSON.stringify(met)}, ${operations} operations`);
    const reader = await openExport(service, exportName);
    await checkAll(reader);
    await reader.disconnect();
  });
});
