// Sends notifications as oslo.messaging's rabbit driver does: a topic exchange, and for each topic and priority a queue of that
// name, declared by who sends, so that nothing is lost while nobody listens.
//
// send() resolves when the broker has confirmed all of it. When it rejects some may have come through: to be sent again as they
// are. It does not wait or try again.

import type { ConfirmChannel } from "amqplib";
import { AndironError, errorCodeOf } from "../common/errors.ts";
import { Broker, type BrokerOptions } from "./broker.ts";
import { messagingLimits } from "./limits.ts";
import { encodeNotification, type EnvelopeVersion } from "./oslo-envelope.ts";

export interface Notification {
  /** The end of the topic: "info", "error". */
  readonly priority: string;
  readonly uniqueId: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface NotificationSenderOptions extends BrokerOptions {
  readonly exchange: string;
  readonly topics: readonly string[];
  readonly version: EnvelopeVersion;
  /** amqp_durable_queues, or rabbit_quorum_queue. */
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly quorum: boolean;
}

export class NotificationSender {
  readonly #options: NotificationSenderOptions;
  readonly #broker: Broker;
  /** Queues that were declared on a channel. */
  readonly #declared = new WeakMap<ConfirmChannel, Set<string>>();

  constructor(options: NotificationSenderOptions) {
    this.#options = options;
    this.#broker = new Broker(options);
  }

  /** Rejects with broker_unavailable. */
  async send(notifications: readonly Notification[]): Promise<void> {
    const { topics, version } = this.#options;
    const messages = notifications.flatMap(({ priority, uniqueId, body }) => {
      const content = encodeNotification(body, uniqueId, version);
      return topics.map((topic) => ({ queue: `${topic}.${priority}`, content }));
    });
    try {
      const channel = await this.#broker.channel();
      await within(messagingLimits.confirmMs, this.#publish(channel, messages));
    } catch (error) {
      await this.#broker.drop();
      if (["broker_unavailable", "shutting_down"].includes(errorCodeOf(error))) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new AndironError("broker_unavailable", `RabbitMQ has not taken notifications: ${reason}`, { cause: error });
    }
  }

  stop(): Promise<void> {
    return this.#broker.stop();
  }

  async #publish(
    channel: ConfirmChannel,
    messages: readonly { readonly queue: string; readonly content: Buffer }[],
  ): Promise<void> {
    for (const { queue } of messages) await this.#declare(channel, queue);
    const confirmed = messages.map(({ queue, content }) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const properties = { contentType: "application/json", contentEncoding: "utf-8", deliveryMode: 2, priority: 0 };
      channel.publish(this.#options.exchange, queue, content, properties, (error: unknown) =>
        error == null ? resolve() : reject(error instanceof Error ? error : new Error("not taken")),
      );
      return promise;
    });
    await Promise.all(confirmed);
  }

  async #declare(channel: ConfirmChannel, queue: string): Promise<void> {
    const declared = this.#declared.get(channel) ?? new Set<string>();
    this.#declared.set(channel, declared);
    if (declared.has(queue)) return;
    const { exchange, autoDelete, quorum } = this.#options;
    const durable = this.#options.durable || quorum;
    await channel.assertExchange(exchange, "topic", { durable, autoDelete });
    const queueArguments = quorum ? { "x-queue-type": "quorum" } : {};
    await channel.assertQueue(queue, { durable, autoDelete, exclusive: false, arguments: queueArguments });
    await channel.bindQueue(queue, exchange, queue);
    declared.add(queue);
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`nothing confirmed in ${ms} ms`)), ms);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
