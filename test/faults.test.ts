// What fails around the service: a damaged object, a local disk that is full, a backend that is away. The client gets the
// right error or waits, never wrong bytes; what was acknowledged is there when the fault is over.

import assert from "node:assert/strict";
import { open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { AndironError } from "../src/common/errors.ts";
import type { NbdClient } from "../src/nbd/client.ts";
import { BlockStorage } from "./harness/block-storage.ts";
import { run, runOk } from "./harness/command.ts";
import { noise, openExport, readBytes } from "./harness/nbd.ts";
import { prepareAndiron, type AndironProcess, type ConfigGroups } from "./harness/service.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const clusterBytes = 4096;
const smallSegments = { segment_bytes: mebibyte, checkpoint_bytes: 4 * mebibyte, cache_bytes: 4 * mebibyte };

/** Starts a private service for `body`, and removes it. */
async function withService(
  config: ConfigGroups,
  body: (service: AndironProcess, api: BlockStorage) => Promise<void>,
): Promise<void> {
  const service = await prepareAndiron(config);
  try {
    await service.start();
    await body(service, new BlockStorage(service));
  } finally {
    await service.dispose();
  }
}

/** Calls `body` with a connection to the volume, attached for that long. */
async function whileConnected(
  service: AndironProcess,
  api: BlockStorage,
  volumeId: string,
  body: (client: NbdClient) => Promise<void>,
): Promise<void> {
  await api.whileAttached(volumeId, async (_uri, { connection_info }) => {
    const client = await openExport(service, connection_info.name);
    await body(client);
    await client.disconnect();
  });
}

async function verifyDisks(service: AndironProcess): Promise<{ readonly code: number; readonly stdout: string }> {
  return service.manage("vdisk", "verify");
}

async function flipByte(path: string, offset: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, offset);
    byte[0]! ^= 0x40;
    await file.write(byte, 0, 1, offset);
  } finally {
    await file.close();
  }
}

test("a damaged object: its clusters cannot be read, all others can, and verify names it", { timeout: 120_000 }, async () => {
  await withService({ engine: smallSegments }, async (service, api) => {
    const [damaged, healthy] = [await api.createVolume({ name: "damaged" }), await api.createVolume({ name: "healthy" })];
    const bytes = noise(1, 3 * mebibyte);
    for (const volumeId of [damaged, healthy]) {
      await whileConnected(service, api, volumeId, async (client) => {
        for (let offset = 0; offset < bytes.length; offset += 512 * kibibyte) {
          await client.write(offset, bytes.subarray(offset, offset + 512 * kibibyte), { fua: true });
        }
      });
    }
    assert.equal((await verifyDisks(service)).code, 0);
    assert.equal(await service.stop(), 0);
    const { log } = JSON.parse((await service.manage("vdisk", "show", damaged)).stdout) as { log: { id: string } };
    const folder = join(service.statePath, "backend/vpool1", log.id);
    const segment = (await readdir(folder)).filter((name) => name.startsWith("s-")).sort()[1]!;
    await flipByte(join(folder, segment), 500_000);

    await service.start();
    let unreadable = 0;
    await whileConnected(service, api, damaged, async (client) => {
      for (let offset = 0; offset < bytes.length; offset += clusterBytes) {
        const found = await readBytes(client, offset, clusterBytes).catch((error: AndironError) => {
          assert.equal(error.code, "nbd_io_failed");
          return undefined;
        });
        if (found === undefined) unreadable++;
        else assert.ok(found.equals(bytes.subarray(offset, offset + clusterBytes)), `wrong bytes at ${offset}`);
      }
      await assert.rejects(readBytes(client, 0, bytes.length), { code: "nbd_io_failed" });
      await client.write(0, bytes.subarray(0, clusterBytes), { fua: true });
    });
    assert.equal(unreadable, 1);
    await whileConnected(service, api, healthy, async (client) => {
      assert.ok((await readBytes(client, 0, bytes.length)).equals(bytes));
    });

    const { code, stdout } = await verifyDisks(service);
    assert.equal(code, 1);
    const [, epoch, number] = segment.split("-").map((part) => Number.parseInt(part, 16));
    assert.match(stdout, new RegExp(`cluster \\d+ in segment ${epoch}-${number} of log ${log.id} at \\d+: .*checksum`));
    assert.match(stdout, /, 1 findings\n$/);
    assert.equal((await service.manage("vdisk", "verify", healthy)).code, 0);
    assert.match(
      await service.logTail(),
      new RegExp(`wrong checksum at offset \\d+ of segment ${epoch}-${number} of log ${log.id}`),
    );

    // Written anew, the disk is whole again.
    await whileConnected(service, api, damaged, async (client) => {
      await client.write(0, bytes, { fua: true });
      assert.ok((await readBytes(client, 0, bytes.length)).equals(bytes));
    });
  });
});

test(
  "a backend that is away: writes go on into the journal, reads of what it has wait or fail, nothing is lost",
  { timeout: 180_000 },
  async () => {
    await withService({ engine: { ...smallSegments, backend_timeout: 2 } }, async (service, api) => {
      const volumeId = await api.createVolume({ name: "patient" });
      const attachment = await api.attach(volumeId);
      const client = await openExport(service, attachment.connection_info.name);
      const before = noise(1, 6 * mebibyte);
      await client.write(0, before, { fua: true });
      const backend = join(service.statePath, "backend/vpool1");
      await rename(backend, `${backend}.away`);
      const during = noise(2, 6 * mebibyte);
      for (let offset = 0; offset < during.length; offset += 256 * kibibyte) {
        await client.write(8 * mebibyte + offset, during.subarray(offset, offset + 256 * kibibyte), { fua: false });
      }
      await client.flush();
      assert.ok((await readBytes(client, 8 * mebibyte, during.length)).equals(during));
      const early = await readBytes(client, 0, before.length).catch((error: AndironError) => error.code);
      assert.ok(early === "nbd_io_failed" || (Buffer.isBuffer(early) && early.equals(before)));
      await sleep(2500); // uploads fail meanwhile, and are tried again
      await rename(`${backend}.away`, backend);
      await client.write(20 * mebibyte, before, { fua: true });
      for (const [offset, expected] of [
        [0, before],
        [8 * mebibyte, during],
        [20 * mebibyte, before],
      ] as const) {
        assert.ok((await readBytes(client, offset, expected.length)).equals(expected), `at ${offset}`);
      }
      await client.disconnect();
      await api.delete("attachments", attachment.id);
      await service.stop();
      await service.start();
      await whileConnected(service, api, volumeId, async (again) => {
        assert.ok((await readBytes(again, 8 * mebibyte, during.length)).equals(during));
      });
      const { code, stdout } = await verifyDisks(service);
      assert.equal(code, 0, stdout);
    });
  },
);

describe("a full local disk", { skip: process.getuid?.() !== 0 && "mounting needs root", timeout: 180_000 }, () => {
  /** A service whose journal has a file system of its own. */
  async function withSmallDisk(
    diskBytes: number,
    body: (service: AndironProcess, api: BlockStorage, mount: string) => Promise<void>,
  ): Promise<void> {
    const service = await prepareAndiron({ engine: { ...smallSegments, journal_path: "$state_path/small" } });
    const mount = join(service.statePath, "small");
    try {
      await runOk("mkdir", [mount]);
      await runOk("mount", ["-t", "tmpfs", "-o", `size=${diskBytes}`, "andiron-test", mount]);
      await service.start();
      await body(service, new BlockStorage(service), mount);
    } finally {
      await service.kill();
      await run("umount", ["--lazy", mount]);
      await service.dispose();
    }
  }

  test("taken by others gives ENOSPC to writers; reads go on, and so do writes when there is space again", async () => {
    await withSmallDisk(16 * mebibyte, async (service, api, mount) => {
      const volumeId = await api.createVolume({ name: "full" });
      const attachment = await api.attach(volumeId);
      const client = await openExport(service, attachment.connection_info.name);
      const blockBytes = 64 * kibibyte;
      const block = (i: number): Buffer => noise(i, blockBytes);
      await client.write(0, block(0), { fua: true });
      const ballast = join(mount, "ballast");
      await writeFile(ballast, Buffer.alloc(16 * mebibyte)).catch(() => undefined);
      const acknowledged = [0];
      let refused = 0;
      for (let i = 1; i <= 64; i++) {
        const code = await client.write(i * blockBytes, block(i), { fua: false }).then(
          () => "done",
          (error: AndironError) => error.code,
        );
        assert.ok(code === "done" || code === "backend_full", `write ${i}: ${code}`);
        if (code === "done") acknowledged.push(i);
        else refused++;
      }
      assert.ok(refused > 0, "the disk was not full");
      const check = async (reader: NbdClient): Promise<void> => {
        for (const i of acknowledged)
          assert.ok((await readBytes(reader, i * blockBytes, blockBytes)).equals(block(i)), `block ${i}`);
      };
      await check(client);
      await client.flush();
      assert.match(await service.logTail(), /ENOSPC|no space/i);

      await rm(ballast);
      for (let i = 100; i < 200; i++) {
        await client.write(i * blockBytes, block(i), { fua: false });
        acknowledged.push(i);
      }
      await client.flush();
      await check(client);
      await service.kill();
      await service.start();
      const again = await openExport(service, attachment.connection_info.name);
      await check(again);
      await again.disconnect();
      await api.delete("attachments", attachment.id);
      assert.equal((await verifyDisks(service)).code, 0);
    });
  });

  test("smaller than what the journal may take is freed by uploads: the writer gets on", async () => {
    await withSmallDisk(12 * mebibyte, async (service, api) => {
      const volumeId = await api.createVolume({ name: "more" });
      await whileConnected(service, api, volumeId, async (client) => {
        const blockBytes = 256 * kibibyte;
        for (let i = 0; i < 160; i++) {
          for (let attempt = 0; ; attempt++) {
            const code = await client.write(i * blockBytes, noise(i, blockBytes), { fua: false }).then(
              () => "done",
              (error: AndironError) => error.code,
            );
            if (code === "done") break;
            assert.equal(code, "backend_full");
            assert.ok(attempt < 200, `write ${i} is refused for ever`);
            await sleep(50);
          }
        }
        for (let i = 0; i < 160; i++)
          assert.ok((await readBytes(client, i * blockBytes, blockBytes)).equals(noise(i, blockBytes)));
      });
      assert.equal((await verifyDisks(service)).code, 0);
    });
  });
});

test("verify beside a writer finds nothing wrong, whatever is on its way to the backend", { timeout: 120_000 }, async () => {
  const busy = {
    ...smallSegments,
    checkpoint_bytes: 2 * mebibyte,
    cleaner_interval: 0.1,
    cleaner_dead_percent: 10,
    retired_grace: 0.5,
  };
  await withService({ engine: busy }, async (service, api) => {
    const volumeId = await api.createVolume({ name: "busy" });
    await whileConnected(service, api, volumeId, async (client) => {
      let enough = false;
      const write = async (worker: number): Promise<void> => {
        for (let i = worker; !enough; i += 4) {
          await client.write(((i * 7919) % 512) * 16 * kibibyte, noise(i, 16 * kibibyte), { fua: false });
        }
      };
      const writers = [0, 1, 2, 3].map(write);
      for (let round = 0; round < 3; round++) {
        const snapshot = await api.createSnapshot(volumeId);
        const { code, stdout } = await verifyDisks(service);
        assert.equal(code, 0, stdout);
        await api.delete("snapshots", snapshot);
      }
      enough = true;
      await Promise.all(writers);
    });
    assert.match((await verifyDisks(service)).stdout, /^vpool1: [^\n]* 0 findings\n$/);
  });
});
