// What tools beside a service do with a pool: verify, while its cleaner works or when it lost something; and the cleaner itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../common/clock.ts";
import { systemClock } from "../common/clock.ts";
import { Cleaner } from "../engine/cleaner/cleaner.ts";
import type { Registry } from "../registry/registry.ts";
import { EngineRig, rigPool, smallSettings } from "../engine/engine-rig.fixture.ts";
import { KiB, MiB } from "../engine/limits.ts";
import { parseObjectName } from "../engine/names.ts";
import { keys } from "../engine/records.ts";
import { openViewer } from "./viewer.ts";
import type { VerifyResult } from "../engine/verify.ts";
import { Verifier } from "../engine/verify.ts";

const quiet = { debug: () => undefined, info: () => undefined, warning: () => undefined, error: () => undefined };

function verify(rig: EngineRig, registry: Registry = rig.registry): Promise<VerifyResult> {
  const context = openViewer({ pool: rigPool, registry, backend: rig.backend, settings: smallSettings, log: quiet });
  return new Verifier(context, { readData: true }).run();
}

/** A disk that nobody has open, written over `times`; all but the last time is dead. */
async function overwritten(rig: EngineRig, times: number): Promise<string> {
  const vdiskId = await rig.createDisk(MiB);
  const session = await rig.open(vdiskId);
  for (let round = 0; round < times; round++) {
    for (let at = 0; at < MiB; at += 64 * KiB) await session.device.write(at, Buffer.alloc(64 * KiB, round + 1), { fua: true });
  }
  await rig.detach(vdiskId);
  return (await rig.control.vdisk(vdiskId))!.id;
}

const segmentsOf = async (rig: EngineRig): Promise<string[]> =>
  (await rig.backend.list("", { limit: 1000 })).filter((name) => parseObjectName(name)?.kind === "segment");

async function clean(rig: EngineRig): Promise<void> {
  for (let pass = 0; pass < 3; pass++) await rig.router.cleaners.get(rigPool)!.pass();
}

/** The registry, with `between` after each time the epochs of a log were read. */
function interrupted(registry: Registry, between: () => Promise<void>): Registry {
  return new Proxy(registry, {
    get(target, name) {
      if (name !== "range") return Reflect.get(target, name).bind(target) as unknown;
      return async (asked: Parameters<Registry["range"]>[0]) => {
        const found = await target.range(asked);
        if ("prefix" in asked && asked.prefix.startsWith(keys.epochs("").slice(0, -1))) await between();
        return found;
      };
    },
  });
}

test("what the cleaner drops and deletes between two reads of verify is no finding, also without an owner", async () => {
  const rig = await EngineRig.open();
  try {
    await overwritten(rig, 6);
    const before = (await segmentsOf(rig)).length;
    const result = await verify(
      rig,
      interrupted(rig.registry, () => clean(rig)),
    );
    assert.ok((await segmentsOf(rig)).length < before - 8, "the cleaner dropped nothing: the test is no test");
    assert.deepEqual(result.findings, []);
    assert.ok(result.segments > 0 && result.clusters === 256);
  } finally {
    await rig.close();
  }
});

test("an object that is missing is a finding, however often it is looked for", async () => {
  const rig = await EngineRig.open();
  try {
    await overwritten(rig, 2);
    await clean(rig);
    const [lost] = (await segmentsOf(rig)).slice(-1);
    await rig.backend.delete(lost!);
    const { findings } = await verify(rig);
    assert.match(findings[0] ?? "", /^segment 1-\d+ of log [-0-9a-f]+ is missing$/);
    assert.equal(new Set(findings).size, findings.length);
  } finally {
    await rig.close();
  }
});

/** A clock whose only timer is the cleaner's: pass() lets it ring, and resolves when the next one is set. */
function passByPass(): { readonly clock: Clock; readonly delaysMs: number[]; pass(): Promise<void> } {
  const delaysMs: number[] = [];
  let run = (): void => undefined;
  const clock: Clock = {
    ...systemClock,
    after(delayMs, next) {
      delaysMs.push(delayMs);
      run = next;
      return { cancel: () => undefined };
    },
  };
  return {
    ...{ clock, delaysMs },
    async pass() {
      const set = delaysMs.length;
      run();
      while (delaysMs.length === set) await systemClock.sleep(1);
    },
  };
}

/** Stopped also when `body` fails: what it follows would keep the process for ever else. */
async function running(cleaner: Cleaner, body: () => Promise<void>): Promise<void> {
  await cleaner.start();
  try {
    await body();
  } finally {
    await cleaner.stop();
  }
}

test("a pass of the cleaner that left segments to be looked at is followed by the next at once", async () => {
  const rig = await EngineRig.open({ settings: { segmentBytes: 64 * KiB } });
  try {
    // Each write fills a segment: more of them than a pass looks at.
    await overwritten(rig, 20);
    const viewer = openViewer({
      pool: rigPool,
      registry: rig.registry,
      backend: rig.backend,
      settings: smallSettings,
      log: quiet,
    });
    const { clock, delaysMs, pass } = passByPass();
    const cleaner = new Cleaner({ ...viewer, clock });
    await running(cleaner, async () => {
      await pass();
      await pass();
    });
    assert.equal(cleaner.total.examined > 256, true);
    assert.deepEqual(delaysMs, [smallSettings.cleanerIntervalMs, 0, smallSettings.cleanerIntervalMs]);
  } finally {
    await rig.close();
  }
});

/** The cleaner of a viewer, with `change` at its 30th look at a segment of a disk most of which is dead. Nothing is lost. */
async function changedUnderPass(
  change: (rig: EngineRig, disk: string) => Promise<unknown>,
  judge: (cleaner: Cleaner, segments: number, pass: () => Promise<void>) => Promise<void>,
): Promise<readonly number[]> {
  const rig = await EngineRig.open({ settings: { segmentBytes: 64 * KiB } });
  try {
    const disk = await overwritten(rig, 6);
    const before = (await segmentsOf(rig)).length;
    let looks = 0;
    const registry = new Proxy(rig.registry, {
      get(target, name) {
        if (name !== "get") return Reflect.get(target, name).bind(target) as unknown;
        return async (key: string) => {
          if (key.startsWith("engine/relocation/") && ++looks === 60) await change(rig, disk);
          return target.get(key);
        };
      },
    });
    const viewer = openViewer({ pool: rigPool, registry, backend: rig.backend, settings: smallSettings, log: quiet });
    const { clock, delaysMs, pass } = passByPass();
    const cleaner = new Cleaner({ ...viewer, clock });
    await running(cleaner, () => judge(cleaner, before, pass));
    await clean(rig);
    const { findings, clusters } = await verify(rig);
    assert.deepEqual([findings, clusters > 0], [[], true]);
    return delaysMs;
  } finally {
    await rig.close();
  }
}

test("a snapshot that comes under a pass does not stop it: what was dead is dead for it too", async () => {
  const delaysMs = await changedUnderPass(
    (rig, disk) => rig.snapshot(disk),
    async (cleaner, segments, pass) => {
      await pass();
      assert.ok(cleaner.last.dropped >= 5 * 16 - 1, `${cleaner.last.dropped} of ${segments}`);
      assert.ok(cleaner.last.retiredMaps > 0, "maps that nothing reaches are retired in the same pass");
    },
  );
  assert.deepEqual(delaysMs, [smallSettings.cleanerIntervalMs, smallSettings.cleanerIntervalMs]);
});

test("a log that has another epoch under a pass is cleaned on at once, from where the pass had got to", async () => {
  const delaysMs = await changedUnderPass(
    async (rig, disk) => {
      await (await rig.open(disk)).close();
      await rig.detach(disk);
    },
    async (cleaner, segments, pass) => {
      await pass();
      const first = cleaner.last.dropped;
      assert.ok(first > 0 && first < segments / 2, `${first} of ${segments} were dropped before the log changed`);
      await pass();
      assert.ok(cleaner.total.dropped >= 5 * 16 - 1, `${cleaner.total.dropped} of ${segments}`);
    },
  );
  assert.deepEqual(delaysMs, [smallSettings.cleanerIntervalMs, 0, smallSettings.cleanerIntervalMs]);
});
