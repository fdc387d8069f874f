// What an operator has besides the API: /healthcheck, /metrics and andiron-manage, beside a running service and without it.

import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemRandom } from "../src/common/random.ts";
import type { VerifyResult } from "../src/engine/verify.ts";
import { openSqliteRegistry } from "../src/registry/sqlite/open.ts";
import { BlockStorage } from "./harness/block-storage.ts";
import { noise, openExport } from "./harness/nbd.ts";
import { prepareAndiron, type AndironProcess } from "./harness/service.ts";

const metricsPage = resolve(import.meta.dirname, "../docs/metrics.md");

describe("an operator", { timeout: 120_000 }, () => {
  let service: AndironProcess;
  let api: BlockStorage;
  let volumeId: string;

  before(async () => {
    service = await prepareAndiron({
      healthcheck: { disable_by_file_path: "$state_path/disabled" },
      // Its metrics are there only when it is on; nobody listens there.
      oslo_messaging_notifications: { driver: "messagingv2", transport_url: "rabbit://nobody:nothing@127.0.0.1:1/" },
    });
    await service.start();
    api = new BlockStorage(service);
    volumeId = await api.createVolume({ name: "checked" });
    await api.whileAttached(volumeId, async (_uri, attachment) => {
      const client = await openExport(service, attachment.connection_info.name);
      await client.write(0, noise(1, 1024 * 1024), { fua: true });
      await client.disconnect();
    });
    await api.createSnapshot(volumeId);
  });
  after(() => service.dispose());

  const get = (path: string, init: RequestInit = {}): Promise<Response> => {
    const { host, port } = service.endpoints.api;
    return fetch(`http://${host}:${port}${path}`, { ...init, signal: AbortSignal.timeout(10_000) });
  };

  const manage = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await service.manage(...args);
    assert.equal(code, 0, `${args.join(" ")}: ${stdout}${stderr}`);
    assert.equal(stderr, "");
    return stdout;
  };

  test("asks whether the service is well, and can take it out of a balancer", async () => {
    const well = await get("/healthcheck");
    assert.deepEqual([well.status, await well.text()], [200, "OK"]);
    assert.equal((await get("/healthcheck", { method: "HEAD" })).status, 204);
    const switchFile = join(service.statePath, "disabled");
    await writeFile(switchFile, "");
    const disabled = await get("/healthcheck", { headers: { Accept: "application/json" } });
    assert.deepEqual([disabled.status, await disabled.json()], [503, { detailed: false, reasons: ["DISABLED BY FILE"] }]);
    await rm(switchFile);
    assert.equal((await get("/healthcheck")).status, 200);
  });

  test("finds every metric documented, and every documented metric there", async () => {
    let text = "";
    // A disk that was detached is given back in the background.
    for (let i = 0; i < 500 && !text.includes("\nandiron_open_disks 0\n"); i++) {
      await sleep(20);
      text = await (await get("/metrics")).text();
    }
    const told = new Set([...text.matchAll(/^# TYPE (andiron_\w+) /gm)].map(([, name]) => name));
    const documented = new Set([...(await readFile(metricsPage, "utf8")).matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name));
    assert.deepEqual(told, documented);
    assert.match(text, /^andiron_nbd_requests_total\{command="write",result="ok"\} 1$/m);
    assert.match(text, /^andiron_nbd_bytes_total\{command="write"\} 1048576$/m);
    assert.match(text, /^andiron_nbd_sessions 0$/m);
    assert.match(text, /^andiron_open_disks 0$/m);
    assert.match(text, /^andiron_api_requests_total\{operation="\S+",status="202"\} \d+$/m);
    assert.match(text, /^andiron_backend_operations_total\{verb="\w+",result="ok"\} [1-9]\d*$/m);
    assert.match(text, /^process_resident_memory_bytes \d+/m);
  });

  test("is told what is wrong by the exit code", async () => {
    const nowhere = "00000000-0000-4000-8000-000000000000";
    for (const [args, code, message] of [
      [["vdisk", "show", nowhere], 1, /vDisk \S+ does not exist/],
      [["vdisk", "verify", nowhere], 1, /vDisk \S+ does not exist/],
      [["vdisk", "show"], 2, /^usage: /],
      [["vdisk", "destroy"], 2, /^usage: /],
      [["--yaml", "vdisk", "list"], 2, /--yaml[^]*usage: /],
      [[], 2, /^usage: /],
    ] as const) {
      const result = await service.manage(...args);
      assert.deepEqual([args, result.code, result.stdout], [args, code, ""]);
      assert.match(result.stderr, message);
    }
  });

  for (const running of [true, false]) {
    describe(running ? "beside the running service" : "when it has stopped", () => {
      before(async () => {
        if (!running) assert.equal(await service.stop(), 0);
      });

      test("lists services", async () => {
        const rows = JSON.parse(await manage("--json", "service", "list")) as { pools: string; nbd: string }[];
        if (running) assert.equal(rows[0]?.nbd, `127.0.0.1:${service.endpoints.nbd.port}`);
        assert.deepEqual(
          rows.map(({ pools }) => pools),
          running ? ["vpool1"] : [],
        );
        if (running) assert.match(await manage("service", "list"), /^router +host +pools +nbd +reported\n\S+ +\S+ +vpool1 /);
      });

      test("lists and shows disks", async () => {
        const disks = JSON.parse(await manage("--json", "vdisk", "list")) as Record<string, unknown>[];
        assert.deepEqual(
          disks.map(({ id, pool, sizeBytes, exports }) => [id, pool, sizeBytes, exports]),
          [[volumeId, "vpool1", 1024 ** 3, 0]],
        );
        assert.match(await manage("vdisk", "list"), new RegExp(`\\n${volumeId} `));
        const shown = JSON.parse(await manage("vdisk", "show", volumeId)) as { vdisk: { id: string }; snapshots: unknown[] };
        assert.equal(shown.vdisk.id, volumeId);
        assert.equal(shown.snapshots.length, 1);
      });

      test("verifies all disks, or one", async () => {
        assert.match(
          await manage("vdisk", "verify"),
          /^vpool1: \d+ logs, \d+ segments, \d+ views, 256 clusters checked, 0 findings\n$/,
        );
        const one = JSON.parse(await manage("vdisk", "verify", volumeId, "--json")) as { clusters: number; findings: unknown[] };
        assert.deepEqual([one.clusters, one.findings], [256, []]);
        await manage("vdisk", "verify", "--no-data");
      });

      test("dumps the registry, all of it or below a prefix", async () => {
        const all = (await manage("registry", "dump")).trimEnd().split("\n");
        const keys = all.map((line) => (JSON.parse(line) as { key: string }).key);
        assert.ok(keys.some((key) => key.includes(volumeId)));
        const prefix = keys[0]!.slice(0, keys[0]!.lastIndexOf("/") + 1);
        const below = (await manage("registry", "dump", prefix)).trimEnd().split("\n");
        assert.equal(below.length, keys.filter((key) => key.startsWith(prefix)).length);
        assert.ok(below.length < all.length);
      });

      test("lists long jobs, shows one and asks for its end", async () => {
        assert.deepEqual(JSON.parse(await manage("--json", "jobs", "list", "--all")), []);
        for (const verb of ["show", "cancel"]) {
          const { code, stderr } = await service.manage("jobs", verb, "nothing");
          assert.equal(code, 1);
          assert.match(stderr, /there is no job nothing/);
        }
      });

      test("asks what waits to be deleted", async () => {
        const rows = JSON.parse(await manage("gc", "status", "--json")) as { what: string; count: number }[];
        assert.equal(rows.find(({ what }) => what === "logs in all")?.count, 1);
      });
    });
  }

  test("is told of records that cannot be read, and shown all others", async () => {
    const registry = await openSqliteRegistry({ path: join(service.statePath, "registry.db"), random: systemRandom });
    const damaged = ["engine/vdisk/bad", "engine/log/bad", "engine/snapshot/bad", "engine/retired/bad"];
    await registry.transact({
      compares: [],
      success: damaged.map((key) => ({ kind: "put", key, value: '{"name": "hidden' })),
    });
    await registry.close();
    const shown = async (about: readonly string[], ...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await service.manage(...args);
      assert.equal(code, 1, args.join(" "));
      for (const key of about) assert.match(stdout + stderr, new RegExp(`record ${key} is not JSON`), args.join(" "));
      assert.ok(!(stdout + stderr).includes("hidden"));
      return stdout;
    };
    const disks = JSON.parse(await shown(damaged.slice(0, 1), "--json", "vdisk", "list")) as { id: string }[];
    assert.deepEqual(
      disks.map(({ id }) => id),
      [volumeId],
    );
    const { snapshots } = JSON.parse(await shown(damaged.slice(2, 3), "vdisk", "show", volumeId)) as { snapshots: unknown[] };
    assert.equal(snapshots.length, 1);
    const verified = JSON.parse(await shown(damaged.slice(0, 3), "vdisk", "verify", "--json")) as VerifyResult;
    assert.deepEqual([verified.findings.length, verified.clusters], [3, 256]);
    const garbage = JSON.parse(await shown(damaged.slice(3), "gc", "status", "--json")) as { what: string; count: number }[];
    assert.equal(garbage.find(({ what }) => what === "logs in all")?.count, 1);
    const dumped = (await shown(damaged, "registry", "dump")).trimEnd().split("\n");
    assert.ok(dumped.some((line) => line.includes(volumeId)));
    const { findings } = JSON.parse(await shown([], "vdisk", "verify", volumeId, "--json")) as VerifyResult;
    assert.deepEqual(findings, ["record engine/snapshot/bad is not JSON"], "it may be this disk's; another disk's record is not");
  });
});
