// Reads that are sent from where the bytes lie in the device's memory: what the client gets, and when they are given back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../common/clock.ts";
import { seededRandom } from "../common/random.ts";
import { command } from "./constants.ts";
import { encodeRequest } from "./request-codec.ts";
import { makeCertificates, makeFolder, startRig } from "./server-rig.test.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await systemClock.sleep(2);
}

for (const structured of [true, false]) {
  test(`what is lent is what the client reads, ${structured ? "structured" : "simple"} replies, and is given back`, async (t) => {
    const rig = await startRig(t);
    const device = rig.directory.add("disk", 8 * MiB);
    seededRandom(1).bytes(device.bytes.length).copy(device.bytes);
    device.lentBytesMax = 96 * KiB;
    const reads = [
      [0, 64 * KiB],
      [5 * KiB, 33 * KiB],
      [MiB, MiB],
      [3 * MiB, 300 * KiB],
      [4 * MiB, 8 * KiB],
    ] as const;
    if (structured) {
      const client = await rig.client("disk");
      const targets = reads.map(([, length]) => Buffer.alloc(length));
      await Promise.all(reads.map(([offset], i) => client.read(offset, targets[i]!)));
      for (const [i, [offset, length]] of reads.entries())
        assert.ok(targets[i]!.equals(device.bytes.subarray(offset, offset + length)), `${length} bytes at ${offset}`);
    } else {
      const raw = await rig.raw();
      await raw.enter("disk");
      for (const [i, [offset, length]] of reads.entries()) {
        raw.socket.write(encodeRequest(command.read, 0, i, offset, length));
        const reply = await raw.take(16 + length);
        assert.ok(reply.subarray(16).equals(device.bytes.subarray(offset, offset + length)), `${length} bytes at ${offset}`);
      }
    }
    // All but the small one, in pieces.
    assert.equal(device.lentTotal, 1 + 1 + 11 + 4);
    assert.equal(device.readBytes, 8 * KiB);
    await until(() => device.lentCount === 0);
  });
}

test("what TLS sends of lent bytes is enciphered before they are given back", async (t) => {
  const certificates = makeCertificates(makeFolder(t));
  const rig = await startRig(t, {}, { tlsMode: "require", tls: certificates.server });
  const device = rig.directory.add("disk", 8 * MiB);
  seededRandom(2).bytes(device.bytes.length).copy(device.bytes);
  device.lentBytesMax = 96 * KiB;
  const client = await rig.client("disk", { tls: { ca: certificates.ca, serverName: "localhost" } });
  const targets = Array.from({ length: 8 }, () => Buffer.alloc(MiB));
  await Promise.all(targets.map((target, i) => client.read(i * MiB, target)));
  assert.ok(Buffer.concat(targets).equals(device.bytes));
  assert.equal(device.readBytes, 0);
  await until(() => device.lentCount === 0);
});

test("a client that does not read keeps little that is lent, and what it keeps is given back when it is cut off", async (t) => {
  const rig = await startRig(t, { unsentBytesMax: 512 * KiB });
  const device = rig.directory.add("disk", 8 * MiB);
  device.lentBytesMax = 256 * KiB;
  const raw = await rig.raw();
  await raw.enter("disk");
  raw.socket.pause();
  for (let i = 0; i < 32; i++) raw.socket.write(encodeRequest(command.read, 0, i, i * 256 * KiB, 256 * KiB));
  await until(() => device.lentCount > 0);
  await systemClock.sleep(50);
  assert.ok(device.lentCount > 0 && device.lentTotal <= 8, `${device.lentCount} of ${device.lentTotal} pieces`);
  raw.socket.destroy();
  await until(() => rig.directory.openSessions === 0 && device.lentCount === 0);
});

test("what is answered by an error lends nothing", async (t) => {
  const rig = await startRig(t);
  const device = rig.directory.add("disk", MiB);
  device.lentBytesMax = 64 * KiB;
  const client = await rig.client("disk");
  await assert.rejects(client.read(MiB - 4 * KiB, Buffer.alloc(64 * KiB)), { code: "invalid_request" });
  assert.equal(device.lentTotal, 0);
});
