// Names of vDisks: whatever a user writes becomes a safe name, the same one every time.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { engineLimits } from "./limits.ts";
import { journalFileName, objectName, parseJournalFileName, parseObjectName } from "./names.ts";
import { clashingVdiskName, safeVdiskName } from "./vdisk-names.ts";

const safe = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

test("any wish becomes a name of safe characters within the limit, and a safe name stays", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 400 }), fc.uuid(), (wish, id) => {
      const name = safeVdiskName(wish);
      const clashing = clashingVdiskName(name, id);
      for (const result of [name, clashing]) {
        assert.match(result, safe);
        assert.ok(result.length <= engineLimits.vdiskNameCharsMax);
      }
      assert.equal(safeVdiskName(name), name);
      assert.ok(clashing.endsWith(id));
    }),
    { numRuns: 2000 },
  );
});

test("wishes that mean harm or nothing end as plain names", () => {
  const wishes = ["", "..", "../../etc/passwd", "-rf", "a\u0000b", "$(reboot)", "  ", "é", ".hidden."];
  for (const wish of wishes) assert.match(safeVdiskName(wish), safe);
  assert.equal(safeVdiskName("web server/1"), "web-server-1");
});

test("names of objects and journal files are read back as what they name", () => {
  fc.assert(
    fc.property(fc.uuid(), u32, u32, u32, (log, epoch, number, generation) => {
      const segment = { log, epoch, number };
      for (const id of [{ kind: "segment", segment, generation } as const, { kind: "map", map: segment } as const]) {
        assert.deepEqual(parseObjectName(objectName(id)), id);
        assert.equal(parseObjectName(`${objectName(id)}0`), undefined);
      }
      assert.deepEqual(parseJournalFileName(log, journalFileName(segment).slice(log.length + 1)), segment);
    }),
  );
  for (const name of ["poisoned", "j-00000001-00000001.copy", "j-1-1", ""])
    assert.equal(parseJournalFileName("x", name), undefined);
});
