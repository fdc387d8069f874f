// The index: never behind what was acknowledged before the question, whichever process did it, and whole again after it lost
// the watch.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AndironError } from "../common/errors.ts";
import { systemClock } from "../common/clock.ts";
import { systemRandom } from "../common/random.ts";
import type { Watch } from "../registry/registry.ts";
import { member, openFixture } from "./cinder-fixture.ts";
import { defaultListQuery } from "./list-query.ts";
import { RecordIndex, type ReadableRegistry } from "./record-index.ts";
import { RecordStore } from "./record-store.ts";
import { keyOf, messageKind, serviceKind, volumeKind, writeRecord } from "./records.ts";

test("what one process has done, the other shows, at once and every time", async (t) => {
  const fixture = await openFixture(t, { quotas: { volumes: 100 } });
  const peer = await fixture.openPeer();
  for (let i = 0; i < 25; i++) {
    const { volume } = await fixture.cinder.volumes.create(member, { sizeGib: 1, name: `v${i}` });
    assert.equal((await peer.volumes.show(member, volume.id)).volume.name, `v${i}`);
    await peer.volumes.update(member, volume.id, { name: `w${i}` });
    assert.equal((await fixture.cinder.volumes.show(member, volume.id)).volume.name, `w${i}`);
    await fixture.cinder.volumes.delete(member, volume.id, { cascade: false, force: false });
    assert.equal((await peer.volumes.list(member, defaultListQuery)).items.length, 0);
  }
});

test("a change outside of our keys keeps no reader waiting", async (t) => {
  const { cinder, registry } = await openFixture(t);
  await registry.transact({ compares: [], success: [{ kind: "put", key: "elsewhere/x", value: "1" }] });
  assert.equal((await cinder.volumes.list(member, defaultListQuery)).items.length, 0);
});

/** A registry whose watches can be broken, as by compacted history. */
function breakable(registry: ReadableRegistry): { readonly registry: ReadableRegistry; breakWatches(): void } {
  const broken = new Set<() => void>();
  const wrap = (watch: Watch): Watch => {
    const state: { error?: AndironError } = {};
    broken.add(() => {
      state.error = new AndironError("watch_compacted", "the history is gone");
      watch.close();
    });
    return {
      close: () => watch.close(),
      async *[Symbol.asyncIterator]() {
        for await (const batch of watch) if (state.error === undefined) yield batch;
        if (state.error !== undefined) throw state.error;
      },
    };
  };
  const proxy: ReadableRegistry = {
    get: (key) => registry.get(key),
    range: (request) => registry.range(request),
    watch: (request) => wrap(registry.watch(request)),
  };
  return {
    registry: proxy,
    breakWatches() {
      for (const breakOne of broken) breakOne();
      broken.clear();
    },
  };
}

test("after the watch broke the index is read anew: nothing lost, nothing left that is gone", async (t) => {
  const fixture = await openFixture(t);
  const troubles: string[] = [];
  const broken = breakable(fixture.registry);
  const index = new RecordIndex({
    registry: broken.registry,
    clock: systemClock,
    readWaitMs: 10_000,
    onTrouble: (what) => troubles.push(what),
  });
  await index.start();
  const kept = (await fixture.cinder.volumes.create(member, { sizeGib: 1 })).volume;
  const doomed = (await fixture.cinder.volumes.create(member, { sizeGib: 1 })).volume;
  await index.fresh();
  assert.equal(index.volumes.size, 2);
  broken.breakWatches();
  await fixture.cinder.volumes.delete(member, doomed.id, { cascade: false, force: false });
  const added = (await fixture.cinder.volumes.create(member, { sizeGib: 1 })).volume;
  await index.fresh();
  assert.deepEqual([...index.volumes.all].map((volume) => volume.id).sort(), [kept.id, added.id].sort());
  assert.equal(index.volumes.ofProject("demo").size, 2);
  assert.match(troubles.join(), /read anew/);
  await index.stop();
});

test("a damaged record is reported and hides no other", async (t) => {
  const fixture = await openFixture(t);
  const { volume } = await fixture.cinder.volumes.create(member, { sizeGib: 1 });
  await fixture.registry.transact({
    compares: [],
    success: [
      { kind: "put", key: keyOf(volumeKind, "broken"), value: "{" },
      { kind: "put", key: keyOf(volumeKind, "future"), value: '{"v":2}' },
    ],
  });
  const troubles: string[] = [];
  const options = { registry: fixture.registry, clock: systemClock, readWaitMs: 10_000 };
  const index = new RecordIndex({ ...options, onTrouble: (what) => troubles.push(what) });
  await index.start();
  assert.deepEqual(
    [...index.volumes.values()].map(({ id }) => id),
    [volume.id],
  );
  assert.equal(troubles.length, 2);
  await index.stop();
  await assert.rejects(
    fixture.cinder.volumes.update(member, "broken", { name: "x" }),
    (error) => error instanceof AndironError && error.code === "record_damaged",
  );
});

test("a load of several pages keeps the order by creation", async (t) => {
  const fixture = await openFixture(t);
  const store = new RecordStore({ registry: fixture.registry, clock: systemClock, random: systemRandom });
  const count = 1100;
  const message = { v: 1, projectId: "demo", requestId: "r", eventId: "e", userMessage: "m", level: "ERROR" } as const;
  const rest = { resourceType: "VOLUME", resourceId: "x", guaranteedUntilMs: 9e15 };
  for (let start = 0; start < count; start += 50) {
    await store.commit("demo", async (tx) => {
      for (let i = start; i < start + 50; i++) {
        const id = `m${(i * 7919) % 10_007}`;
        writeRecord(tx, messageKind, id, { ...message, ...rest, id, createdAtMs: i });
      }
    });
  }
  const options = { registry: fixture.registry, clock: systemClock, readWaitMs: 10_000 };
  const index = new RecordIndex({ ...options, onTrouble: () => assert.fail("no trouble is expected") });
  await index.start();
  const times = [...index.messages.ofProject("demo")].map((one) => one.createdAtMs);
  assert.deepEqual(
    times,
    Array.from({ length: count }, (_, i) => i),
  );
  await index.stop();
});

test("a refusal that rests on records which changed meanwhile is not believed", async (t) => {
  const fixture = await openFixture(t);
  const store = new RecordStore({ registry: fixture.registry, clock: systemClock, random: systemRandom });
  const key = keyOf(serviceKind, "a");
  let attempts = 0;
  const result = await store.commit("demo", async (tx) => {
    attempts++;
    const seen = await tx.get(key);
    if (seen !== undefined) return "believed";
    await fixture.registry.transact({ compares: [], success: [{ kind: "put", key, value: '{"v":1}' }] });
    throw new Error("there is no such record");
  });
  assert.deepEqual([result, attempts], ["believed", 2]);
  await assert.rejects(
    store.commit("demo", async (tx) => {
      tx.put(key, "never");
      await tx.get(key);
      throw new Error("refused");
    }),
    /refused/,
  );
  assert.equal((await fixture.registry.get(key))?.value, '{"v":1}');
});
