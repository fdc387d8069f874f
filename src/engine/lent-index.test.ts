// Memory of an index that is lent: nobody else's until it is given back, and then given once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../common/random.ts";
import { EngineRig } from "./engine-rig.fixture.ts";
import { MiB } from "./limits.ts";
import { readIndex, type SegmentIndex } from "./segments.ts";
import { SpanBuffers } from "./span-buffers.ts";

test("an index stays as it is until it is given back, and its memory has one holder", async (t) => {
  const rig = await EngineRig.open();
  t.after(() => rig.close());
  const disk = await rig.createDisk(MiB);
  const session = await rig.open(disk);
  await session.device.write(0, seededRandom(1).bytes(MiB), { fua: true });
  await rig.detach(disk);
  const name = (await rig.backend.list("")).find((object) => object.includes("/s-"))!;
  const bytes = (await rig.backend.size(name))!;
  const memory = new SpanBuffers(MiB);
  const lend = (): Promise<SegmentIndex> =>
    readIndex(name, bytes, 0, (offset, target) => rig.backend.read(name, offset, target), memory);
  const first = await lend();
  const entries = first.entries.map(({ firstCluster, clusterCount }) => [firstCluster, clusterCount]);
  assert.ok(entries.length > 0);
  const second = await lend();
  assert.notEqual(first.encoded.bytes.buffer, second.encoded.bytes.buffer);
  first.giveBack();
  first.giveBack();
  first.encoded.bytes.fill(0xff);
  const [third, fourth] = [await lend(), await lend()];
  assert.equal(third.encoded.bytes.buffer, first.encoded.bytes.buffer);
  assert.equal(new Set([second, third, fourth].map(({ encoded }) => encoded.bytes.buffer)).size, 3);
  for (const index of [second, third, fourth]) {
    assert.deepEqual(
      index.entries.map(({ firstCluster, clusterCount }) => [firstCluster, clusterCount]),
      entries,
    );
  }
});
