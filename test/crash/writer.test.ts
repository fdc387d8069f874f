// The writer and the model together must pass a good disk and catch a bad one: disks in memory with one fault each.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { seededRandom } from "../../src/common/random.ts";
import type { BlockDevice } from "../../src/engine/device.ts";
import { readStamps } from "./disk.ts";
import { SectorModel } from "./sector-model.ts";
import { sectorBytes } from "./sector-pattern.ts";
import { VerifyingWriter } from "./writer.ts";

const sectorCount = 4096;

/** A disk in memory; `write` may be replaced by one with a fault. Answers come in a later turn of the event loop. */
function memoryDisk(write: (bytes: Buffer, offset: number, data: Buffer) => void): BlockDevice {
  const bytes = Buffer.alloc(sectorCount * sectorBytes);
  const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    sizeBytes: bytes.length,
    readOnly: false,
    read: (offset, target) => later().then(() => void bytes.copy(target, 0, offset)),
    write: (offset, data) => later().then(() => write(bytes, offset, data)),
    flush: later,
    trim: later,
    writeZeroes: (offset, length) => later().then(() => void bytes.fill(0, offset, offset + length)),
    cache: later,
    extents: (_offset, lengthBytes) => Promise.resolve([{ lengthBytes, allocated: true }]),
  };
}

async function writeAndJudge(device: BlockDevice, operations: number): Promise<string[]> {
  const model = new SectorModel(new Int32Array(sectorCount), "acknowledged");
  let stamp = 0;
  const options = { device, model, random: seededRandom(4), firstByte: 0, nextStamp: () => ++stamp, workers: 4 };
  const writer = new VerifyingWriter(options);
  writer.start();
  while (writer.tally.operations < operations && writer.failure === undefined)
    await new Promise((resolve) => setImmediate(resolve));
  await writer.stop();
  assert.equal(writer.failure, undefined);
  return [...writer.wrong, ...model.recover(await readStamps(device, 0, sectorCount))];
}

describe("verifying writer", () => {
  test("finds nothing wrong with a good disk", async () => {
    assert.deepEqual(
      await writeAndJudge(
        memoryDisk((bytes, offset, data) => void data.copy(bytes, offset)),
        500,
      ),
      [],
    );
  });

  const faults: Record<string, (bytes: Buffer, offset: number, data: Buffer, count: number) => void> = {
    "loses a write": (bytes, offset, data, count) => void (count === 200 || data.copy(bytes, offset)),
    "tears a sector": (bytes, offset, data, count) => {
      data.copy(bytes, offset, 0, count === 200 ? data.length - 100 : data.length);
    },
    "writes to the wrong place": (bytes, offset, data, count) => {
      data.copy(bytes, count === 200 ? Math.abs(offset - sectorBytes) : offset);
    },
  };
  for (const [name, fault] of Object.entries(faults)) {
    test(`catches a disk that ${name}`, async () => {
      let count = 0;
      const wrong = await writeAndJudge(
        memoryDisk((bytes, offset, data) => fault(bytes, offset, data, ++count)),
        350,
      );
      assert.notDeepEqual(wrong, []);
    });
  }
});
