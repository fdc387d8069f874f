// Tests the tests' RabbitMQ: that it is private, and gone when it is disposed of.

import assert from "node:assert/strict";
import { test } from "node:test";
import { missingCommand } from "../harness/command.ts";
import { answersAmqp, prepareRabbitMq } from "./rabbitmq.ts";

const missing = await missingCommand(["rabbitmq-server", "epmd"]);

test(
  "two brokers run beside each other, and end by themselves",
  { skip: missing !== undefined && `${missing} is not installed`, timeout: 600_000 },
  async () => {
    const brokers = await Promise.all([prepareRabbitMq(), prepareRabbitMq()]);
    const [first, second] = brokers;
    try {
      assert.notEqual(first.transportUrl, second.transportUrl);
      await first.dispose();
      assert.deepEqual([await answersAmqp(first.port), await answersAmqp(second.port)], [false, true]);
    } finally {
      for (const broker of brokers) await broker.dispose();
    }
  },
);
