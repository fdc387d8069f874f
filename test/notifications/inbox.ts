// Takes notifications from a broker as a consumer does: it declares exchange and queues as oslo.messaging would, and keeps
// every message as it came.

import { connect, type ChannelModel } from "amqplib";
import { setTimeout as sleep } from "node:timers/promises";

export interface Received {
  readonly queue: string;
  /** Of AMQP. */
  readonly properties: Readonly<Record<string, unknown>>;
  readonly envelope: Readonly<Record<string, unknown>>;
  /** What is in the envelope. */
  readonly message: Readonly<Record<string, unknown>> & {
    readonly message_id: string;
    readonly event_type: string;
    readonly publisher_id: string;
    readonly priority: string;
    readonly payload: Readonly<Record<string, unknown>>;
  };
}

const exchange = "openstack";

export class Inbox {
  readonly received: Received[] = [];
  readonly #model: ChannelModel;

  private constructor(model: ChannelModel) {
    this.#model = model;
  }

  static async open(amqpUrl: string): Promise<Inbox> {
    const model = await connect(amqpUrl);
    model.on("error", () => undefined);
    const inbox = new Inbox(model);
    const channel = await model.createChannel();
    channel.on("error", () => undefined);
    await channel.assertExchange(exchange, "topic", { durable: false, autoDelete: false });
    for (const queue of ["notifications.info", "notifications.error"]) {
      await channel.assertQueue(queue, { durable: false, autoDelete: false, exclusive: false });
      await channel.bindQueue(queue, exchange, queue);
      await channel.consume(queue, (delivery) => {
        if (delivery === null) return;
        const envelope = JSON.parse(delivery.content.toString()) as Record<string, unknown>;
        const message = JSON.parse(String(envelope["oslo.message"])) as Received["message"];
        inbox.received.push({ queue, properties: { ...delivery.properties }, envelope, message });
        channel.ack(delivery);
      });
    }
    return inbox;
  }

  /** Events in the order in which they came, each message once. */
  get events(): readonly string[] {
    return this.distinct.map(({ message }) => message.event_type);
  }

  get distinct(): readonly Received[] {
    const seen = new Set<string>();
    return this.received.filter(({ message }) => {
      const isNew = !seen.has(message.message_id);
      seen.add(message.message_id);
      return isNew;
    });
  }

  /** Resolves when `isThere` holds of what came. */
  async waitUntil(isThere: (inbox: Inbox) => boolean, timeoutMs = 60_000): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while (!isThere(this)) {
      if (performance.now() > deadlineMs) throw new Error(`what came in time: ${JSON.stringify(this.events)}`);
      await sleep(20);
    }
  }

  /** Resolves when nothing has come for a while. */
  async quiet(ms = 3000): Promise<void> {
    for (let seen = -1; seen !== this.received.length;) {
      seen = this.received.length;
      await sleep(ms);
    }
  }

  async close(): Promise<void> {
    await this.#model.close().catch(() => undefined);
  }
}
