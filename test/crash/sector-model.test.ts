// The judge of the crash campaign must itself be able to say "wrong": each rule of the model, broken once.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkImage } from "./image-check.ts";
import { SectorModel } from "./sector-model.ts";
import { brokenStamp, sectorBytes, sectorsOf, stampsOf } from "./sector-pattern.ts";

describe("sector pattern", () => {
  test("tells stamp, place, zeroes and any changed byte", () => {
    const bytes = Buffer.concat([sectorsOf(7, 100, 2), Buffer.alloc(sectorBytes), sectorsOf(8, 103, 1)]);
    assert.deepEqual([...stampsOf(bytes, 100)], [7, 7, 0, 8]);
    assert.deepEqual([...stampsOf(bytes, 101)], [brokenStamp, brokenStamp, 0, brokenStamp]);
    for (const place of [0, 5, 511, 512 + 300, 2 * sectorBytes + 1]) {
      const changed = Buffer.from(bytes);
      changed[place] = changed[place]! ^ 1;
      assert.equal(stampsOf(changed, 100)[Math.floor(place / sectorBytes)], brokenStamp, `byte ${place}`);
    }
    const torn = Buffer.concat([sectorsOf(1, 0, 1).subarray(0, 256), sectorsOf(2, 0, 1).subarray(256)]);
    assert.deepEqual([...stampsOf(torn, 0)], [brokenStamp]);
  });
});

describe("sector model", () => {
  const blank = (count: number, promise: "acknowledged" | "flushed"): SectorModel =>
    new SectorModel(new Int32Array(count), promise);

  function write(model: SectorModel, stamp: number, sector: number, count = 1): void {
    model.acknowledge(model.issue("write", stamp, sector, count), false);
  }

  test("in flight: old or new in each sector, nothing else", () => {
    for (const [found, linesCount] of [
      [[0, 0], 0],
      [[5, 0], 0],
      [[5, 5], 0],
      [[4, 5], 1],
    ] as const) {
      const model = blank(2, "acknowledged");
      model.issue("write", 5, 0, 2);
      assert.equal(model.recover(Int32Array.from(found)).length, linesCount, found.join());
    }
  });

  test("an acknowledged write may be lost by power loss, never by a kill", () => {
    for (const [promise, linesCount] of [
      ["acknowledged", 1],
      ["flushed", 0],
    ] as const) {
      const model = blank(1, promise);
      write(model, 5, 0);
      assert.equal(model.recover(Int32Array.of(0)).length, linesCount, promise);
    }
  });

  test("a flushed write is never lost, one acknowledged after the flush was sent may be", () => {
    for (const [found, linesCount] of [
      [[1, 2], 0],
      [[1, 0], 0],
      [[0, 2], 1],
    ] as const) {
      const model = blank(2, "flushed");
      write(model, 1, 0);
      const issuedAt = model.flushIssued();
      write(model, 2, 1);
      model.flushed(issuedAt);
      assert.equal(model.recover(Int32Array.from(found)).length, linesCount, found.join());
    }
  });

  test("after a recovery what was found is the truth", () => {
    const model = blank(1, "flushed");
    model.issue("write", 5, 0, 1);
    assert.deepEqual(model.recover(Int32Array.of(5)), []);
    assert.equal(model.recover(Int32Array.of(0)).length, 1);
  });

  test("a trim leaves old or zero", () => {
    const model = blank(3, "acknowledged");
    write(model, 5, 0, 3);
    const wrong = model.acknowledgeTrim(model.issue("trim", 0, 0, 3), Int32Array.of(5, 0, 4));
    assert.deepEqual(wrong, [2]);
    assert.equal(model.valueOf(1), 0);
  });

  test("an image holds what was there, or was written until it was done", () => {
    const model = blank(3, "acknowledged");
    write(model, 1, 0);
    const image = model.openImage();
    write(model, 2, 1);
    model.closeImage(image);
    write(model, 3, 2);
    assert.deepEqual(checkImage(image, Int32Array.of(1, 0, 0)), []);
    assert.deepEqual(checkImage(image, Int32Array.of(1, 2, 0)), []);
    assert.equal(checkImage(image, Int32Array.of(0, 2, 0)).length, 1);
    assert.equal(checkImage(image, Int32Array.of(1, 2, 3)).length, 1);
  });

  test("an image that holds a later write without the earlier one is no instant", () => {
    const model = blank(2, "acknowledged");
    const image = model.openImage();
    write(model, 1, 0);
    write(model, 2, 1);
    assert.deepEqual(checkImage(image, Int32Array.of(1, 0)), []);
    assert.equal(checkImage(image, Int32Array.of(0, 2)).length, 1);
  });
});
