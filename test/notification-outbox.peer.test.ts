// The outbox of notifications against Debian's RabbitMQ: a broker that goes away and comes back, a service that is killed
// between a change and the word of it, an outbox that is full. Nothing is lost within the bound, and each resource's messages
// come in order.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type RabbitMq, prepareRabbitMq } from "./cloud/rabbitmq.ts";
import { BlockStorage } from "./harness/block-storage.ts";
import { missingCommand } from "./harness/command.ts";
import { type AndironProcess, prepareAndiron } from "./harness/service.ts";
import { Gate } from "./notifications/gate.ts";
import { Inbox } from "./notifications/inbox.ts";

const missing = await missingCommand(["rabbitmq-server", "epmd"]);
const skip = missing !== undefined && `${missing} is not installed`;
const life = ["volume.create.start", "volume.create.end", "volume.update.start", "volume.update.end"];

interface Rig {
  readonly andiron: AndironProcess;
  readonly api: BlockStorage;
  readonly broker: RabbitMq;
  readonly gate: Gate;
}

async function openRig(t: TestContext, options: Readonly<Record<string, string | number>> = {}): Promise<Rig> {
  const broker = await prepareRabbitMq();
  t.after(() => broker.dispose());
  const gate = await Gate.open(broker.port);
  t.after(() => gate.close());
  const andiron = await prepareAndiron({
    oslo_messaging_notifications: {
      driver: "messagingv2",
      transport_url: broker.transportUrl.replace(`:${broker.port}/`, `:${gate.port}/`),
      ...options,
    },
    oslo_messaging_rabbit: { rabbit_interval_max: 1 },
  });
  t.after(() => andiron.dispose());
  await andiron.start(300_000);
  return { andiron, api: new BlockStorage(andiron), broker, gate };
}

async function openInbox(t: TestContext, broker: RabbitMq): Promise<Inbox> {
  const inbox = await Inbox.open(broker.amqpUrl);
  t.after(() => inbox.close());
  return inbox;
}

async function gauge({ andiron }: Rig, name: string): Promise<number> {
  const { host, port } = andiron.endpoints.api;
  const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(text)?.[1]);
}

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while (!(await isSo())) {
    assert.ok(performance.now() < deadlineMs, what);
    await sleep(50);
  }
}

/** A volume that is made and renamed: four messages. */
async function makeAndRename({ api }: Rig, name: string): Promise<string> {
  const id = await api.createVolume({ name });
  await api.call("PUT", `/volumes/${id}`, { volume: { name: `${name} renamed` } });
  return id;
}

const eventsOf = (inbox: Inbox, id: string): string[] =>
  inbox.distinct.filter(({ message }) => message.payload["volume_id"] === id).map(({ message }) => message.event_type);

describe("the outbox of notifications", { skip, timeout: 900_000 }, () => {
  test("a broker that is away for a while: nothing is lost, and each volume's messages come in order", async (t) => {
    const rig = await openRig(t);
    const first = await openInbox(t, rig.broker);
    const before = await makeAndRename(rig, "before");
    await first.waitUntil((inbox) => eventsOf(inbox, before).length === life.length);
    rig.gate.cut();
    const during: string[] = [];
    for (let at = 0; at < 12; at++) during.push(await makeAndRename(rig, `during ${at}`));
    assert.ok((await gauge(rig, "andiron_notifications_waiting")) >= 24);
    await until(async () => (await gauge(rig, "andiron_notifications_failures_total")) > 0, "no failure is counted");
    // Another broker, empty, at the same address.
    await rig.broker.stop();
    await rig.broker.start();
    const second = await openInbox(t, rig.broker);
    rig.gate.leadTo(rig.broker.port);
    await second.waitUntil((inbox) => during.every((id) => eventsOf(inbox, id).length === life.length));
    for (const id of during) assert.deepEqual(eventsOf(second, id), life);
    await until(async () => (await gauge(rig, "andiron_notifications_waiting")) === 0, "the outbox is not emptied");
    const { stdout } = await rig.andiron.manage("notifications", "list", "--json");
    assert.deepEqual(JSON.parse(stdout), []);
  });

  test("a connection that breaks again and again: messages may come twice, never out of order", async (t) => {
    const rig = await openRig(t);
    const inbox = await openInbox(t, rig.broker);
    const made: string[] = [];
    let isOver = false;
    const breaking = (async () => {
      while (!isOver) {
        await sleep(40);
        rig.gate.cut();
        await sleep(5);
        rig.gate.leadTo(rig.broker.port);
      }
    })();
    for (let at = 0; at < 25; at++) made.push(await makeAndRename(rig, `broken ${at}`));
    await sleep(2000);
    isOver = true;
    await breaking;
    await inbox.waitUntil(() => made.every((id) => eventsOf(inbox, id).length === life.length));
    for (const id of made) assert.deepEqual(eventsOf(inbox, id), life);
    t.diagnostic(`${inbox.received.length} messages came, ${inbox.distinct.length} of them once`);
  });

  test("killed between the change and the word of it: the word is sent after the restart", async (t) => {
    const rig = await openRig(t);
    rig.gate.cut();
    const id = await makeAndRename(rig, "killed");
    await rig.andiron.kill();
    const { stdout } = await rig.andiron.manage("notifications", "list", "--json");
    const waiting = JSON.parse(stdout) as { id: string; events: string }[];
    assert.deepEqual(
      waiting
        .map(({ events }) => events)
        .join(" ")
        .split(" "),
      life,
    );
    const shown = await rig.andiron.manage("notifications", "show", waiting[0]!.id);
    assert.equal((JSON.parse(shown.stdout) as { messages: unknown[] }).messages.length, 2);
    const inbox = await openInbox(t, rig.broker);
    rig.gate.leadTo(rig.broker.port);
    await rig.andiron.start(300_000);
    await inbox.waitUntil(() => eventsOf(inbox, id).length === life.length);
    assert.deepEqual(eventsOf(inbox, id), life);
  });

  test("at the bound the newest are not told, requests go on, and an alarm says so; below it all is well again", async (t) => {
    const rig = await openRig(t, { outbox_max: 5 });
    rig.gate.cut();
    const told: string[] = [];
    for (let at = 0; at < 5; at++) told.push(await rig.api.createVolume({ name: `told ${at}` }));
    await until(async () => (await gauge(rig, "andiron_notifications_waiting")) === 5, "five wait");
    const untold = await rig.api.createVolume({ name: "untold" });
    assert.ok((await gauge(rig, "andiron_notifications_dropped_total")) > 0);
    const log = (): Promise<string> => readFile(join(rig.andiron.folder, "andiron.log"), "utf8");
    assert.match(await log(), / ERROR andiron\.notifications .*outbox of notifications is full \(outbox_max = 5\)/);
    assert.doesNotMatch(await log(), /rabbits/, "the password is in the log");
    const inbox = await openInbox(t, rig.broker);
    rig.gate.leadTo(rig.broker.port);
    await inbox.waitUntil(() => told.every((id) => eventsOf(inbox, id).length === 2));
    await until(async () => (await gauge(rig, "andiron_notifications_waiting")) === 0, "the outbox is not emptied");
    await until(async () => / WARNING andiron\.notifications .*takes more again/.test(await log()), "the end is not said");
    const after = await makeAndRename(rig, "after");
    await inbox.waitUntil(() => eventsOf(inbox, after).length === life.length);
    assert.deepEqual(eventsOf(inbox, untold), []);
  });

  test("off, nothing is written; what waits from before stays, and an operator can delete it", async (t) => {
    const rig = await openRig(t);
    rig.gate.cut();
    await rig.api.createVolume({ name: "waits" });
    assert.match((await rig.andiron.manage("notifications", "list")).stdout, /volume\.create\.start volume\.create\.end/);
    const purged = await rig.andiron.manage("notifications", "purge");
    assert.equal(purged.code, 0, purged.stderr);
    assert.match(purged.stdout, /^1 /);
    assert.deepEqual(JSON.parse((await rig.andiron.manage("notifications", "list", "--json")).stdout), []);
    const silent = await prepareAndiron();
    t.after(() => silent.dispose());
    await silent.start(300_000);
    await new BlockStorage(silent).createVolume({ name: "silent" });
    const { stdout } = await silent.manage("registry", "dump", "notification/");
    assert.equal(stdout, "");
  });
});
