// What one client gets of the server while others want it too, by counts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../common/clock.ts";
import { command } from "./constants.ts";
import { encodeRequest } from "./request-codec.ts";
import { TurnShares } from "./turn-shares.ts";
import { startRig } from "./server-rig.test.ts";

const MiB = 1024 * 1024;
/** What the kernel takes of a socket that nobody reads, generously. */
const socketBytesMax = MiB;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await systemClock.sleep(2);
}

test("no more is read for a client than it takes; what it writes goes on meanwhile, and it gets all in the end", async (t) => {
  const rig = await startRig(t, { unsentBytesMax: 2 * MiB });
  const device = rig.directory.add("disk", 4 * MiB);
  const raw = await rig.raw();
  await raw.enter("disk");
  raw.socket.pause();
  const count = 20;
  for (let index = 0; index < count; index++) raw.socket.write(encodeRequest(command.read, 0, index, index * 4096, MiB));
  raw.socket.write(Buffer.concat([encodeRequest(command.write, 0, count, 0, 5), Buffer.from("hello")]));
  await until(() => device.calls.includes("write 0 5"));
  await systemClock.sleep(20);
  assert.ok(device.readBytes <= 3 * MiB + socketBytesMax, `${device.readBytes} bytes were read for who takes none`);
  let heard = 0;
  raw.socket.removeAllListeners("data").on("data", (chunk) => (heard += chunk.length));
  raw.socket.resume();
  await until(() => heard === count * (16 + MiB) + 16);
  assert.equal(device.readBytes, count * MiB);
  raw.socket.destroy();
});

test("reads that wait for a client that is gone are never made, and its session ends", async (t) => {
  const rig = await startRig(t, { unsentBytesMax: MiB, readChunkBytesMax: MiB / 4 });
  const device = rig.directory.add("disk", 4 * MiB);
  device.bytes.fill(1);
  device.clusters.fill(1);
  const client = await rig.client("disk");
  const raw = await rig.raw();
  await raw.enter("disk");
  raw.socket.pause();
  for (let index = 0; index < 20; index++) raw.socket.write(encodeRequest(command.read, 0, index, 0, MiB));
  await until(() => device.readBytes > 0);
  await systemClock.sleep(20);
  const before = device.readBytes;
  raw.socket.destroy();
  await until(() => rig.directory.openSessions === 1);
  assert.equal(device.readBytes, before);
  // In chunks, with a client that is slow to take them.
  const target = Buffer.alloc(4 * MiB);
  await client.read(0, target);
  assert.ok(target.every((byte) => byte === 1));
  await client.disconnect();
  await until(() => rig.directory.openSessions === 0);
});

for (const { what, ask, answerBytes, most } of [
  // 8 requests of 4 KiB, or 4 that change as much.
  { what: "reads", ask: encodeRequest(command.read, 0, 1, 0, 4096), answerBytes: 16 + 4096, most: 8 },
  { what: "writes", ask: [encodeRequest(command.write, 0, 1, 0, 4096), Buffer.alloc(4096)], answerBytes: 16, most: 4 },
]) {
  test(`between two requests of an export that has one under way, one with hundreds of ${what} has few`, async (t) => {
    const rig = await startRig(t, { besideTurnBytesMax: 32 * 1024 });
    const noisy = rig.directory.add("noisy", 4 * MiB);
    const quiet = rig.directory.add("quiet", 4 * MiB);
    const between: number[] = [];
    let count = 0;
    noisy.onRead = noisy.onChange = () => count++;
    quiet.onRead = () => {
      between.push(count);
      count = 0;
    };
    // Two connections share what one export has.
    const loads = [await rig.raw(), await rig.raw()];
    const flood = Buffer.concat(Array.from({ length: 256 }, () => ask).flat());
    for (const load of loads) {
      await load.enter("noisy");
      let heard = 0;
      load.socket.removeAllListeners("data").on("data", (chunk) => {
        heard += chunk.length;
        // Always between 128 and 256 under way.
        for (; heard >= 128 * answerBytes; heard -= 128 * answerBytes) load.socket.write(flood.subarray(0, flood.length / 2));
      });
      load.socket.write(flood);
    }
    const raw = await rig.raw();
    await raw.enter("quiet");
    for (let i = 0; i < 100; i++) {
      raw.socket.write(encodeRequest(command.read, 0, 1, 0, 4096));
      await raw.take(16 + 4096);
    }
    for (const load of loads) load.socket.destroy();
    raw.socket.destroy();
    // The client shares the loop: its own turn may lie between two of the server's.
    const found = Math.max(...between.slice(10));
    assert.ok(found <= 3 * most, `${found} requests between two: ${between.join(" ")}`);
    assert.ok(between.some((requests) => requests > 0));
  });
}

test("a share is whole again in the next turn, and who waits goes on in order, those that had nothing first", () => {
  const turns: (() => void)[] = [];
  const shares = new TurnShares({ aloneBytes: 100, besideOthersBytes: 30 }, (run) => turns.push(run));
  const [share, other] = [shares.of("a"), shares.of("b")];
  const ran: string[] = [];
  const client = (name: string) => (): void => {
    while (share.mayBegin) {
      ran.push(name);
      share.spend(50);
    }
    share.whenNext(client(name));
  };
  client("x")();
  client("y")();
  client("z")();
  assert.equal(other.mayBegin, true);
  for (let turn = 0; turn < 4; turn++) turns.shift()!();
  assert.deepEqual(ran.join(""), "xxxxyyzzxx");
  assert.equal(turns.length, 1, "one callback a turn");
  // Another is at work: shares are smaller, for some turns after, too.
  ran.length = 0;
  other.spend(10);
  for (let turn = 0; turn < 32; turn++) turns.shift()!();
  assert.deepEqual(ran.join(""), "yzx".repeat(11).slice(0, 32));
  ran.length = 0;
  turns.shift()!();
  assert.deepEqual(ran.join(""), "xx");
  share.done();
  other.done();
  assert.equal(shares.exportCount, 0);
});

test("what is begun while shares are made whole is worked on before they are made whole again", () => {
  const turns: (() => void)[] = [];
  const soon = (run: () => void): void => void turns.push(run);
  const share = new TurnShares({ aloneBytes: 1, besideOthersBytes: 1 }, soon).of("a");
  const steps: string[] = [];
  const begin = (): void => {
    steps.push("begun");
    share.spend(1);
    // As a queue does with the first that comes.
    soon(() => steps.push("written"));
    share.whenNext(begin);
  };
  begin();
  for (let turn = 0; turn < 7; turn++) turns.shift()!();
  assert.deepEqual(steps, ["begun", "begun", "written", "written", "begun", "written", "begun", "written"]);
});

test("requests that waited for room are all counted as answered: the connection ends when its client asks for it", async (t) => {
  const rig = await startRig(t, { unsentBytesMax: 256 * 1024 });
  const device = rig.directory.add("disk", 4 * MiB);
  device.bytes.fill(1);
  device.clusters.fill(1);
  device.immediateExtents = true;
  const client = await rig.client("disk", { limits: { requestsInFlightMax: 64 } });
  const targets = Array.from({ length: 32 }, () => Buffer.alloc(256 * 1024));
  await Promise.all(targets.map((target, i) => client.read((i % 16) * target.length, target)));
  await client.disconnect();
  await until(() => rig.server.connectionCount === 0);
});
