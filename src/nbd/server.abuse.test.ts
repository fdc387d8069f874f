// The server against bad, slow, silent and many clients: a clean close or the right errno, bounded memory, nothing lost.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { systemClock } from "../common/clock.ts";
import { seededRandom } from "../common/random.ts";
import { command, option, optionReply } from "./constants.ts";
import { encodeRequest } from "./request-codec.ts";
import { clientFlags, optionOf, startRig, type Rig } from "./server-rig.test.ts";

const MiB = 1024 * 1024;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await systemClock.sleep(2);
}

/** A disk still serves, and every connection and session of the abusers is gone. */
async function assertHealthy(rig: Rig): Promise<void> {
  const client = await rig.client("disk");
  const data = Buffer.from("still here");
  await client.write(100, data, { fua: true });
  const back = Buffer.alloc(data.length);
  await client.read(100, back);
  assert.ok(back.equals(data));
  await client.disconnect();
  await until(() => rig.server.connectionCount === 0 && rig.directory.openSessions === 0);
}

test("a bad request magic ends the connection", async (t) => {
  const rig = await startRig(t);
  rig.directory.add("disk", MiB);
  const raw = await rig.raw();
  await raw.enter("disk");
  raw.socket.write(Buffer.concat([encodeRequest(command.flush, 0, 1, 0, 0), Buffer.alloc(28, 0xaa)]));
  await raw.rest();
  await assertHealthy(rig);
});

test("the payload of a WRITE beyond the limit is dropped, and the stream goes on behind it", async (t) => {
  const rig = await startRig(t);
  rig.directory.add("disk", 64 * MiB);
  const raw = await rig.raw();
  await raw.enter("disk");
  raw.socket.write(encodeRequest(command.write, 0, 1, 0, 33 * MiB));
  for (let sent = 0; sent < 33; sent++) raw.socket.write(Buffer.alloc(MiB, 7));
  raw.socket.write(encodeRequest(command.flush, 0, 2, 0, 0));
  const replies = await raw.take(32);
  assert.deepEqual([replies.readUInt32BE(4), replies.readUInt32BE(12)], [22, 1]);
  assert.deepEqual([replies.readUInt32BE(20), replies.readUInt32BE(28)], [0, 2]);
  raw.socket.destroy();
  await assertHealthy(rig);
});

test("an option of four gigabytes is not collected, and too many options end the connection", async (t) => {
  const rig = await startRig(t, { optionsMax: 8 });
  rig.directory.add("disk", MiB);
  const huge = await rig.raw();
  const header = optionOf(option.list, "");
  header.writeUInt32BE(0xffff_ffff, 12);
  huge.socket.write(Buffer.concat([clientFlags, header]));
  const before = process.memoryUsage().arrayBuffers;
  for (let sent = 0; sent < 64; sent++) huge.socket.write(Buffer.alloc(MiB));
  await until(() => huge.socket.writableLength === 0);
  assert.ok(process.memoryUsage().arrayBuffers - before < 70 * MiB);
  huge.socket.destroy();
  const many = await rig.raw();
  many.socket.write(clientFlags);
  for (let index = 0; index < 8; index++) assert.equal((await many.ask(option.list)).type, optionReply.ack);
  many.socket.write(optionOf(option.list, ""));
  await many.rest();
  await assertHealthy(rig);
});

test("a silent client is dropped at the deadline, a slow one is served byte by byte", async (t) => {
  const rig = await startRig(t, { handshakeTimeoutMs: 300 });
  rig.directory.add("disk", MiB);
  const silent = await rig.raw();
  const slow = await rig.raw();
  await slow.enter("disk");
  assert.equal((await silent.rest()).length, 0);
  const stream = Buffer.concat([
    encodeRequest(command.write, 0, 1, 10, 5),
    Buffer.from("hello"),
    encodeRequest(command.read, 0, 2, 8, 9),
  ]);
  for (const byte of stream) {
    slow.socket.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  assert.equal((await slow.take(16 + 16 + 9)).subarray(32).toString(), "\0\0hello\0\0");
  slow.socket.destroy();
  await assertHealthy(rig);
});

test("a client that does not read its replies stops being read, and gets all of them when it does", async (t) => {
  const limits = { requestsInFlightMax: 16, bytesInFlightMax: 4 * MiB };
  const rig = await startRig(t, limits);
  const device = rig.directory.add("disk", 4 * MiB);
  device.bytes.fill(3);
  device.asynchronousReads = true;
  const raw = await rig.raw();
  await raw.enter("disk");
  raw.socket.pause();
  const count = 300;
  for (let index = 0; index < count; index++) raw.socket.write(encodeRequest(command.read, 0, index, 0, MiB));
  await until(() => device.activeMax > 0 && device.active === 0);
  const before = process.memoryUsage().arrayBuffers;
  await systemClock.sleep(100);
  assert.ok(process.memoryUsage().arrayBuffers - before < 16 * MiB);
  assert.ok(device.activeMax <= 5, `${device.activeMax} reads at once`);
  let heard = 0;
  raw.socket.removeAllListeners("data").on("data", (chunk) => (heard += chunk.length));
  raw.socket.resume();
  await until(() => heard === count * (16 + MiB));
  raw.socket.destroy();
  await assertHealthy(rig);
});

test("the oldest stranger makes room for a new one, and connections are counted", async (t) => {
  const rig = await startRig(t, { handshakesMax: 3, connectionsMax: 5 });
  rig.directory.add("disk", MiB);
  const strangers = [await rig.raw(), await rig.raw(), await rig.raw()];
  const client = await rig.client("disk");
  await strangers[0]!.rest();
  assert.deepEqual(
    strangers.map((stranger) => stranger.ended),
    [true, false, false],
  );
  await rig.client("disk");
  await rig.client("disk");
  assert.equal(rig.server.connectionCount, 5);
  await client.flush();
  await assert.rejects(rig.client("disk"), { code: "owner_unreachable" });
});

test("ten thousand random handshakes leave nothing behind", async (t) => {
  const rig = await startRig(t);
  rig.directory.add("disk", MiB);
  const random = seededRandom(2026);
  const openings = [
    () => random.bytes(random.below(64)),
    () => Buffer.concat([clientFlags, random.bytes(random.below(64))]),
    () => Buffer.concat([clientFlags, optionOf(random.below(14), random.bytes(random.below(64)))]),
    () => Buffer.concat([clientFlags, optionOf(option.go, `\0\0\0\x04disk\0\0`), random.bytes(random.below(64))]),
    () =>
      Buffer.concat([
        clientFlags,
        optionOf(option.exportName, "disk"),
        encodeRequest(random.below(9), 0, 1, 0, random.below(99)),
      ]),
    () => Buffer.alloc(0),
  ];
  const once = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect(rig.path);
      socket.on("close", () => resolve()).on("error", () => {});
      socket.on("data", () => {});
      const bytes = openings[random.below(openings.length)]!();
      socket.write(bytes, () => (random.below(2) === 0 ? socket.end() : socket.destroy()));
    });
  const batch = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index += 50) await Promise.all(Array.from({ length: 50 }, once));
  };
  await batch(2000);
  const before = process.memoryUsage();
  await batch(8000);
  await assertHealthy(rig);
  const after = process.memoryUsage();
  assert.ok(after.arrayBuffers - before.arrayBuffers < 80 * MiB, `${after.arrayBuffers - before.arrayBuffers} bytes of buffers`);
  assert.ok(after.heapUsed - before.heapUsed < 64 * MiB, `${after.heapUsed - before.heapUsed} bytes of heap`);
});
