// Tests the outbox and its publisher in a running Cinder, over a transport that fails as it is told.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { systemClock } from "../../common/clock.ts";
import { seededRandom, systemRandom } from "../../common/random.ts";
import type { Registry } from "../../registry/registry.ts";
import { admin, member, openFixture } from "../cinder-fixture.ts";
import { type OutboxMessage, outboxPrefix } from "./outbox-record.ts";
import { OutboxView } from "./outbox-view.ts";
import { NotificationPublisher, type NotificationTransport } from "./publisher.ts";

interface Process {
  readonly outbox: OutboxView;
  readonly publisher: NotificationPublisher;
  readonly alarms: string[];
  readonly troubles: string[];
  unreadable: number;
}

/** One process that publishes, over the registry; not started. */
function makeProcess(registry: Registry, transport: NotificationTransport, outboxMax = 1000): Process {
  const alarms: string[] = [];
  const troubles: string[] = [];
  const onTrouble = (what: string): void => void troubles.push(what);
  const observer = { dropped: () => undefined, alarm: (level: string, text: string) => void alarms.push(`${level} ${text}`) };
  const outbox = new OutboxView({ registry, clock: systemClock, outboxMax, observer, onTrouble });
  const publisher = new NotificationPublisher({
    registry,
    clock: systemClock,
    random: systemRandom,
    host: "test",
    outbox,
    transport,
    observer: {
      sent: () => undefined,
      failed: () => undefined,
      unreadable: (count) => void (made.unreadable = count),
    },
    onTrouble,
    pauses: { firstMs: 1, stepMs: 0, maxMs: 1 },
  });
  const made: Process = { outbox, publisher, alarms, troubles, unreadable: 0 };
  return made;
}

async function start(test_: TestContext, { outbox, publisher }: Process): Promise<void> {
  await outbox.start();
  await publisher.start();
  test_.after(async () => {
    await publisher.stop();
    await outbox.stop();
  });
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while (!isSo()) {
    assert.ok(performance.now() < deadlineMs, what);
    await systemClock.sleep(5);
  }
}

/** Keeps what it is given, in the order of the broker. */
class Collected implements NotificationTransport {
  readonly messages: OutboxMessage[] = [];
  readonly batches: (readonly OutboxMessage[])[] = [];
  /** Undefined: it works. Otherwise how many of a batch come through before it fails. */
  fails: (() => number | undefined) | undefined;

  send(batch: readonly OutboxMessage[]): Promise<void> {
    this.batches.push(batch);
    const taken = this.fails?.();
    this.messages.push(...batch.slice(0, taken ?? batch.length));
    return taken === undefined ? Promise.resolve() : Promise.reject(new Error("the broker went away"));
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  /** Events of one resource, each message once. */
  eventsOf(resource: string): string[] {
    const seen = new Set<string>();
    return this.messages.flatMap((message) => {
      if (message.resource !== resource || seen.has(message.uniqueId)) return [];
      seen.add(message.uniqueId);
      return [String(message.body["event_type"])];
    });
  }
}

/** A Cinder whose outbox is the process's, which is started before it. */
async function openCinder(t: TestContext, transport: NotificationTransport, outboxMax?: number) {
  let process: Process | undefined;
  const fixture = await openFixture(t, {
    quotas: { volumes: -1, gigabytes: -1, snapshots: -1 },
    outbox: async (registry) => {
      process ??= makeProcess(registry, transport, outboxMax);
      await process.outbox.start();
      t.after(() => process!.outbox.stop());
      return process.outbox;
    },
  });
  return { ...fixture, process: process! };
}

test("whatever breaks on the way, all messages come, and each resource's in order", async (t) => {
  const random = seededRandom(7);
  const transport = new Collected();
  transport.fails = () => (random.below(3) === 0 ? random.below(4) : undefined);
  const { cinder, process } = await openCinder(t, transport);
  await process.publisher.start();
  t.after(() => process.publisher.stop());
  const ids = await Promise.all(
    Array.from({ length: 20 }, async (_, at) => {
      const { volume } = await cinder.volumes.create(member, { sizeGib: 1, name: `v${at}` });
      await cinder.volumes.update(member, volume.id, { name: `w${at}` });
      await cinder.volumes.delete(member, volume.id, { cascade: false, force: false });
      return volume.id;
    }),
  );
  await until(() => process.outbox.size === 0, "the outbox is not emptied");
  const expected = ["create", "update", "delete"].flatMap((verb) => [`volume.${verb}.start`, `volume.${verb}.end`]);
  for (const id of ids) assert.deepEqual(transport.eventsOf(`volume/${id}`), expected);
  for (const batch of transport.batches) {
    assert.equal(new Set(batch.map(({ resource }) => resource)).size, batch.length, "two of one resource in a batch");
  }
});

test("what cannot be read stays, is said, and holds nobody up", async (t) => {
  const transport = new Collected();
  const { cinder, process, registry } = await openCinder(t, transport);
  const key = `${outboxPrefix}from-the-future`;
  await registry.transact({ compares: [], success: [{ kind: "put", key, value: '{"v":2}' }] });
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  await process.publisher.start();
  t.after(() => process.publisher.stop());
  await until(() => process.outbox.size === 1, "what can be read is not sent");
  assert.deepEqual(transport.eventsOf(`volume/${volume.id}`), ["volume.create.start", "volume.create.end"]);
  assert.equal(process.unreadable, 1);
  assert.equal(process.troubles.filter((what) => what.includes(key)).length, 1);
  assert.notEqual(await registry.get(key), undefined);
  await registry.transact({ compares: [], success: [{ kind: "delete", key }] });
  await until(() => process.unreadable === 0, "it is still counted after an operator deleted it");
});

test("of two processes one publishes, and the other when that is gone", async (t) => {
  const transport = new Collected();
  const { cinder, process, registry } = await openCinder(t, transport);
  await process.publisher.start();
  await cinder.volumes.create(member, { sizeGib: 1 });
  await until(() => process.outbox.size === 0, "the first does not publish");
  const other = makeProcess(registry, transport);
  await start(t, other);
  await cinder.volumes.create(member, { sizeGib: 1 });
  await until(() => process.outbox.size === 0, "nobody publishes");
  assert.deepEqual([process.publisher.isPublishing, other.publisher.isPublishing], [true, false]);
  assert.equal(transport.messages.length, 4);
  await process.publisher.stop();
  await cinder.volumes.create(member, { sizeGib: 1 });
  await until(() => transport.messages.length === 6, "the other does not take over");
  assert.equal(other.publisher.isPublishing, true);
});

test("telling costs no transaction more, and being off costs nothing at all", async (t) => {
  const on = await openCinder(t, new Collected());
  const off = await openFixture(t);
  const created: number[] = [];
  for (const { cinder, registry } of [on, off]) {
    const before = await registry.revision();
    await cinder.volumes.create(member, { sizeGib: 1 });
    created.push((await registry.revision()) - before);
  }
  assert.deepEqual(created, [1, 1]);
  assert.equal((await off.registry.range({ prefix: "notification/" })).entries.length, 0);
  assert.equal((await on.registry.range({ prefix: outboxPrefix })).entries.length, 1);
});

test("a full outbox: the request goes on, nothing is written, and one alarm is raised", async (t) => {
  const transport = new Collected();
  const { cinder, process, registry } = await openCinder(t, transport, 2);
  for (let at = 0; at < 5; at++) {
    await cinder.volumes.create(member, { sizeGib: 1 });
    const written = (await registry.range({ prefix: outboxPrefix })).entries.length;
    await until(() => process.outbox.size === written, "the view does not catch up");
  }
  assert.equal(process.outbox.size, 2);
  assert.equal(process.alarms.length, 1);
  assert.match(process.alarms[0] ?? "", /^error .*full/);
  await process.publisher.start();
  t.after(() => process.publisher.stop());
  await until(() => process.outbox.size === 0, "the outbox is not emptied");
  assert.match(process.alarms[1] ?? "", /^warning .*3 notifications were dropped/);
});

test("the name of an export is in no message, and connectors are left out where they are long", async (t) => {
  const { cinder, registry } = await openCinder(t, new Collected());
  const { volume } = await cinder.volumes.create(member, { sizeGib: 1 });
  const connector = { host: "h", padding: "x".repeat(15_000) };
  const made = await cinder.attachments.create(member, { volumeId: volume.id, connector });
  await cinder.attachments.complete(member, made.id);
  const written = JSON.stringify((await registry.range({ prefix: outboxPrefix })).entries);
  assert.ok(made.connectionInfo !== null && !written.includes(made.connectionInfo.name), "the key to the disk is told");
  assert.ok(written.includes("xxxxxxxx"), "a connector is told");
  const ids: string[] = [];
  for (let at = 0; at < 10; at++) {
    const instanceId = "11111111-2222-4333-8444-555555555555";
    const type =
      at === 0 ? await cinder.volumeTypes.create(admin, { name: "multi", extraSpecs: { multiattach: "<is> True" } }) : undefined;
    if (type !== undefined) ids.push((await cinder.volumes.create(member, { sizeGib: 1, volumeType: type.id })).volume.id);
    const { id } = await cinder.attachments.create(member, {
      volumeId: ids[0]!,
      connector: { ...connector, host: `h${at}` },
      instanceId,
    });
    await cinder.attachments.complete(member, id);
  }
  const entries = (await registry.range({ prefix: outboxPrefix })).entries;
  const longest = Math.max(...entries.map(({ value }) => value.length));
  assert.ok(longest < 128 * 1024, `a record of ${longest}`);
  const last = [...entries].sort((a, b) => a.createRevision - b.createRevision).at(-1)!;
  assert.match(last.value, /"attached_host":"h9"/);
  assert.doesNotMatch(last.value, /xxxxxxxx/);
});
