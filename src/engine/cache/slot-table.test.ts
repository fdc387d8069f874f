// The slot table against a plain model: what it holds, what it may take away, and what it must not.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SlotTable } from "./slot-table.ts";

const none = (): void => undefined;

test("whatever is done, a key is found in the one slot that it was put into, until it is evicted or removed", () => {
  const steps = fc.array(
    fc.record({ verb: fc.constantFrom("add", "add", "add", "remove", "pin", "unpin", "touch"), key: fc.nat(11) }),
    { maxLength: 200 },
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), steps, (slotCount, list) => {
      const table = new SlotTable(slotCount);
      /** Key to slot; pins by slot. */
      const model = new Map<number, number>();
      const pins = new Map<number, number>();
      const keyOf = (key: number): [number, number] => [key % 3, Math.imul(key, 0x9e3779b1) >>> 0];
      for (const { verb, key } of list) {
        const slot = model.get(key);
        assert.equal(table.find(...keyOf(key)), slot ?? -1);
        if (verb === "add" && slot === undefined) {
          const taken = table.take((evicted) => {
            const [victim] = [...model].find(([, held]) => held === evicted)!;
            assert.equal(pins.get(evicted) ?? 0, 0, "a pinned slot was taken");
            assert.deepEqual([table.firstOf(evicted), table.secondOf(evicted)], keyOf(victim));
            model.delete(victim);
          });
          const mustBeThere = [...pins.values()].filter((count) => count > 0).length < slotCount;
          assert.equal(taken >= 0, mustBeThere);
          if (taken < 0) continue;
          assert.ok(![...model.values()].includes(taken) && (pins.get(taken) ?? 0) === 0);
          table.put(taken, ...keyOf(key));
          model.set(key, taken);
        } else if (verb === "remove") {
          table.remove(...keyOf(key));
          model.delete(key);
        } else if (verb === "pin" && slot !== undefined) {
          table.pin(slot);
          pins.set(slot, (pins.get(slot) ?? 0) + 1);
        } else if (verb === "unpin") {
          const [pinned] = [...pins].find(([, count]) => count > 0) ?? [];
          if (pinned === undefined) continue;
          table.unpin(pinned);
          pins.set(pinned, pins.get(pinned)! - 1);
        } else if (verb === "touch" && slot !== undefined) table.touch(slot);
        assert.equal(table.heldCount, model.size);
      }
    }),
    { numRuns: 300 },
  );
});

test("a scan of many new keys leaves what is used between them", () => {
  const table = new SlotTable(16);
  for (let key = 0; key < 16; key++) table.put(table.take(none), 1, key);
  for (let key = 100; key < 1000; key++) {
    for (let hot = 0; hot < 8; hot++) {
      const slot = table.find(1, hot);
      assert.ok(slot >= 0, `hot key ${hot} was driven out by ${key}`);
      table.touch(slot);
    }
    table.put(table.take(none), 1, key);
  }
});

test("a slot that was given back is taken again without evicting anything", () => {
  const table = new SlotTable(1);
  const slot = table.take(none);
  table.giveBack(slot);
  assert.equal(
    table.take(() => assert.fail("there is nothing to evict")),
    slot,
  );
  assert.equal(table.take(none), -1, "the only slot is in hand");
});
