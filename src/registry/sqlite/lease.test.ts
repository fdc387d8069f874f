// Leases to the millisecond, on a clock of our own and in one thread: ends, renewals, boots, and a clock that stood still.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { seededRandom } from "../../common/random.ts";
import { put, rejectsWith, write } from "../contract-context.ts";
import type { Registry } from "../registry.ts";
import { ManualClock } from "../../common/manual-clock.fixture.ts";
import { openInlineRegistry } from "./open.ts";

const ttlMs = 9000;
const tickMs = 20;

interface Bench {
  readonly clock: ManualClock;
  open(bootId?: string): Promise<Registry>;
}

function leaseTest(title: string, body: (bench: Bench) => Promise<void>): void {
  test(title, async () => {
    const directory = await mkdtemp(join(tmpdir(), "andiron-lease-"));
    const clock = new ManualClock();
    const handles: Registry[] = [];
    const random = seededRandom(7);
    const open = async (bootId = "boot-1"): Promise<Registry> => {
      const handle = await openInlineRegistry({ path: join(directory, "registry.db"), random, bootId, tickMs, clock });
      handles.push(handle);
      return handle;
    };
    try {
      await body({ clock, open });
    } finally {
      for (const handle of handles) await handle.close();
      await rm(directory, { recursive: true });
    }
  });
}

leaseTest("a lease ends exactly ttl after its last keepalive", async ({ clock, open }) => {
  const registry = await open();
  const lease = await registry.grantLease(ttlMs);
  await write(registry, put("a", "1", lease));
  await clock.advance(ttlMs - 1);
  await registry.keepLeaseAlive(lease);
  await clock.advance(ttlMs - 1);
  assert.equal((await registry.get("a"))?.value, "1");
  await write(registry, put("b", "1", lease));
  await clock.advance(1 + tickMs);
  assert.equal(await registry.get("a"), undefined);
  assert.equal(await registry.get("b"), undefined);
  await rejectsWith("lease_lost", registry.keepLeaseAlive(lease));
});

leaseTest("a lease whose time is over is not revived, although nobody has collected it yet", async ({ clock, open }) => {
  const registry = await open();
  const lease = await registry.grantLease(ttlMs);
  await registry.close();
  await clock.advance(ttlMs);
  const later = await open();
  await rejectsWith("lease_lost", later.keepLeaseAlive(lease));
  await rejectsWith("lease_lost", write(later, put("a", "1", lease)));
});

leaseTest("leases of another boot have ended, whatever the clock says", async ({ clock, open }) => {
  const before = await open("boot-1");
  const lease = await before.grantLease(ttlMs);
  await write(before, put("a", "1", lease), put("b", "1"));
  await before.close();
  const after = await open("boot-2");
  await rejectsWith("lease_lost", after.keepLeaseAlive(lease));
  await clock.advance(2 * tickMs);
  assert.equal(await after.get("a"), undefined);
  assert.equal((await after.get("b"))?.value, "1");
});

leaseTest("a hold renews every third of its time and never claims more than the store says", async ({ clock, open }) => {
  const registry = await open();
  const lease = await registry.grantLease(ttlMs);
  const startMs = clock.monotonicMs();
  const hold = await registry.holdLease(lease);
  assert.equal(hold.heldUntilMs(), startMs + ttlMs);
  await clock.advance(ttlMs / 3 - tickMs);
  assert.equal(hold.heldUntilMs(), startMs + ttlMs);
  await clock.advance(2 * tickMs);
  assert.ok(hold.heldUntilMs() >= startMs + ttlMs + ttlMs / 3);
  await clock.advance(10 * ttlMs);
  assert.equal(hold.isHeld(clock.monotonicMs()), true);
});

leaseTest("a hold that another handle's revocation ended is lost at its next renewal, once", async ({ clock, open }) => {
  const registry = await open();
  const other = await open();
  const lease = await registry.grantLease(ttlMs);
  const hold = await registry.holdLease(lease);
  let lost = 0;
  hold.onLost(() => lost++);
  const revoking = other.revokeLease(lease);
  await clock.advance(2);
  await revoking;
  await clock.advance(ttlMs / 3 + 3 * tickMs);
  assert.equal(lost, 1);
  assert.equal(hold.isHeld(clock.monotonicMs()), false);
  await clock.advance(ttlMs);
  assert.equal(lost, 1);
});

leaseTest("after a standstill longer than its time a hold is lost before anything is renewed", async ({ clock, open }) => {
  const registry = await open();
  const lease = await registry.grantLease(ttlMs);
  await write(registry, put("a", "1", lease));
  const hold = await registry.holdLease(lease);
  let lost = false;
  hold.onLost(() => (lost = true));
  clock.jump(ttlMs);
  assert.equal(hold.isHeld(clock.monotonicMs()), false);
  await clock.advance(2 * tickMs);
  assert.equal(lost, true);
  assert.equal(await registry.get("a"), undefined);
});
