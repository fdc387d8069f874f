// Keystone, Glance, RabbitMQ and Swift go away in the middle of long work: their process is gone, or hangs. Meanwhile volumes are
// listed, made and deleted as ever. When the peer is back everything ends, well or in an error that the user can read, and the
// outside judge has nothing to say. Each peer is away once, for some seconds, in a way that the seed chooses. With
// DEAD_PEERS_SECONDS it is away for so long, in both ways, and there is work of every kind. DEAD_PEERS_SEED repeats a run.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../../../src/common/random.ts";
import { swiftPrograms } from "../../cloud/swift.ts";
import { missingCommand } from "../../harness/command.ts";
import { makeKinds } from "../long-work/kinds.ts";
import { makePoolTypes, poolConfig } from "../long-work/pools.ts";
import type { LongWork, Rig } from "../long-work/work.ts";
import { awaitRest } from "../outside/rest.ts";
import { type Absence, type Peer, type PeerCloud, absences, peerNames, preparePeerCloud } from "./peers.ts";

const missing = await missingCommand([
  "keystone-manage",
  "rabbitmq-server",
  "glance-manage",
  "uwsgi-core",
  "qemu-img",
  ...swiftPrograms,
]);
const skip = missing !== undefined && `${missing} is not installed`;
const given = process.env["DEAD_PEERS_SECONDS"];
const awayMs = Number(given ?? 6) * 1000;
const kinds = given === undefined ? ["copy-raw", "reimage", "upload-qcow2", "migrate", "cascade", "backup", "restore"] : [];
const seed = Number(process.env["DEAD_PEERS_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
const random = seededRandom(seed);
const restMsMax = 180_000;
const answerMsMax = 10_000;
/** Glance counts as away after less than it is. */
const glanceTimeoutSeconds = Math.max(4, Math.floor(awayMs / 3000));

describe(`peers that go away (DEAD_PEERS_SEED=${seed})`, { skip, timeout: 1_800_000 }, () => {
  let cloud: PeerCloud;
  let folder = "";
  let rig: Rig;
  let works: readonly LongWork[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-peers-"));
    cloud = await preparePeerCloud({
      ...poolConfig,
      DEFAULT: { ...poolConfig["DEFAULT"], glance_request_timeout: glanceTimeoutSeconds },
    });
    rig = { ...cloud, random, folder, snapshots: given === undefined ? 100 : 1000 };
    await makePoolTypes(cloud.api);
    works = makeKinds(rig, kinds);
  });

  after(async () => {
    await cloud?.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  /** Volumes as ever, for as long. */
  async function useFor(durationMs: number): Promise<number> {
    const untilMs = performance.now() + durationMs;
    let times = 0;
    for (; performance.now() < untilMs; times++) {
      const beganMs = performance.now();
      await rig.api.volumes();
      await rig.api.delete("volumes", await rig.api.createVolume({ name: "meanwhile" }));
      const tookMs = performance.now() - beganMs;
      assert.ok(tookMs < answerMsMax, `list, create and delete took ${tookMs.toFixed(0)} ms`);
      await sleep(500);
    }
    return times;
  }

  /** Which works are under way, as soon as one is: a peer that left before would have kept all from being begun. */
  async function seenUnderWay(): Promise<readonly boolean[]> {
    for (const untilMs = performance.now() + answerMsMax; ; await sleep(20)) {
      const seen = await Promise.all(works.map((work) => work.isUnderWay()));
      if (seen.includes(true) || performance.now() > untilMs) return seen;
    }
  }

  /** When there are none, or after some seconds: the last of the work has just been told. */
  async function unsentNotifications(): Promise<readonly unknown[]> {
    for (const untilMs = performance.now() + answerMsMax; ;) {
      const { stdout } = await rig.service.manage("--json", "notifications", "list");
      const unsent = JSON.parse(stdout) as readonly unknown[];
      if (unsent.length === 0 || performance.now() > untilMs) return unsent;
    }
  }

  async function liveThrough(t: TestContext, peer: Peer, how: Absence): Promise<void> {
    for (const work of works) await work.prepare();
    const asked = works.map((work) => work.begin().catch((error: unknown) => error));
    await sleep(random.below(1500));
    const underWay = await seenUnderWay();
    await peer.leave(how);
    let times = 0;
    try {
      times = await useFor(awayMs);
    } finally {
      await peer.comeBack(how);
    }
    await Promise.all(asked);
    const restedMs = await awaitRest(rig, restMsMax);
    const endings: string[] = [];
    for (const [at, work] of works.entries()) {
      endings.push(`${work.name}${underWay[at] === true ? " (under way)" : ""} ${await work.end()}`);
    }
    const unsent = await unsentNotifications();
    const rested = (restedMs / 1000).toFixed(1);
    t.diagnostic(`${peer.name} ${how}: ${times} times used; at rest ${rested} s after it was back; ${endings.join(", ")}`);
    assert.deepEqual(unsent, []);
    assert.ok(underWay.includes(true), "nothing was under way");
  }

  for (const name of peerNames) {
    for (const how of given === undefined ? [absences[random.below(absences.length)]!] : absences) {
      test(`${name} is ${how}`, (t) => {
        return liveThrough(
          t,
          cloud.peers.find((peer) => peer.name === name)!,
          how,
        );
      });
    }
  }
});
