// The server over real sockets, with our own client and with raw bytes: handshake, transmission, revocation, shutdown.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { connect } from "node:tls";
import { test } from "node:test";
import { systemClock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import { command, commandFlag, errno, option, optionReply } from "./constants.ts";
import { NbdServer } from "./server.ts";
import { RamDirectory } from "./ram-device.test.ts";
import { encodeRequest } from "./request-codec.ts";
import { clientFlags, makeCertificates, makeFolder, optionOf, startRig } from "./server-rig.test.ts";

const MiB = 1024 * 1024;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await systemClock.sleep(2);
}

test("what the client writes, zeroes and trims is what it reads, at any length and alignment", async (t) => {
  const rig = await startRig(t);
  const device = rig.directory.add("disk", 8 * MiB);
  const client = await rig.client("disk");
  assert.equal(client.sizeBytes, 8 * MiB);
  assert.equal(client.exportInfo.structuredReplies, true);
  const expected = Buffer.alloc(8 * MiB);
  const lengths = [1, 511, 4096, 4097, 65_536, 100_003, 3 * MiB + 1, 0];
  for (const [index, length] of lengths.entries()) {
    const data = Buffer.alloc(length, index + 1);
    const offset = 12_345 * index;
    await client.write(offset, data, { fua: index % 2 === 0 });
    data.copy(expected, offset);
  }
  await client.writeZeroes(5000, 70_001, { fua: false, noHole: true });
  expected.fill(0, 5000, 75_001);
  await client.trim(8192, 4096, { fua: false });
  expected.fill(0, 8192, 12_288);
  await client.cache(0, 4096);
  await client.flush();
  assert.ok(device.bytes.equals(expected));
  for (const asynchronous of [false, true]) {
    device.asynchronousReads = asynchronous;
    for (const [index, length] of lengths.entries()) {
      const target = Buffer.alloc(length, 0xee);
      await client.read(index * 7777, target);
      assert.ok(target.equals(expected.subarray(index * 7777, index * 7777 + length)), `read of ${length}`);
    }
    const whole = Buffer.alloc(8 * MiB, 0xee);
    await client.read(0, whole);
    assert.ok(whole.equals(expected));
  }
  const extents = await client.extents(0, 8 * MiB, 100);
  assert.ok(extents.length > 2);
  assert.equal(
    extents.reduce((sum, extent) => sum + extent.lengthBytes, 0),
    8 * MiB,
  );
  assert.equal((await client.extents(0, 8 * MiB, 1)).length, 1);
  await client.disconnect();
  await until(() => rig.server.connectionCount === 0);
  assert.equal(rig.directory.openSessions, 0);
  assert.ok(device.calls.includes("write 0 1 fua") && device.calls.includes("zero 5000 70001 no-hole"));
});

test("hundreds of pipelined requests of all sizes end as they should", async (t) => {
  const rig = await startRig(t, { requestsInFlightMax: 8, bytesInFlightMax: 1 * MiB });
  const device = rig.directory.add("disk", 16 * MiB);
  device.asynchronousReads = true;
  const client = await rig.client("disk", { limits: { requestsInFlightMax: 64 } });
  const sizes = [512, 4096, 70_000, 300_000];
  await Promise.all(
    Array.from({ length: 400 }, async (_, index) => {
      const data = Buffer.alloc(sizes[index % 4]! / 100, index & 0xff);
      const offset = index * 4096;
      await client.write(offset, data, { fua: false });
      const back = Buffer.alloc(data.length);
      await client.read(offset, back);
      assert.ok(back.equals(data), `request ${index}`);
      await client.read(offset, Buffer.alloc(sizes[index % 4]!));
    }),
  );
  assert.ok(device.activeMax <= 8, `${device.activeMax} requests were in the device at once`);
});

test("errors of the device become errnos, and a lost ownership cuts the connection", async (t) => {
  const rig = await startRig(t);
  const device = rig.directory.add("disk", MiB);
  const client = await rig.client("disk");
  device.failure = new AndironError("journal_full", "full");
  await assert.rejects(client.write(0, Buffer.alloc(10), { fua: false }), { code: "backend_full" });
  for (const length of [10, 100_000]) {
    device.failure = new AndironError("segment_damaged", "x");
    await assert.rejects(client.read(0, Buffer.alloc(length)), { code: "nbd_io_failed" });
  }
  device.failure = new TypeError("a bug");
  await assert.rejects(client.flush(), { code: "nbd_io_failed" });
  await assert.rejects(client.write(MiB, Buffer.alloc(1), { fua: false }), { code: "backend_full" });
  await assert.rejects(client.read(MiB, Buffer.alloc(1)), { code: "invalid_request" });
  device.failure = new AndironError("owner_changed", "x");
  await assert.rejects(client.flush(), { code: "owner_unreachable" });
  await until(() => rig.directory.openSessions === 0);
});

test("an unknown export is refused, LIST names nothing, and unknown options are unsupported", async (t) => {
  const rig = await startRig(t);
  rig.directory.add("disk", MiB);
  await assert.rejects(rig.client("other"), { code: "export_not_found" });
  const raw = await rig.raw();
  raw.socket.write(clientFlags);
  assert.deepEqual(await raw.ask(option.list), { type: optionReply.ack, data: Buffer.alloc(0) });
  assert.equal((await raw.ask(option.list, "x")).type, optionReply.errorInvalid);
  assert.equal((await raw.ask(4711, "abc")).type, optionReply.errorUnsupported);
  assert.equal((await raw.ask(option.startTls)).type, optionReply.errorPolicy);
  assert.equal((await raw.ask(option.setMetaContext, "")).type, optionReply.errorInvalid);
  assert.equal((await raw.ask(option.info, "\0\0\0\x05other\0\0")).type, optionReply.errorUnknown);
  assert.equal((await raw.ask(option.go, "\0\0\xff\0")).type, optionReply.errorInvalid);
  assert.equal((await raw.ask(option.list, "x".repeat(20_000))).type, optionReply.errorTooBig);
  assert.equal((await raw.ask(option.info, "\0\0\0\x04disk\0\x01\0\x03")).type, optionReply.info);
  assert.equal((await raw.reply()).data.length, 14);
  assert.equal((await raw.reply()).type, optionReply.ack);
  assert.equal((await raw.ask(option.abort)).type, optionReply.ack);
  assert.equal((await raw.rest()).length, 0);
  assert.equal(rig.directory.openSessions, 0);
});

test("EXPORT_NAME enters transmission with simple replies, and an unknown name ends the connection", async (t) => {
  const rig = await startRig(t);
  rig.directory.add("disk", MiB).bytes.write("hello", 5000);
  const refused = await rig.raw();
  refused.socket.write(Buffer.concat([clientFlags, optionOf(option.exportName, "other")]));
  assert.equal((await refused.rest()).length, 0);
  const raw = await rig.raw();
  await raw.enter("disk");
  const requests = [
    encodeRequest(command.read, 0, 7, 5000, 5),
    encodeRequest(command.read, 0, 8, MiB, 5),
    encodeRequest(command.blockStatus, 0, 9, 0, 5),
    encodeRequest(99, 0, 10, 0, 0),
    encodeRequest(command.read, commandFlag.dontFragment, 11, 0, 5),
  ];
  raw.socket.write(Buffer.concat(requests));
  assert.equal((await raw.take(21)).subarray(16).toString(), "hello");
  for (const cookie of [8, 9, 10, 11]) {
    const reply = await raw.take(16);
    assert.deepEqual([reply.readUInt32BE(4), reply.readUInt32BE(12)], [errno.EINVAL, cookie]);
  }
  raw.socket.end(encodeRequest(command.disconnect, 0, 12, 0, 0));
  assert.equal((await raw.rest()).length, 0);
});

test("requests in flight are answered before a DISC or a hang-up ends the connection", async (t) => {
  const rig = await startRig(t);
  const device = rig.directory.add("disk", MiB);
  for (const goodbye of [encodeRequest(command.disconnect, 0, 9, 0, 0), Buffer.alloc(0)]) {
    const gate = Promise.withResolvers<void>();
    device.gate = gate.promise;
    const raw = await rig.raw();
    await raw.enter("disk");
    raw.socket.end(Buffer.concat([encodeRequest(command.flush, 0, 1, 0, 0), encodeRequest(command.read, 0, 2, 0, 4), goodbye]));
    await until(() => device.active === 2);
    gate.resolve();
    assert.equal((await raw.rest()).length, 16 + 16 + 4);
    await until(() => rig.directory.openSessions === 0);
    // A client that died looks like one that hangs up: what waits of its requests must not come after what it writes anew.
    assert.equal(rig.directory.gone.size, goodbye.length > 0 ? 0 : 1);
  }
});

test("a large read that is answered at once, as the last of all, does not keep the connection from its end", async (t) => {
  const rig = await startRig(t);
  const device = rig.directory.add("disk", MiB);
  Object.defineProperties(device, {
    extents: { value: (_offset: number, lengthBytes: number) => [{ lengthBytes, allocated: true }] },
    read: { value: (_offset: number, target: Buffer): void => void target.fill(3) },
  });
  const client = await rig.client("disk");
  const target = Buffer.alloc(64 * 1024);
  await client.read(0, target);
  await client.disconnect();
  await until(() => rig.directory.openSessions === 0);
  assert.ok(target.every((byte) => byte === 3));
});

test("the device is told at once of a client that is cut off with requests in flight", async (t) => {
  const rig = await startRig(t);
  const device = rig.directory.add("disk", MiB);
  const gate = Promise.withResolvers<void>();
  device.gate = gate.promise;
  const raw = await rig.raw();
  await raw.enter("disk");
  raw.socket.write(encodeRequest(command.flush, 0, 1, 0, 0));
  await until(() => device.active === 1);
  raw.socket.destroy();
  await until(() => rig.directory.gone.size === 1);
  assert.equal(rig.directory.openSessions, 1);
  gate.resolve();
  await until(() => rig.directory.openSessions === 0);
});

test("a revoked session is cut at once, and closed only when the device is done with it", async (t) => {
  const rig = await startRig(t);
  const device = rig.directory.add("disk", MiB);
  const client = await rig.client("disk");
  const gate = Promise.withResolvers<void>();
  device.gate = gate.promise;
  const lost = assert.rejects(client.write(0, Buffer.alloc(100, 1), { fua: false }), { code: "owner_unreachable" });
  await until(() => device.active === 1);
  for (const cut of rig.directory.cuts) cut();
  await lost;
  await until(() => rig.server.connectionCount === 0);
  assert.equal(rig.directory.openSessions, 1);
  gate.resolve();
  device.gate = undefined;
  await until(() => rig.directory.openSessions === 0);
});

test("after an answer to a client that comes back at once the loop stays awake, unless that is off", async (t) => {
  for (const busyPollMs of [0, 3_000]) {
    const rig = await startRig(t, { busyPollMs });
    rig.directory.add("disk", MiB);
    const client = await rig.client("disk");
    for (let count = 0; count < 8; count++) await client.flush();
    const awake = (): boolean => process.getActiveResourcesInfo().includes("Immediate");
    if (busyPollMs === 0) await until(() => !awake());
    for (let looks = 0; looks < 20; looks++) {
      assert.equal(awake(), busyPollMs > 0);
      await systemClock.sleep(1);
    }
  }
});

test("draining finishes what is in flight, answers ESHUTDOWN to the rest, and closes", async (t) => {
  const rig = await startRig(t);
  const device = rig.directory.add("disk", MiB);
  const gate = Promise.withResolvers<void>();
  device.gate = gate.promise;
  const client = await rig.client("disk");
  const stranger = await rig.raw();
  const written = client.write(0, Buffer.alloc(100, 1), { fua: false });
  await until(() => device.active === 1);
  const drained = rig.server.drain();
  await assert.rejects(client.flush(), { code: "shutting_down" });
  await stranger.rest();
  gate.resolve();
  await written;
  await drained;
  assert.equal(rig.server.connectionCount, 0);
  assert.equal(device.bytes[99], 1);
  await assert.rejects(rig.client("disk"), { code: "owner_unreachable" });
});

test("a stale socket file is replaced, one that is served is not", async (t) => {
  const path = join(makeFolder(t), "nbd.sock");
  const listening = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("ready"))`;
  const killed = spawn(process.execPath, ["-e", listening], { stdio: ["ignore", "pipe", "inherit"] });
  await once(killed.stdout, "data");
  killed.kill("SIGKILL");
  await once(killed, "exit");
  const options = { listen: [{ path }], directory: new RamDirectory(), clock: systemClock };
  const server = new NbdServer(options);
  await server.start();
  await assert.rejects(new NbdServer(options).start(), { code: "address_in_use" });
  await server.stop();
  await server.stop();
});

test("TLS: allowed, required, with and without a client certificate", async (t) => {
  const certificates = makeCertificates(makeFolder(t));
  const tls = { ca: certificates.ca, serverName: "localhost" };
  const required = await startRig(t, {}, { tlsMode: "require", tls: certificates.server });
  required.directory.add("disk", 4 * MiB);
  await assert.rejects(required.client("disk"), { code: "owner_unreachable" });
  const raw = await required.raw();
  raw.socket.write(clientFlags);
  for (const number of [option.list, option.structuredReply, option.go, 4711]) {
    assert.equal((await raw.ask(number)).type, optionReply.errorTlsRequired);
  }
  raw.socket.write(optionOf(option.exportName, "disk"));
  assert.equal((await raw.rest()).length, 0);
  const client = await required.client("disk", { tls });
  await client.write(3, Buffer.alloc(2 * MiB, 9), { fua: false });
  const back = Buffer.alloc(2 * MiB);
  await client.read(3, back);
  assert.ok(back.equals(Buffer.alloc(2 * MiB, 9)));
  await assert.rejects(required.client("disk", { tls: { ...tls, serverName: "elsewhere" } }), { code: "owner_unreachable" });

  const server = { ...certificates.server, clientCa: certificates.ca };
  const mutual = await startRig(t, {}, { tlsMode: "allow", tls: server });
  mutual.directory.add("disk", MiB);
  await (await mutual.client("disk")).flush();
  await assert.rejects(mutual.client("disk", { tls }), { code: "owner_unreachable" });
  await (await mutual.client("disk", { tls: { ...tls, ...certificates.client } })).flush();
});

// Many reads of the socket, and one with all of it, the end included.
for (const [size, lengths] of Object.entries({ large: [4096, 1, 100_000, 7, 30_000, 64 * 1024, 512], small: [1, 7, 512] })) {
  test(`TLS: ${size} writes that came while the reading was stopped are answered in order, before the hang-up`, async (t) => {
    const certificates = makeCertificates(makeFolder(t));
    const rig = await startRig(t, { requestsInFlightMax: 2 }, { tlsMode: "require", tls: certificates.server });
    const device = rig.directory.add("disk", MiB);
    const gate = Promise.withResolvers<void>();
    device.gate = gate.promise;
    const raw = await rig.raw();
    raw.socket.write(clientFlags);
    assert.equal((await raw.ask(option.startTls)).type, optionReply.ack);
    raw.socket.removeAllListeners("data");
    const secure = connect({ socket: raw.socket, ca: certificates.ca, servername: "localhost" });
    const received: Buffer[] = [];
    secure.on("data", (chunk: Buffer) => received.push(chunk));
    const ended = once(secure, "end");
    const expected = Buffer.alloc(MiB);
    const requests: Buffer[] = [];
    for (let count = 0; count < 70; count++) {
      const data = Buffer.alloc(lengths[count % lengths.length]!, count + 1);
      const offset = 13_001 * count;
      data.copy(expected, offset);
      requests.push(encodeRequest(command.write, 0, count, offset, data.length), data);
    }
    secure.end(Buffer.concat([optionOf(option.exportName, "disk"), ...requests]));
    await until(() => device.active === 2);
    gate.resolve();
    await ended;
    assert.equal(Buffer.concat(received).length, 10 + 70 * 16);
    assert.ok(device.bytes.equals(expected));
  });
}

test("bytes in the clear behind STARTTLS end the connection", async (t) => {
  const certificates = makeCertificates(makeFolder(t));
  const rig = await startRig(t, {}, { tlsMode: "allow", tls: certificates.server });
  const raw = await rig.raw();
  raw.socket.write(Buffer.concat([clientFlags, optionOf(option.startTls, ""), optionOf(option.list, "")]));
  assert.equal((await raw.rest()).length, 0);
});
