// Tests the sender against Debian's RabbitMQ, with and without TLS, and oslo.messaging's own listener as the one who reads.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { type RabbitMq, prepareRabbitMq } from "../../test/cloud/rabbitmq.ts";
import { type Certificates, makeCertificates } from "../../test/harness/certificates.ts";
import { missingCommand } from "../../test/harness/command.ts";
import { Inbox } from "../../test/notifications/inbox.ts";
import { AndironError } from "../common/errors.ts";
import type { BrokerTls } from "./broker.ts";
import { NotificationSender, type NotificationSenderOptions } from "./notification-sender.ts";
import { parseTransportUrl } from "./transport-url.ts";

const missing = await missingCommand(["rabbitmq-server", "epmd", "openssl", "keystone-manage"]);
const skip = missing !== undefined && `${missing} is not installed`;
const notification = (name: string, priority = "info") => ({
  priority,
  uniqueId: "0123456789abcdef0123456789abcdef",
  body: {
    message_id: `id of ${name}`,
    publisher_id: "volume.host",
    event_type: `volume.${name}`,
    priority: priority.toUpperCase(),
    payload: { size: 1 },
    timestamp: "2026-01-01 00:00:00.000000",
    _context_project_id: "demo",
  },
});

/** Prints each notification as JSON; "ready" when it listens. */
const listener = `
import json, sys
import oslo_messaging
from oslo_config import cfg
class Endpoint(object):
    def info(self, context, publisher_id, event_type, payload, metadata):
        print(json.dumps([context, publisher_id, event_type, payload, metadata]), flush=True)
conf = cfg.ConfigOpts()
conf([])
transport = oslo_messaging.get_notification_transport(conf, url=sys.argv[1])
target = oslo_messaging.Target(topic="notifications")
server = oslo_messaging.get_notification_listener(transport, [target], [Endpoint()], executor="threading")
server.start()
print("ready", flush=True)
server.wait()
`;

const unavailable = (words: RegExp) => (error: unknown) =>
  error instanceof AndironError &&
  error.code === "broker_unavailable" &&
  words.test(error.message) &&
  !error.message.includes("rabbits");

describe("the sender of notifications", { skip, timeout: 900_000 }, () => {
  let folder: string;
  let certificates: Certificates;
  let broker: RabbitMq;
  const senders: NotificationSender[] = [];

  const open = (url: string, options: Partial<NotificationSenderOptions> = {}): NotificationSender => {
    const sender = new NotificationSender({
      url: parseTransportUrl(url, "transport_url"),
      tls: undefined,
      heartbeatS: 60,
      shuffle: false,
      below: () => 0,
      onConnected: () => undefined,
      exchange: "openstack",
      topics: ["notifications"],
      version: "2.0",
      durable: false,
      autoDelete: false,
      quorum: false,
      ...options,
    });
    senders.push(sender);
    return sender;
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-sender-"));
    certificates = await makeCertificates(folder);
    broker = await prepareRabbitMq({ tls: certificates });
  });
  after(async () => {
    for (const sender of senders) await sender.stop();
    await broker?.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  test("what is sent before anybody listens waits in the queue, which is as oslo.messaging declares it", async () => {
    await open(broker.transportUrl).send([notification("early"), notification("failed", "error")]);
    const inbox = await Inbox.open(broker.amqpUrl);
    await inbox.waitUntil(({ received }) => received.length === 2);
    await inbox.close();
    const found = inbox.received.map(({ queue, message }) => `${queue} ${message.event_type}`).sort();
    assert.deepEqual(found, ["notifications.error volume.failed", "notifications.info volume.early"]);
    const [{ envelope, message, properties } = assert.fail()] = inbox.received;
    assert.equal(envelope["oslo.version"], "2.0");
    assert.equal(message["_unique_id"], notification("x").uniqueId);
    assert.deepEqual([properties["contentType"], properties["deliveryMode"]], ["application/json", 2]);
  });

  test("oslo.messaging's listener understands it", async (t) => {
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "/usr/bin/python3", "-c", listener, broker.transportUrl], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    t.after(() => void child.kill("SIGKILL"));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, "ready");
    await open(broker.transportUrl).send([notification("understood")]);
    const [context, publisher, event, payload, metadata] = JSON.parse(String((await lines.next()).value)) as unknown[];
    assert.deepEqual(context, { project_id: "demo", client_timeout: null });
    assert.deepEqual([publisher, event, payload], ["volume.host", "volume.understood", { size: 1 }]);
    assert.deepEqual(metadata, { message_id: "id of understood", timestamp: "2026-01-01 00:00:00.000000" });
  });

  test("over TLS the broker has to prove itself", async () => {
    const url = broker.transportUrl.replace(`:${broker.port}/`, `:${broker.tlsPort}/`);
    const tls = (ca: string | undefined, verifiesHost = true): { tls: BrokerTls } => ({
      tls: { ca, cert: undefined, key: undefined, verifiesHost },
    });
    const authority = await readFile(certificates.authorityFile, "utf8");
    await open(url, tls(authority)).send([notification("sealed")]);
    await assert.rejects(open(url, tls(undefined)).send([notification("unsealed")]), unavailable(/certificate/));
    const elsewhere = url.replace("127.0.0.1", "ip6-localhost.invalid");
    await assert.rejects(open(elsewhere, tls(authority)).send([notification("lost")]), unavailable(/ip6-localhost\.invalid/));
    await assert.rejects(open(url).send([notification("plain")]), unavailable(/127\.0\.0\.1/));
  });

  test("the host that answers is taken, wherever it stands in the URL", async () => {
    const silent = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const connected: string[] = [];
    const url = broker.transportUrl.replace("@127.0.0.1", `@127.0.0.1:${port},test:rabbits@127.0.0.1`);
    const sender = open(url, { onConnected: (host) => void connected.push(host) });
    await sender.send([notification("second")]);
    await sender.send([notification("again")]);
    assert.deepEqual(connected, [`127.0.0.1:${broker.port}`]);
    silent.close();
  });

  test("a wrong password and a queue that is declared otherwise are said, and no secret with them", async () => {
    const wrong = broker.transportUrl.replace(":rabbits@", ":rabbits2@");
    await assert.rejects(open(wrong).send([notification("refused")]), unavailable(/ACCESS[_-]REFUSED|403/i));
    await open(broker.transportUrl).send([notification("plain")]);
    const durable = open(broker.transportUrl, { durable: true });
    await assert.rejects(durable.send([notification("durable")]), unavailable(/PRECONDITION[_-]FAILED/));
    await durable.stop();
    await assert.rejects(durable.send([]), (error) => error instanceof AndironError && error.code === "shutting_down");
  });

  test("without an envelope for consumers of long ago; to several topics; into quorum queues", async () => {
    const options = { version: "1.0", topics: ["old", "older"], exchange: "old" } as const;
    await open(broker.transportUrl, { ...options, quorum: true }).send([notification("bare")]);
    const taken: Record<string, unknown>[] = [];
    const { connect } = await import("amqplib");
    const model = await connect(broker.amqpUrl);
    const channel = await model.createChannel();
    for (const queue of ["old.info", "older.info"]) {
      await channel.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum" } });
      const message = await channel.get(queue, { noAck: true });
      if (message !== false) taken.push(JSON.parse(message.content.toString()) as Record<string, unknown>);
    }
    await model.close();
    const { body, uniqueId } = notification("bare");
    assert.deepEqual(taken, [
      { ...body, _unique_id: uniqueId },
      { ...body, _unique_id: uniqueId },
    ]);
  });
});
