// Andiron's notifications beside those of Debian's own Cinder: the same verbs at both, and every message that came over RabbitMQ
// compared field by field. What may differ is in notifications/allowed-differences.ts, each with its reason.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { loadApiDocument } from "../src/api/operations.ts";
import { RouteTable } from "../src/api/route-table.ts";
import { type RabbitMq, prepareRabbitMq } from "./cloud/rabbitmq.ts";
import { prepareReferenceCinder } from "./cloud/reference-cinder.ts";
import { makeAccounts } from "./differential/accounts.ts";
import { describe as describeDifference, sortDifferences } from "./differential/allowance.ts";
import { type Difference, compareValues } from "./differential/comparison.ts";
import { Driver, type Round } from "./differential/driver.ts";
import type { Area } from "./differential/scenario.ts";
import { andironConfig, andironUser, sharedConfig } from "./differential/service-config.ts";
import { missingCommand } from "./harness/command.ts";
import { prepareAndiron } from "./harness/service.ts";
import { prepareKeystone } from "./keystone/keystone.ts";
import { allowedDifferences } from "./notifications/allowed-differences.ts";
import { Inbox, type Received } from "./notifications/inbox.ts";
import { allVerbs } from "./notifications/verbs.ts";

const missing = await missingCommand(["keystone-manage", "cinder-api", "cinder-volume", "mariadbd", "rabbitmq-server"]);
const skip = missing !== undefined && `${missing} is not installed`;
const newestMinor = 70;

test("every notification is Cinder's, but for the differences that are allowed", { skip, timeout: 3_600_000 }, async (t) => {
  const keystone = await prepareKeystone();
  t.after(() => keystone.dispose());
  const reference = await prepareReferenceCinder(keystone, { config: sharedConfig, notifies: true, backends: ["fake1"] });
  t.after(() => reference.dispose());
  const broker = await prepareRabbitMq();
  t.after(() => broker.dispose());
  await keystone.grant(andironUser, "service", "service");
  const config = andironConfig(keystone.url);
  const andiron = await prepareAndiron({
    ...config,
    DEFAULT: { ...config["DEFAULT"], enabled_backends: "fake1" },
    oslo_messaging_notifications: { driver: "messagingv2", transport_url: broker.transportUrl },
  });
  t.after(() => andiron.dispose());
  await andiron.start(300_000);
  const { host, port } = andiron.endpoints.api;
  const document = await loadApiDocument(fileURLToPath(new URL("../openapi.yaml", import.meta.url)));
  const routes = new RouteTable(document.operations);

  const run = async (area: Area, url: string, messages: RabbitMq): Promise<Told> => {
    const inbox = await Inbox.open(messages.amqpUrl);
    const accounts = await makeAccounts(keystone, `told of ${area.name}`);
    const known: Record<string, string> = {};
    for (const name of ["member", "stranger", "admin"]) known[`${name}'s id`] = await keystone.find("user", name);
    const round: Round = { label: "newest", newestMinor, accounts, known };
    const driver = new Driver(url, routes, round);
    await driver.run(area);
    await inbox.quiet();
    await inbox.close();
    return inResources(inbox.received, driver);
  };
  const differences: Difference[] = [];
  let compared = 0;
  for (const area of allVerbs) {
    const theirs = await run(area, reference.cinder.url, reference.messages);
    const ours = await run(area, `http://${host}:${port}/v3`, broker);
    if (process.env["KEEP_STATE"] !== undefined) {
      const path = `/tmp/told-${area.name}.json`;
      await writeFile(path, JSON.stringify({ theirs: [...theirs], ours: [...ours] }, null, 1));
    }
    for (const [resource, messages] of theirs) {
      compared += messages.length;
      differences.push(...compareMessages(`${area.name}: ${resource}`, messages, ours.get(resource) ?? []));
    }
    for (const [resource, messages] of ours) {
      if (!theirs.has(resource)) differences.push(...compareMessages(`${area.name}: ${resource}`, [], messages));
    }
  }
  const { uses, unexplained } = sortDifferences(differences, allowedDifferences);
  t.diagnostic(`${compared} messages compared, ${differences.length} differences, ${unexplained.length} not allowed`);
  for (const difference of unexplained) t.diagnostic(`not allowed: ${describeDifference(difference)}`);
  assert.ok(compared > 60, "Cinder has told of what was done");
  assert.deepEqual(unexplained.map(describeDifference), []);
  const stale = allowedDifferences.filter((_, at) => uses[at] === 0).map(({ pattern }) => pattern.source);
  assert.deepEqual(stale, [], "allowed differences that are there no more");
});

/** Messages by what they are about, in the order in which they came, with names instead of ids and times. */
type Told = ReadonlyMap<string, readonly Readonly<Record<string, unknown>>[]>;

function inResources(received: readonly Received[], driver: Driver): Told {
  const told = new Map<string, Readonly<Record<string, unknown>>[]>();
  for (const { queue, properties, envelope, message } of received) {
    if (message.event_type.startsWith("capacity.")) continue;
    const payload = message.payload;
    const [kind] = message.event_type.split(".");
    const id = payload[`${kind}_id`] ?? payload["type_id"] ?? payload["volume_type_id"] ?? payload["id"] ?? "";
    const key = `${kind} ${String(driver.hide(id))}`;
    const list = told.get(key) ?? [];
    told.set(key, list);
    const { "oslo.message": _text, ...rest } = envelope;
    const shown = { queue, properties, envelope: rest, message: withForms(message) };
    list.push(driver.hide(shown) as Readonly<Record<string, unknown>>);
  }
  return told;
}

/** What is new with each message, by its form. */
function withForms(message: Received["message"]): Readonly<Record<string, unknown>> {
  const { _unique_id: uniqueId, timestamp } = message as unknown as Readonly<Record<string, string>>;
  return {
    ...message,
    _unique_id: uniqueId?.replace(/^[0-9a-f]{32}$/, "{hex}"),
    timestamp: timestamp?.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/, "{moment}"),
  };
}

function compareMessages(
  resource: string,
  theirs: readonly Readonly<Record<string, unknown>>[],
  ours: readonly Readonly<Record<string, unknown>>[],
): Difference[] {
  const eventsOf = (list: typeof theirs): string => list.map((shown) => String(Object(shown["message"]).event_type)).join(", ");
  const [reference, andiron] = [eventsOf(theirs), eventsOf(ours)];
  if (reference !== andiron) return [{ key: resource, operation: undefined, where: "events", reference, andiron }];
  return theirs.flatMap((shown, at) =>
    compareValues(`${resource}: ${String(Object(shown["message"]).event_type)}`, "told", shown, ours[at]),
  );
}
