// Kills of the running service in the middle of long jobs: volumes with many snapshots are deleted in cascade, and the service is
// killed with SIGKILL at random instants, its starts included. At each restart the quota equals what is listed; in the end all is
// gone, in the API and in the engine. JOB_KILLS and JOB_SEED for longer runs and to repeat one.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../../src/common/random.ts";
import { BlockStorage, type Volume } from "../harness/block-storage.ts";
import { prepareAndiron, type AndironProcess } from "../harness/service.ts";

const kills = Number(process.env["JOB_KILLS"] ?? 12);
const seed = Number(process.env["JOB_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
const snapshotsOfVolume = 80;
const settleMsMax = 60_000;
const startMsMax = 180_000;

interface JobRow {
  readonly id: string;
  readonly state: string;
  readonly resource: string;
  readonly progress: string;
}

describe(`kill -9 in long jobs (JOB_SEED=${seed})`, { timeout: 300_000 + kills * 30_000 }, () => {
  const random = seededRandom(seed);
  let service: AndironProcess;
  let api: BlockStorage;

  before(async () => {
    service = await prepareAndiron({ jobs: { lease_ttl: 2 } });
    await service.start(startMsMax);
    api = new BlockStorage(service);
  });
  after(() => service.dispose());

  async function makeVolume(): Promise<string> {
    const id = await api.createVolume();
    for (let made = 0; made < snapshotsOfVolume; made += 10) {
      await Promise.all(Array.from({ length: 10 }, () => api.createSnapshot(id)));
    }
    return id;
  }

  const statusOf = async (id: string): Promise<string> => {
    const { status, body } = await api.request<{ volume: Volume }>("GET", `/volumes/${id}`);
    return status === 404 ? "gone" : body.volume.status;
  };

  const jobsOf = async (id: string): Promise<JobRow[]> => {
    const { code, stdout, stderr } = await service.manage("--json", "jobs", "list", "--all");
    assert.equal(code, 0, stderr);
    return (JSON.parse(stdout) as JobRow[]).filter(({ resource }) => resource === `volume ${id}`);
  };

  /** Until it is; a minute is the promise. */
  async function awaitStatus(id: string, wanted: string): Promise<void> {
    const untilMs = performance.now() + settleMsMax;
    for (;;) {
      const status = await statusOf(id);
      if (status === wanted) return;
      assert.ok(performance.now() < untilMs, `volume ${id} is ${status}, not ${wanted}\n${JSON.stringify(await jobsOf(id))}`);
      await sleep(50);
    }
  }

  /** Sends the delete; it may die with the service. */
  async function askToDelete(id: string): Promise<void> {
    await api.request("DELETE", `/volumes/${id}?cascade=true`).catch(() => undefined);
  }

  async function kill(): Promise<void> {
    await service.kill();
    while (random.below(100) < 15) {
      await service.launch();
      await sleep(random.below(1500));
      await service.kill();
    }
  }

  /** Steps go on meanwhile: of several looks one must agree. */
  async function checkQuota(): Promise<void> {
    const path = "/os-quota-sets/demo?usage=true";
    for (let look = 1; ; look++) {
      const { quota_set: set } = await api.call<{ quota_set: Record<string, { in_use: number }> }>("GET", path);
      const [volumes, snapshots] = [await api.volumes(), await api.snapshots()];
      const listed = [volumes.length, snapshots.length, volumes.length + snapshots.length]; // all of 1 GiB
      const charged = ["volumes", "snapshots", "gigabytes"].map((key) => set[key]!.in_use);
      if (listed.join() === charged.join()) return;
      assert.ok(look < 40, `listed ${listed.join()}, charged ${charged.join()}`);
      await sleep(100);
    }
  }

  test("a cascade survives every kill", async (context) => {
    let done = 0;
    let inTheMiddle = 0;
    // A cascade takes less than most sleeps here: some more kills, sooner, when none was in the middle of one.
    const goesOn = (): boolean => done < kills || (kills >= 10 && inTheMiddle === 0 && done < 4 * kills);
    while (goesOn()) {
      const id = await makeVolume();
      while (goesOn()) {
        if ((await statusOf(id)) === "available") void askToDelete(id);
        await sleep(random.below(done < kills ? 400 : 100));
        await kill();
        done++;
        await service.start(startMsMax);
        const status = await statusOf(id);
        assert.ok(["available", "deleting", "gone"].includes(status), `volume ${id} is ${status}`);
        if (status === "deleting" && (await api.snapshots()).length < snapshotsOfVolume) inTheMiddle++;
        await checkQuota();
        if (status === "gone") break;
      }
      if ((await statusOf(id)) === "available") await askToDelete(id);
      await awaitStatus(id, "gone");
      const [job, ...others] = await jobsOf(id);
      assert.deepEqual([job?.state, others.length], ["done", 0]);
      assert.match(job!.progress, new RegExp(`^${snapshotsOfVolume}/`));
    }
    context.diagnostic(`${done} kills, ${inTheMiddle} in the middle of a cascade`);
    await checkQuota();
    assert.deepEqual([(await api.volumes()).length, (await api.snapshots()).length], [0, 0]);
    for (const prefix of ["engine/snapshot/", "engine/vdisk/"]) {
      assert.equal((await service.manage("registry", "dump", prefix)).stdout, "", prefix);
    }
    if (kills >= 10) assert.ok(inTheMiddle > 0, "no kill hit a cascade");
  });

  test("an operator cancels a job while the service is away: the volume is there again, with what is left of it", async () => {
    const id = await makeVolume();
    const asked = askToDelete(id);
    while ((await statusOf(id)) === "available") await sleep(5);
    await service.kill();
    await asked;
    const [job] = await jobsOf(id);
    assert.ok(job !== undefined);
    if (job.state === "done") return; // it was quicker than the kill
    const cancelled = await service.manage("jobs", "cancel", job.id);
    assert.equal(cancelled.code, 0, cancelled.stderr);
    await service.start(startMsMax);
    await awaitStatus(id, "available");
    const shown = JSON.parse((await service.manage("jobs", "show", job.id)).stdout) as { state: string; verdict: unknown };
    assert.deepEqual([shown.state, shown.verdict], ["cancelled", { outcome: "cancelled", reason: "cancelled by an operator" }]);
    assert.equal((await service.manage("jobs", "cancel", job.id)).code, 1);
    await checkQuota();
    await askToDelete(id);
    await awaitStatus(id, "gone");
  });
});
