// Objects of backups: what was sealed is opened again, with any compression and key, and by nobody without the key; any changed
// byte, any other object in its place, and any length that lies are refused. The bodies of chunks and the file of keys too.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seededRandom, systemRandom } from "../common/random.ts";
import type { ChangedExtent } from "../engine/device.ts";
import { layOutChunk, parseChunk } from "./chunk.ts";
import { EncryptionKeys } from "./encryption-keys.ts";
import { compressions, type ObjectIdentity, openObject, sealObject } from "./envelope.ts";
import { encodeHead, parseHead } from "./head.ts";
import { clusterBytes } from "./limits.ts";
import { newPlace } from "./place.ts";

const keysOf = (...ids: string[]): EncryptionKeys =>
  EncryptionKeys.parse(ids.map((id) => `${id} ${Buffer.alloc(32, id).toString("hex")}`).join("\n"), "/keys");
const bodyBytesMax = 1024 * 1024;
const damaged = { code: "backup_damaged" };

const identity: fc.Arbitrary<ObjectIdentity> = fc.record({
  backupId: fc.uuid(),
  kind: fc.constantFrom("chunk", "head"),
  generation: fc.nat(),
  number: fc.nat(),
});
const bodies = fc.oneof(
  fc.uint8Array({ maxLength: 5000 }).map((bytes) => Buffer.from(bytes)),
  fc.nat(9000).map((length) => Buffer.alloc(length, "again ")),
);
const sealing = fc.record({ compression: fc.constantFrom(...compressions), isEncrypted: fc.boolean() });

test("what was sealed is opened again as the same bytes, and as nothing else", async () => {
  await fc.assert(
    fc.asyncProperty(identity, bodies, sealing, fc.nat(), async (id, body, { compression, isEncrypted }, place) => {
      const keys = isEncrypted ? keysOf("new", "old") : undefined;
      const object = await sealObject(id, body, { compression, keys, random: systemRandom });
      const opening = { keys: keysOf("old", "new"), bodyBytesMax };
      const { body: opened, keyId } = await openObject(id, object, opening);
      assert.ok(opened.equals(body));
      assert.equal(keyId, isEncrypted ? "new" : null);
      for (const other of [
        { ...id, number: id.number + 1 },
        { ...id, generation: id.generation + 1 },
        { ...id, kind: id.kind === "chunk" ? ("head" as const) : ("chunk" as const) },
        { ...id, backupId: systemRandom.uuid() },
      ]) {
        await assert.rejects(openObject(other, object, opening), damaged);
      }
      const changed = Buffer.from(object);
      changed[place % object.length]! ^= 1 << (place % 8);
      // Some bits of a compressed stream mean nothing.
      const outcome = await openObject(id, changed, opening).catch((error: unknown) => error as Error);
      assert.ok(outcome instanceof Error ? /backup/.test(outcome.message) : !isEncrypted && outcome.body.equals(body));
      await assert.rejects(openObject(id, object.subarray(0, place % object.length), opening), damaged);
      if (body.length > 0) await assert.rejects(openObject(id, object, { ...opening, bodyBytesMax: body.length - 1 }), damaged);
      if (!isEncrypted) return;
      assert.ok(body.length < 16 || !object.includes(body));
      for (const none of [undefined, keysOf("other")]) {
        await assert.rejects(openObject(id, object, { keys: none, bodyBytesMax }), { code: "backup_key_missing" });
      }
      const wrong = EncryptionKeys.parse(`new ${"0".repeat(64)}`, "/keys");
      await assert.rejects(openObject(id, object, { keys: wrong, bodyBytesMax }), damaged);
    }),
    { numRuns: 60 },
  );
});

test("the format stays as it is: an object of version 1, byte by byte", async () => {
  const id = { backupId: "00112233-4455-4677-8899-aabbccddeeff", kind: "chunk", generation: 2, number: 7 } as const;
  const body = Buffer.from("the body");
  const plain = await sealObject(id, body, { compression: "zstd", keys: undefined, random: seededRandom(1) });
  assert.equal(
    plain.toString("hex"),
    "616e6469726f6e206261636b757020310011223344554677" +
      "8899aabbccddeeff02000000070000000100000008000000" +
      `${plain.toString("hex", 48, 52)}${"00".repeat(44)}${body.toString("hex")}`,
  );
  assert.equal(plain.readUInt32LE(48), 0x6466c9f2);
  const sealed = await sealObject(id, body, { compression: "none", keys: keysOf("k1"), random: seededRandom(1) });
  assert.equal(sealed.length, 96 + body.length + 16);
  assert.equal(sealed.toString("latin1", 52, 54), "k1");
  assert.equal(sealed.toString("hex", 96), "04289f0413599c8937d89e66ae8f32eb77336e3406e0cc11");
});

test("a body that says less than it expands to is refused before it is in memory", async () => {
  const id = { backupId: systemRandom.uuid(), kind: "chunk", generation: 1, number: 0 } as const;
  for (const compression of ["zlib", "zstd"] as const) {
    const object = await sealObject(id, Buffer.alloc(bodyBytesMax), { compression, keys: undefined, random: systemRandom });
    object.writeUInt32LE(10, 44);
    await assert.rejects(openObject(id, object, { keys: undefined, bodyBytesMax }), /decompressed/);
  }
});

const extentsOf = fc
  .array(fc.record({ gap: fc.nat(5), clusters: fc.integer({ min: 1, max: 4 }), isData: fc.boolean() }), { maxLength: 20 })
  .map((steps) => {
    let at = 10;
    return steps.map(({ gap, clusters, isData }): ChangedExtent => {
      const offset = (at + gap) * clusterBytes;
      at += gap + clusters;
      return { offset, lengthBytes: clusters * clusterBytes, kind: isData ? "data" : "zero" };
    });
  });

test("a chunk's body is read as it was laid out; cut off, or with a table that lies, it is refused", () => {
  fc.assert(
    fc.property(extentsOf, fc.nat(), (extents, place) => {
      const chunk = { from: 10 * clusterBytes, to: 300 * clusterBytes, extents };
      const { body, places } = layOutChunk(chunk);
      for (const [at, { target }] of places.entries()) target.fill(at + 1);
      const { data, ...read } = parseChunk(body);
      assert.deepEqual(read, chunk);
      for (const [at, bytes] of data.entries()) assert.ok(bytes.every((byte) => byte === at + 1));
      assert.throws(() => parseChunk(body.subarray(0, place % body.length)), damaged);
      const table = 24 + extents.length * 16;
      const lying = Buffer.from(body);
      lying[place % table]! ^= 1 << (place % 8);
      if (place % table >= 20 && place % table < 24) return; // nothing is there
      try {
        const seen = parseChunk(lying);
        assert.ok(seen.from < seen.to && seen.extents.every(({ offset, lengthBytes }) => offset + lengthBytes <= seen.to));
        assert.notDeepEqual({ from: seen.from, to: seen.to, extents: seen.extents }, chunk);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "backup_damaged");
      }
    }),
  );
});

test("a head is read as it was written, and what is none is refused", () => {
  const place = newPlace("box", systemRandom.uuid(), systemRandom.uuid());
  const head = {
    v: 1,
    backupId: "b",
    volumeId: "v",
    sizeBytes: clusterBytes,
    parentId: null,
    isWhole: true,
    place,
    dataBytes: 0,
    facts: { name: "n" },
  } as const;
  assert.deepEqual(parseHead(encodeHead(head)), head);
  for (const [field, value] of Object.entries({
    v: 2,
    sizeBytes: 5,
    parentId: 1,
    isWhole: 1,
    place: {},
    facts: [],
    backupId: null,
  })) {
    assert.throws(() => parseHead(Buffer.from(JSON.stringify({ ...head, [field]: value }))), damaged, field);
  }
  for (const text of ["", "{", "[]", "null"]) assert.throws(() => parseHead(Buffer.from(text)), damaged);
});

test("the file of keys: comments, several keys, the first is for new backups; what is wrong names the line and no key", () => {
  const keys = EncryptionKeys.parse(`# ours\n\nk2 ${"ab".repeat(32)}\n  k1\t${"CD".repeat(32)}  \n`, "/keys");
  assert.equal(keys.firstId, "k2");
  assert.notDeepEqual(keys.keyOf("k1", "a"), keys.keyOf("k1", "b"));
  assert.throws(() => keys.keyOf("k3", "a"), { code: "backup_key_missing" });
  const secret = "ab".repeat(31);
  for (const text of [
    "",
    "# nothing",
    `k ${secret}`,
    secret,
    `k ${secret}zz`,
    `k ${secret}ab\nk ${secret}ab`,
    `k/1 ${secret}ab`,
  ]) {
    assert.throws(
      () => EncryptionKeys.parse(text, "/keys"),
      (error: Error) => !error.message.includes(secret) && error.message.includes("/keys"),
    );
  }
});
