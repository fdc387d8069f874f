// The part of a process that tells other services of the cloud what happens: the outbox's view, and the publisher over RabbitMQ.
// With driver = noop there is nothing of it.

import { readFile } from "node:fs/promises";
import { type Outbox, noOutbox } from "../cinder/notifications/notices.ts";
import { OutboxView } from "../cinder/notifications/outbox-view.ts";
import { NotificationPublisher } from "../cinder/notifications/publisher.ts";
import { systemClock } from "../common/clock.ts";
import type { Config } from "../common/config.ts";
import { AndironError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import type { Metrics } from "../common/metrics.ts";
import { systemRandom } from "../common/random.ts";
import type { Service } from "../common/service.ts";
import type { BrokerTls } from "../messaging/broker.ts";
import type { NotificationSender } from "../messaging/notification-sender.ts";
import { parseTransportUrl } from "../messaging/transport-url.ts";
import type { Registry } from "../registry/registry.ts";

export interface NotificationPartOptions {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly registry: Registry;
}

export interface NotificationPart {
  readonly outbox: Outbox;
  /** To be started before the API. */
  readonly services: readonly Service[];
}

export async function makeNotificationPart(options: NotificationPartOptions): Promise<NotificationPart> {
  const { config, metrics, registry } = options;
  const { driver, outbox_max } = config.oslo_messaging_notifications;
  if (driver === "noop") return { outbox: noOutbox, services: [] };
  const log = options.log.part("notifications");
  const onTrouble = (what: string, error: unknown): void => log.warning(what, { error });
  const dropped = metrics.counter("andiron_notifications_dropped_total");
  const sent = metrics.counter("andiron_notifications_sent_total");
  const failures = metrics.counter("andiron_notifications_failures_total");
  const unreadable = metrics.gauge("andiron_notifications_unreadable");
  unreadable.set({}, 0);
  for (const counter of [dropped, failures]) counter.add({}, 0);
  const outbox = new OutboxView({
    registry,
    clock: systemClock,
    outboxMax: outbox_max,
    observer: { dropped: () => dropped.add({}), alarm: (level, text) => log[level](text) },
    onTrouble,
  });
  metrics.gaugeFrom("andiron_notifications_waiting", {}, () => outbox.size);
  metrics.gaugeFrom("andiron_notifications_oldest_seconds", {}, () => outbox.oldestMs / 1000);
  const { rabbit_retry_interval, rabbit_retry_backoff, rabbit_interval_max } = config.oslo_messaging_rabbit;
  const publisher = new NotificationPublisher({
    registry,
    clock: systemClock,
    random: systemRandom,
    host: config.DEFAULT.host,
    outbox,
    transport: await makeSender(config, (host) => log.info(`notifications go to RabbitMQ at ${host}`)),
    observer: {
      sent: (priority) => sent.add({ priority }),
      failed: () => failures.add({}),
      unreadable: (count) => unreadable.set({}, count),
    },
    onTrouble,
    pauses: {
      firstMs: rabbit_retry_interval * 1000,
      stepMs: rabbit_retry_backoff * 1000,
      maxMs: rabbit_interval_max * 1000,
    },
  });
  return { outbox, services: [outbox, publisher] };
}

async function makeSender(config: Config, onConnected: (host: string) => void): Promise<NotificationSender> {
  const { DEFAULT, oslo_messaging_notifications, oslo_messaging_rabbit } = config;
  const { driver, topics, transport_url } = oslo_messaging_notifications;
  const isOwn = transport_url !== "";
  const url = parseTransportUrl(
    isOwn ? transport_url : DEFAULT.transport_url,
    isOwn ? "[oslo_messaging_notifications] transport_url" : "[DEFAULT] transport_url",
  );
  const { ssl, amqp_durable_queues, amqp_auto_delete, rabbit_quorum_queue, heartbeat_timeout_threshold } = oslo_messaging_rabbit;
  const { NotificationSender } = await import("../messaging/notification-sender.ts"); // with all of amqplib
  return new NotificationSender({
    url,
    tls: (url.ssl ?? ssl) ? await readTls(oslo_messaging_rabbit) : undefined,
    heartbeatS: heartbeat_timeout_threshold,
    shuffle: oslo_messaging_rabbit.kombu_failover_strategy === "shuffle",
    below: (bound) => systemRandom.below(bound),
    onConnected,
    exchange: DEFAULT.control_exchange,
    topics,
    version: driver === "messaging" ? "1.0" : "2.0",
    durable: amqp_durable_queues,
    autoDelete: amqp_auto_delete,
    quorum: rabbit_quorum_queue,
  });
}

async function readTls(options: Config["oslo_messaging_rabbit"]): Promise<BrokerTls> {
  const read = async (name: "ssl_ca_file" | "ssl_cert_file" | "ssl_key_file"): Promise<string | undefined> => {
    const path = options[name];
    if (path === "") return undefined;
    try {
      return await readFile(path, "utf8");
    } catch (cause) {
      throw new AndironError("config_invalid", `[oslo_messaging_rabbit] ${name} = ${path} cannot be read`, { cause });
    }
  };
  return {
    ca: await read("ssl_ca_file"),
    cert: await read("ssl_cert_file"),
    key: await read("ssl_key_file"),
    verifiesHost: options.ssl_enforce_hostname_verification,
  };
}
