// Places: every object that any claim may have put is known by name, and none that counts is named twice; what is no place is
// refused.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backupLimits } from "./limits.ts";
import {
  type BackupPlace,
  chunkName,
  claimedPlace,
  extendedPlace,
  generationOf,
  headName,
  newPlace,
  objectAt,
  objectCountMax,
  parsePlace,
} from "./place.ts";

const volumeId = "11111111-1111-4111-8111-111111111111";
const backupId = "22222222-2222-4222-8222-222222222222";

/** Claims, each with the chunks that its checkpoints have, and those that it put beyond. */
const history = fc.array(fc.record({ noted: fc.nat(40), lost: fc.nat(backupLimits.stepChunksMax) }), {
  minLength: 1,
  maxLength: 6,
});

test("whatever claims put and lost, each object is named, those that count once", () => {
  fc.assert(
    fc.property(history, (claims) => {
      let place: BackupPlace = newPlace("box", volumeId, backupId);
      const put: string[] = [];
      for (const [at, { noted, lost }] of claims.entries()) {
        const generation = at + 1;
        place = claimedPlace(place, generation);
        for (let n = 0; n < noted; n++) {
          place = extendedPlace(place, generation);
          put.push(chunkName(place, place.chunkCount - 1, generation));
        }
        for (let n = 0; n < lost; n++) put.push(chunkName(place, place.chunkCount + n, generation));
        put.push(headName(place));
      }
      place = parsePlace(JSON.parse(JSON.stringify(place)));
      const names = Array.from({ length: objectCountMax(place) }, (_, at) => objectAt(place, at));
      const known = new Set(names);
      assert.deepEqual(
        put.filter((name) => !known.has(name)),
        [],
      );
      const counting = names.slice(0, place.chunkCount);
      assert.equal(new Set(counting).size, place.chunkCount);
      for (const [number, name] of counting.entries()) assert.equal(name, chunkName(place, number, generationOf(place, number)));
    }),
  );
});

test("what is no place, and what would name another's objects, is refused", () => {
  const good = {
    v: 1,
    prefix: "box/volume_a/backup_b",
    runs: [
      [1, 0],
      [3, 4],
    ],
    chunkCount: 9,
    generation: 3,
  };
  assert.deepEqual(parsePlace(good), good);
  const wrong: Record<string, unknown>[] = [
    { v: 2 },
    { prefix: "../up" },
    { prefix: "/etc" },
    { prefix: "a".repeat(600) },
    { prefix: 1 },
    { runs: {} },
    { runs: [[1]] },
    { runs: [[1, 1]] },
    {
      runs: [
        [2, 0],
        [1, 4],
      ],
    },
    {
      runs: [
        [1, 0],
        [3, 9],
      ],
    },
    {
      runs: [
        [1, 0],
        [4, 4],
      ],
    },
    { runs: [] },
    { runs: Array.from({ length: backupLimits.runsMax + 1 }, (_, at) => [at + 1, at]), chunkCount: 900, generation: 900 },
    { chunkCount: -1 },
    { chunkCount: 2 ** 40 },
    { generation: 1.5 },
  ];
  for (const change of wrong) {
    assert.throws(() => parsePlace({ ...good, ...change }), { code: "backup_damaged" }, JSON.stringify(change).slice(0, 80));
  }
  for (const value of [null, undefined, 1, "x", []]) assert.throws(() => parsePlace(value), { code: "backup_damaged" });
  assert.throws(() => newPlace("a/../b", volumeId, backupId), { code: "backup_damaged" });
});

test("a backup that is begun anew too often ends", () => {
  let place = newPlace("box", volumeId, backupId);
  for (let claim = 1; claim <= backupLimits.runsMax; claim++) place = extendedPlace(claimedPlace(place, claim), claim);
  const next = backupLimits.runsMax + 1;
  assert.throws(() => extendedPlace(claimedPlace(place, next), next), { code: "limit_exceeded" });
  assert.ok(JSON.stringify(parsePlace(place)).length < 4096, "it fits in the record");
});
