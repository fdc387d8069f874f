// The contract suite's part about leases. See contract.ts. These tests wait for leases to end in real time; they assert
// what happens, in which order, and never how long it took (a machine may stall at any point).

import assert from "node:assert/strict";
import { systemClock } from "../common/clock.ts";
import { del, put, rejectsWith, write } from "./contract-context.ts";
import type { DefineTest } from "./contract-context.ts";
import { take } from "./contract-watch.ts";
import { registryLimits } from "./registry.ts";
import type { Registry } from "./registry.ts";

const shortMs = 700; // long enough that a stalled machine does the first steps before it ends
const pauseMs = 100;
const longMs = 60_000;

/** Resolves once `key` is gone. */
async function gone(registry: Registry, key: string): Promise<void> {
  while ((await registry.get(key)) !== undefined) await systemClock.sleep(10);
}

/** Blocks this thread: no timer, no message, no microtask. */
function blockFor(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}

export function leaseContract(define: DefineTest): void {
  bindingContract(define);
  expiryContract(define);
  holdContract(define);
}

function bindingContract(define: DefineTest): void {
  define("revoking a lease deletes its keys, and only those, in one transaction", async ({ registry }) => {
    const lease = await registry.grantLease(longMs);
    await write(registry, put("a", "1", lease), put("b", "1", lease), put("c", "1"));
    assert.equal((await registry.get("a"))?.leaseId, lease);
    assert.equal((await registry.get("c"))?.leaseId, undefined);
    await registry.revokeLease(lease);
    const [, batch] = await take(registry.watch({ prefix: "", fromRevision: 1 }), 2);
    assert.equal(batch?.revision, 2);
    assert.deepEqual(
      batch?.events.toSorted((x, y) => (x.key < y.key ? -1 : 1)),
      [
        { kind: "delete", key: "a" },
        { kind: "delete", key: "b" },
      ],
    );
    assert.equal((await registry.get("c"))?.value, "1");
    assert.equal(await registry.revision(), 2);
  });

  define("a put without a lease, or with another one, unbinds the key", async ({ registry }) => {
    const [one, two] = [await registry.grantLease(longMs), await registry.grantLease(longMs)];
    await write(registry, put("a", "1", one), put("b", "1", one), put("c", "1", one));
    await write(registry, put("a", "2"), put("b", "2", two));
    await registry.revokeLease(one);
    const left = await registry.range({ prefix: "" });
    assert.deepEqual(
      left.entries.map((entry) => [entry.key, entry.leaseId]),
      [
        ["a", undefined],
        ["b", two],
      ],
    );
  });

  define("a deleted and newly created key is not bound to its old lease", async ({ registry }) => {
    const lease = await registry.grantLease(longMs);
    await write(registry, put("a", "1", lease));
    await write(registry, del("a"));
    await write(registry, put("a", "2"));
    await registry.revokeLease(lease);
    assert.equal((await registry.get("a"))?.value, "2");
  });

  define("a lease that has ended takes no key, no keepalive, no hold; the transaction does nothing", async ({ registry }) => {
    const lease = await registry.grantLease(longMs);
    await registry.revokeLease(lease);
    await registry.revokeLease(lease);
    for (const leaseId of [lease, "never-granted"]) {
      await rejectsWith("lease_lost", write(registry, put("a", "1"), put("b", "1", leaseId)));
      await rejectsWith("lease_lost", registry.keepLeaseAlive(leaseId));
      await rejectsWith("lease_lost", registry.holdLease(leaseId));
    }
    assert.equal(await registry.revision(), 0);
    const unused = { compares: [{ key: "x", modRevision: 9 }], success: [put("a", "1", lease)], failure: [put("b", "1")] };
    assert.deepEqual(await registry.transact(unused), { succeeded: false, revision: 1 });
  });

  define("ttl and number of keys are limited", async ({ registry }) => {
    for (const ttlMs of [registryLimits.leaseTtlMsMin - 1, registryLimits.leaseTtlMsMax + 1, 1000.5, Number.NaN]) {
      await rejectsWith("invalid_request", registry.grantLease(ttlMs));
    }
    const lease = await registry.grantLease(registryLimits.leaseTtlMsMax);
    const width = 100; // below operationsMax, and a divisor of leaseKeysMax
    for (let i = 0; i < registryLimits.leaseKeysMax; i += width) {
      await write(registry, ...Array.from({ length: width }, (_, j) => put(`k/${i + j}`, "", lease)));
    }
    await rejectsWith("limit_exceeded", write(registry, put("one-more", "", lease)));
    await write(registry, put("k/0", "again", lease));
    await registry.revokeLease(lease);
    assert.deepEqual((await registry.range({ prefix: "" })).entries, []);
  });
}

function expiryContract(define: DefineTest): void {
  define(
    "a lease that nobody renews ends: keys deleted in one batch, seen by watches of every handle",
    async ({ registry, open }) => {
      const other = await open();
      const lease = await registry.grantLease(shortMs);
      await write(registry, put("a", "1", lease), put("b", "1", lease));
      for (const handle of [registry, other]) {
        const [, batch] = await take(handle.watch({ prefix: "", fromRevision: 1 }), 2);
        assert.deepEqual(batch?.events.map((event) => `${event.kind} ${event.key}`).toSorted(), ["delete a", "delete b"]);
      }
      await rejectsWith("lease_lost", registry.keepLeaseAlive(lease));
    },
  );

  define("a lease outlives the handle that granted it, and other handles see to its end", async ({ registry, open }) => {
    const other = await open();
    const lease = await registry.grantLease(shortMs);
    await write(registry, put("a", "1", lease));
    await registry.close();
    await gone(other, "a");
    await rejectsWith("lease_lost", other.keepLeaseAlive(lease));
  });

  define("any handle may keep a lease alive", async ({ registry, open }) => {
    const other = await open();
    const ttlMs = 2000;
    const lease = await registry.grantLease(ttlMs);
    await write(registry, put("a", "1", lease));
    const endMs = systemClock.monotonicMs() + ttlMs * 1.5;
    while (systemClock.monotonicMs() < endMs) {
      await other.keepLeaseAlive(lease);
      await systemClock.sleep(pauseMs);
    }
    assert.equal((await registry.get("a"))?.value, "1");
  });
}

function holdContract(define: DefineTest): void {
  define("a held lease lives while the caller's loop is blocked for longer than its time", async ({ registry, open }) => {
    const ttlMs = 1500;
    const lease = await registry.grantLease(ttlMs);
    await write(registry, put("a", "1", lease));
    const hold = await registry.holdLease(lease);
    assert.equal(hold.leaseId, lease);
    const before = hold.heldUntilMs();
    blockFor(ttlMs * 1.5);
    assert.ok(hold.heldUntilMs() > before, "renewed meanwhile, and seen without a turn of the loop");
    assert.equal(hold.isHeld(systemClock.monotonicMs()), true);
    assert.equal(hold.isHeld(hold.heldUntilMs()), false);
    assert.equal((await (await open()).get("a"))?.value, "1");
  });

  define("a hold tells its loss once, however late one asks", async ({ registry, open }) => {
    const other = await open();
    const lease = await registry.grantLease(longMs);
    const hold = await registry.holdLease(lease);
    let calls = 0;
    const lost = new Promise<void>((resolve) => hold.onLost(() => resolve(void calls++)));
    const short = await registry.grantLease(shortMs * 3);
    const shortHold = await registry.holdLease(short);
    await other.revokeLease(short);
    await new Promise<void>((resolve) => shortHold.onLost(resolve));
    assert.equal(shortHold.isHeld(systemClock.monotonicMs()), false);
    await new Promise<void>((resolve) => shortHold.onLost(resolve));
    assert.equal(calls, 0, "the other lease is still held");
    hold.release();
    await registry.revokeLease(lease);
    await Promise.race([lost, systemClock.sleep(pauseMs)]);
    assert.equal(calls, 0, "a released hold stays silent");
  });

  define("revoking the lease of an own hold ends the hold at once, silently", async ({ registry }) => {
    const lease = await registry.grantLease(longMs);
    const hold = await registry.holdLease(lease);
    hold.onLost(() => assert.fail("who revokes knows"));
    const revoking = registry.revokeLease(lease);
    assert.equal(hold.isHeld(systemClock.monotonicMs()), false);
    await revoking;
  });

  define("closing a handle ends its holds, not the lease", async ({ registry, open }) => {
    const other = await open();
    const lease = await registry.grantLease(longMs);
    const hold = await registry.holdLease(lease);
    hold.onLost(() => assert.fail("closing is not losing"));
    await registry.close();
    assert.equal(hold.isHeld(systemClock.monotonicMs()), false);
    await other.keepLeaseAlive(lease);
  });

  define("a released hold is renewed no more", async ({ registry }) => {
    const lease = await registry.grantLease(shortMs);
    await write(registry, put("a", "1", lease));
    const hold = await registry.holdLease(lease);
    hold.release();
    await gone(registry, "a");
    assert.equal(hold.isHeld(systemClock.monotonicMs()), false);
  });
}
