// Backups of the running service in Debian's Swift: one that is made while all of Swift hangs for a minute ends well when it
// goes on, restores, and leaves nothing in the container.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../src/common/clock.ts";
import { systemRandom } from "../src/common/random.ts";
import { openSwiftStore } from "../src/object-store/swift-store.ts";
import { prepareSwift, swiftPrograms } from "./cloud/swift.ts";
import { BlockStorage } from "./harness/block-storage.ts";
import { missingCommand } from "./harness/command.ts";
import { noise, openExport, readBytes } from "./harness/nbd.ts";
import { prepareAndiron } from "./harness/service.ts";

const mebibyte = 1024 * 1024;
const hangMs = 60_000;
const waitMsMax = 300_000;
const missing = await missingCommand(swiftPrograms);
const skip = missing !== undefined && `${missing} is not installed`;

test("a Swift that hangs for a minute holds a backup up, and no more", { skip, timeout: 1_200_000 }, async (t) => {
  const swift = await prepareSwift();
  t.after(() => swift.dispose());
  const auth = { kind: "v1", authUrl: `${swift.url}/auth/v1.0`, user: "test:tester", key: "testing" } as const;
  const service = await prepareAndiron({
    DEFAULT: {
      backup_driver: "cinder.backup.drivers.swift.SwiftBackupDriver",
      backup_swift_auth_url: auth.authUrl,
      backup_swift_user: auth.user,
      backup_swift_key: auth.key,
      backup_swift_object_size: mebibyte,
    },
  });
  t.after(() => service.dispose());
  await service.start();
  const api = new BlockStorage(service);
  const withDisk = (id: string, work: (client: Awaited<ReturnType<typeof openExport>>) => Promise<void>): Promise<void> =>
    api.whileAttached(id, async (_uri, { connection_info }) => {
      const client = await openExport(service, connection_info.name);
      await work(client);
      await client.disconnect();
    });
  const volume = await api.createVolume();
  await withDisk(volume, (client) => client.write(100 * mebibyte, noise(1, 8 * mebibyte), { fua: true }));

  async function until(path: string, isOver: (status: number, shown: string | undefined) => boolean): Promise<void> {
    for (const untilMs = performance.now() + waitMsMax; ; await sleep(200)) {
      const { status, body } = await api.request<{ backup?: { status: string } }>("GET", path);
      if (isOver(status, body.backup?.status)) return;
      assert.ok(performance.now() < untilMs, `${path} stays ${body.backup?.status}\n${await service.logTail()}`);
    }
  }
  async function backup(incremental: boolean): Promise<string> {
    const body = { backup: { volume_id: volume, incremental } };
    return (await api.call<{ backup: { id: string } }>("POST", "/backups", body)).backup.id;
  }

  const first = await backup(false);
  await until(`/backups/${first}`, (_status, shown) => shown === "available");
  await withDisk(volume, (client) => client.write(104 * mebibyte, noise(2, 8 * mebibyte), { fua: true }));
  swift.suspend();
  const second = await backup(true);
  await sleep(hangMs);
  await until(`/backups/${second}`, (_status, shown) => shown === "creating");
  swift.resume();
  await until(`/backups/${second}`, (_status, shown) => shown === "available");
  const target = await api.createVolume();
  await api.call("POST", `/backups/${second}/restore`, { restore: { volume_id: target } });
  await until(`/backups/${second}`, (_status, shown) => shown === "available");
  await api.waitForStatus("volumes", target, "available");
  await withDisk(target, async (client) => {
    assert.ok((await readBytes(client, 100 * mebibyte, 4 * mebibyte)).equals(noise(1, 8 * mebibyte).subarray(0, 4 * mebibyte)));
    assert.ok((await readBytes(client, 104 * mebibyte, 8 * mebibyte)).equals(noise(2, 8 * mebibyte)));
  });
  for (const id of [second, first]) {
    await api.call("DELETE", `/backups/${id}`);
    await until(`/backups/${id}`, (status) => status === 404);
  }
  const place = { auth, container: "volumebackups", create: false, caFile: "", insecure: false };
  const store = await openSwiftStore(place, { clock: systemClock, random: systemRandom });
  t.after(() => store.close());
  const untilMs = performance.now() + waitMsMax;
  while ((await store.list("")).objects.length > 0) {
    assert.ok(performance.now() < untilMs, "objects are left");
    await sleep(500); // a listing lags
  }
});
