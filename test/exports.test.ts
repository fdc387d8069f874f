// Attachments as a client of NBD sees them: who is let in, what he may do, and how it ends.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { AndironError } from "../src/common/errors.ts";
import { BlockStorage, type Attachment } from "./harness/block-storage.ts";
import { noise, openExport, readBytes } from "./harness/nbd.ts";
import { prepareAndiron, type AndironProcess } from "./harness/service.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const gibibyte = 1024 * mebibyte;
const connector = { platform: "x86_64", os_type: "linux", ip: "127.0.0.1", host: "test", multipath: false };

describe("an attachment", { timeout: 300_000 }, () => {
  let service: AndironProcess;
  let api: BlockStorage;

  before(async () => {
    service = await prepareAndiron();
    await service.start();
    api = new BlockStorage(service);
  });
  after(() => service.dispose());

  test("cuts its connections when it is deleted in the middle of writing, and what was acknowledged stays", async () => {
    const volumeId = await api.createVolume({ name: "cut" });
    const attachment = await api.attach(volumeId);
    const exportName = attachment.connection_info.name;
    const clients = await Promise.all([openExport(service, exportName), openExport(service, exportName)]);
    const blockBytes = 16 * kibibyte;
    const acknowledged: number[] = [];
    let next = 0;
    let deleted = false;
    let lateAnswers = 0;
    const ends = Array.from({ length: 16 }, async (_, worker) => {
      for (;;) {
        const block = next++;
        const sentAfter = deleted;
        try {
          await clients[worker % clients.length]!.write(block * blockBytes, noise(block, blockBytes), { fua: worker % 4 === 0 });
        } catch (error) {
          return (error as AndironError).code;
        }
        if (sentAfter) lateAnswers++;
        acknowledged.push(block);
      }
    });
    while (acknowledged.length < 100) await sleep(5);
    await api.delete("attachments", attachment.id);
    deleted = true;
    assert.deepEqual([...new Set(await Promise.all(ends))], ["owner_unreachable"]);
    assert.equal(lateAnswers, 0);
    await assert.rejects(openExport(service, exportName), { code: "export_not_found" });
    await api.waitForStatus("volumes", volumeId, "available");
    await api.whileAttached(volumeId, async (_uri, { connection_info }) => {
      const client = await openExport(service, connection_info.name);
      for (const block of acknowledged) {
        const found = await readBytes(client, block * blockBytes, blockBytes);
        assert.ok(found.equals(noise(block, blockBytes)), `block ${block} was acknowledged`);
      }
      await client.disconnect();
    });
    await api.delete("volumes", volumeId);
  });

  test("that is gone, one that never was and a guess are refused in the same words", async () => {
    const volumeId = await api.createVolume({ name: "guessed" });
    const gone = await api.attach(volumeId);
    await api.delete("attachments", gone.id);
    const live = await api.attach(volumeId);
    const { name } = live.connection_info;
    const other = name.slice(0, -1) + (name.endsWith("0") ? "1" : "0");
    const guesses = [gone.connection_info.name, other, name.slice(1), "random", "", volumeId, "guessed", live.id];
    const answers = new Set<string>();
    for (const guess of guesses) {
      const error = await openExport(service, guess).then(
        () => assert.fail(`${guess} was let in`),
        (refusal: AndironError) => refusal,
      );
      answers.add(`${error.code}: ${error.message.replaceAll(guess === "" ? '""' : guess, "NAME")}`);
    }
    assert.equal(answers.size, 1, [...answers].join("\n"));
    assert.match([...answers][0]!, /^export_not_found: /);
    await api.delete("attachments", live.id);
    await api.delete("volumes", volumeId);
  });

  test("of mode ro can be read and not written", async () => {
    const volumeId = await api.createVolume({ name: "read-only" });
    const bytes = noise(3, 64 * kibibyte);
    await api.whileAttached(volumeId, async (_uri, { connection_info }) => {
      const client = await openExport(service, connection_info.name);
      await client.write(0, bytes, { fua: true });
      await client.disconnect();
    });
    const body = { attachment: { volume_uuid: volumeId, connector, mode: "ro" } };
    const { attachment } = await api.call<{ attachment: Attachment }>("POST", "/attachments", body);
    const client = await openExport(service, attachment.connection_info.name);
    assert.equal(client.readOnly, true);
    assert.ok((await readBytes(client, 0, bytes.length)).equals(bytes));
    for (const refused of [
      client.write(0, noise(4, 4096), { fua: false }),
      client.trim(0, 4096, { fua: false }),
      client.writeZeroes(0, 4096, { fua: false, noHole: false }),
    ]) {
      await assert.rejects(refused, { code: "read_only" });
    }
    assert.ok((await readBytes(client, 0, bytes.length)).equals(bytes));
    await client.disconnect();
    await api.delete("attachments", attachment.id);
    await api.delete("volumes", volumeId);
  });

  test("of a disk that grows shows the new size to new connections, while old ones live on", async () => {
    const volumeId = await api.createVolume({ name: "growing" });
    const attachment = await api.attach(volumeId);
    const exportName = attachment.connection_info.name;
    const old = await openExport(service, exportName);
    await old.write(0, noise(5, 4096), { fua: false });
    await api.call("POST", `/volumes/${volumeId}/action`, { "os-extend": { new_size: 2 } });
    await api.waitForStatus("volumes", volumeId, "in-use");
    const young = await openExport(service, exportName);
    assert.deepEqual([old.sizeBytes, young.sizeBytes], [gibibyte, 2 * gibibyte]);
    await young.write(2 * gibibyte - 4096, noise(6, 4096), { fua: true });
    assert.ok((await readBytes(young, 2 * gibibyte - 4096, 4096)).equals(noise(6, 4096)));
    await old.write(4096, noise(7, 4096), { fua: true });
    assert.ok((await readBytes(young, 4096, 4096)).equals(noise(7, 4096)));
    await assert.rejects(
      old.write(gibibyte, noise(8, 4096), { fua: false }),
      ({ code }: AndironError) => code === "backend_full",
    );
    await assert.rejects(readBytes(old, gibibyte, 4096), { code: "invalid_request" });
    for (const client of [old, young]) await client.disconnect();
    await api.delete("attachments", attachment.id);
    await api.delete("volumes", volumeId);
  });

  test("is one of twenty at once, each with a disk of its own", async () => {
    const lengthBytes = 512 * kibibyte;
    const disks = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const volumeId = await api.createVolume({ name: `disk-${i}` });
        return { i, volumeId, attachment: await api.attach(volumeId) };
      }),
    );
    assert.equal(new Set(disks.map(({ attachment }) => attachment.connection_info.name)).size, 20);
    const offset = (i: number): number => i * mebibyte + i * 100;
    const clients = await Promise.all(disks.map(({ attachment }) => openExport(service, attachment.connection_info.name)));
    await Promise.all(clients.map((client, i) => client.write(offset(i), noise(i, lengthBytes), { fua: true })));
    await service.kill();
    await service.start();
    await Promise.all(
      disks.map(async ({ i, volumeId, attachment }) => {
        const client = await openExport(service, attachment.connection_info.name);
        assert.ok((await readBytes(client, offset(i), lengthBytes)).equals(noise(i, lengthBytes)), `disk ${i}`);
        const other = (i + 1) % 20;
        assert.ok(
          (await readBytes(client, offset(other) + lengthBytes, 4096)).equals(Buffer.alloc(4096)),
          `disk ${i}, elsewhere`,
        );
        await client.disconnect();
        await api.delete("attachments", attachment.id);
        await api.delete("volumes", volumeId);
      }),
    );
    assert.deepEqual(await api.volumes(), []);
    const { code, stdout } = await service.manage("vdisk", "verify");
    assert.equal(code, 0, stdout);
  });
});
