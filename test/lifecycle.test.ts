// The life of a whole service process: what ends it, what is there after the next start, and what keeps it from starting.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rmdir, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { BlockStorage } from "./harness/block-storage.ts";
import { run, type CommandResult } from "./harness/command.ts";
import { noise, openExport, readBytes } from "./harness/nbd.ts";
import { prepareAndiron, type AndironProcess, type ConfigGroups } from "./harness/service.ts";

const kibibyte = 1024;
const program = resolve(import.meta.dirname, "../src/bin/andiron.ts");

/** Runs a service that is expected to end by itself. */
const runService = (configFile: string): Promise<CommandResult> =>
  run(process.execPath, [program, "--config-file", configFile], { timeoutMs: 30_000 });

/** Makes a private service, gives it to `body`, and removes it. */
async function withService(config: ConfigGroups, body: (service: AndironProcess) => Promise<void>): Promise<void> {
  const service = await prepareAndiron(config);
  try {
    await body(service);
  } finally {
    await service.dispose();
  }
}

interface ShownDisk {
  readonly log: { readonly owner: string | null; readonly epoch: number };
}

async function showDisk(service: AndironProcess, volumeId: string): Promise<ShownDisk> {
  const { code, stdout, stderr } = await service.manage("vdisk", "show", volumeId);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as ShownDisk;
}

describe("a service that ends", { timeout: 120_000 }, () => {
  let service: AndironProcess;
  let api: BlockStorage;
  let volumeId: string;
  let exportName: string;

  before(async () => {
    service = await prepareAndiron();
    await service.start();
    api = new BlockStorage(service);
    volumeId = await api.createVolume({ name: "kept" });
    exportName = (await api.attach(volumeId)).connection_info.name;
  });
  after(() => service.dispose());

  test("on SIGTERM answers what is in flight, gives its disks back and says that it is gone", async () => {
    const client = await openExport(service, exportName);
    const blockBytes = 64 * kibibyte;
    const outcomes = Array.from({ length: 64 }, (_, i) =>
      client.write(i * blockBytes, noise(i, blockBytes), { fua: false }).then(
        () => "done",
        (error: { code: string }) => error.code,
      ),
    );
    await outcomes[0];
    assert.equal(await service.stop(), 0);
    assert.equal(existsSync(join(service.statePath, "endpoints.json")), false);
    const said = await Promise.all(outcomes);
    assert.deepEqual(
      said.filter((outcome) => !["done", "shutting_down", "owner_unreachable"].includes(outcome)),
      [],
    );
    assert.equal((await showDisk(service, volumeId)).log.owner, null);

    await service.start();
    const again = await openExport(service, exportName);
    for (const [i, outcome] of said.entries()) {
      if (outcome !== "done") continue;
      assert.ok((await readBytes(again, i * blockBytes, blockBytes)).equals(noise(i, blockBytes)), `block ${i} was acknowledged`);
    }
    await again.disconnect();
  });

  test("killed with SIGKILL is recovered by the next start, at a higher epoch, with all that was flushed", async () => {
    const client = await openExport(service, exportName);
    const bytes = noise(1000, 300 * kibibyte);
    await client.write(777, bytes, { fua: false });
    await client.flush();
    const { owner, epoch } = (await showDisk(service, volumeId)).log;
    await service.kill();
    await assert.rejects(client.flush(), { code: "owner_unreachable" });
    await service.start();
    const again = await openExport(service, exportName);
    assert.ok((await readBytes(again, 777, bytes.length)).equals(bytes));
    await again.disconnect();
    const recovered = (await showDisk(service, volumeId)).log;
    assert.notEqual(owner, null);
    assert.equal(recovered.owner, owner);
    assert.ok(recovered.epoch > epoch);
    assert.deepEqual(
      (await api.volumes()).map(({ id, status }) => [id, status]),
      [[volumeId, "in-use"]],
    );
  });

  test("has its state directory to itself", async () => {
    const second = await runService(service.configFile);
    assert.equal(second.code, 1);
    assert.match(second.stderr, /state directory \S+ is in use by pid \d+ \(.*andiron\.ts/);
    assert.match(second.stderr, /\[DEFAULT\] state_path/);
    assert.equal((await api.volumes()).length, 1, "the first one goes on");
  });
});

describe("a service that cannot start", { timeout: 120_000 }, () => {
  for (const [option, groups] of [
    ["[DEFAULT] osapi_volume_listen_port", (port: number) => ({ DEFAULT: { osapi_volume_listen_port: port } })],
    ["[nbd] port", (port: number) => ({ nbd: { port } })],
  ] as const) {
    test(`says whose the port of ${option} is`, async () => {
      const holder = createServer().listen(0, "127.0.0.1");
      try {
        await new Promise((done) => holder.once("listening", done));
        const { port } = holder.address() as AddressInfo;
        await withService(groups(port), async ({ configFile }) => {
          const { code, stderr } = await runService(configFile);
          assert.equal(code, 1);
          assert.ok(stderr.includes(`cannot listen on 127.0.0.1:${port} (${option}): in use by pid ${process.pid} (`), stderr);
        });
      } finally {
        holder.close();
      }
    });
  }

  test("lets nobody in without authentication from outside", async () => {
    await withService({ DEFAULT: { osapi_volume_listen: "0.0.0.0" } }, async ({ configFile }) => {
      const { code, stderr } = await runService(configFile);
      assert.equal(code, 1);
      assert.match(stderr, /andiron\.conf:\d+: \[DEFAULT\] osapi_volume_listen: auth_strategy = noauth .* loopback/);
    });
  });

  test("names file, line and option of every bad value", async () => {
    await withService({ engine: { segment_bytes: "a lot" }, nbd: { tls_mode: "maybe" } }, async ({ configFile }) => {
      const lines = (await readFile(configFile, "utf8")).split("\n");
      const { code, stderr } = await runService(configFile);
      assert.equal(code, 1);
      for (const [group, name] of [
        ["engine", "segment_bytes"],
        ["nbd", "tls_mode"],
      ]) {
        const line = lines.findIndex((text) => text.startsWith(`${name} =`)) + 1;
        assert.ok(stderr.includes(`${configFile}:${line}: [${group}] ${name}: "`), stderr);
      }
      assert.doesNotMatch(stderr, /\n {4}at /, "no stack trace for an operator");
    });
  });

  test("names a certificate that is not there", async () => {
    const tls = { tls_mode: "require", tls_cert_file: "/nonexistent/cert.pem", tls_key_file: "/nonexistent/key.pem" };
    await withService({ nbd: tls }, async ({ configFile }) => {
      const { code, stderr } = await runService(configFile);
      assert.equal(code, 1);
      assert.match(stderr, /\[nbd\] tls_cert_file "\/nonexistent\/cert\.pem"/);
    });
  });

  test("is not what an unknown option makes of it: that is a warning", async () => {
    await withService({ nbd: { ports: 1 } }, async (service) => {
      await service.start();
      assert.match(
        await service.logTail(),
        /WARNING .*\[nbd\] ports is not an option of this version and is ignored; did you mean port\?/,
      );
      assert.equal(await service.stop(), 0);
    });
  });

  test("never takes an empty directory for the backend that it had: it may not be mounted", async () => {
    await withService({ DEFAULT: { graceful_shutdown_timeout: 2 } }, async (service) => {
      await service.start();
      const api = new BlockStorage(service);
      const { connection_info } = await api.attach(await api.createVolume({ name: "mounted" }));
      const client = await openExport(service, connection_info.name);
      const backend = join(service.statePath, "backend/vpool1");
      await rename(backend, `${backend}.away`);
      await mkdir(backend);
      await client.write(0, noise(1, 4096), { fua: true });
      assert.equal(await service.stop(), 0, "the end does not wait for the backend");
      const { code, stderr } = await runService(service.configFile);
      assert.equal(code, 1);
      assert.match(stderr, /vpool1 is not a backend now[^]*mounted\?/);
      assert.equal((await service.manage("vdisk", "verify")).code, 1);
      assert.deepEqual(await readdir(backend), []);

      await rmdir(backend);
      await rename(`${backend}.away`, backend);
      await service.start();
      const again = await openExport(service, connection_info.name);
      assert.ok((await readBytes(again, 0, 4096)).equals(noise(1, 4096)));
      await again.disconnect();
    });
  });

  test("damages nothing when its registry is no database", async () => {
    await withService({}, async (service) => {
      const path = join(service.statePath, "registry.db");
      await writeFile(path, "this is not SQLite, and somebody may want it\n".repeat(200));
      const before = await readFile(path);
      const { code, stderr } = await runService(service.configFile);
      assert.equal(code, 1);
      assert.match(stderr, /registry\.db/);
      assert.ok((await readFile(path)).equals(before));
    });
  });
});
