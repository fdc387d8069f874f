// The client of Swift and S3 against a server that fails: connections that break, bodies that are slow, short or wrong, answers
// that ask for patience, answers that are lost. Over S3, as far as Swift is the same; swift-auth.test.ts has the rest.

import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { inspect } from "node:util";
import { systemClock } from "../common/clock.ts";
import { seededRandom, systemRandom } from "../common/random.ts";
import { testContract, withCode } from "./contract.ts";
import { type Fault, FaultyS3, refuse } from "./faulty-s3.fixture.ts";
import { type HttpTiming, retryAfterMs } from "./http-exchange.ts";
import { type ObjectStore, objectLimits } from "./object-store.ts";
import { openS3Store } from "./s3-store.ts";
import { checkModel } from "./store-model.ts";

const bytes = seededRandom(9).bytes(300_000);
const secretKey = "a-v3ry-s3cret-key";

function openStore(server: FaultyS3, timing: Partial<HttpTiming> = {}): Promise<ObjectStore> {
  const credentials = { accessKey: "key", secretKey, region: "us-east-1" };
  const where = { endpoint: server.endpoint, credentials, bucket: "bucket", create: false };
  const options = { ...where, conditionalPut: "server", caFile: "", insecure: false } as const;
  return openS3Store(options, { clock: systemClock, random: systemRandom, ...timing });
}

/** Ends the connection after the headers and `count` bytes of what would be an answer. */
function cutAfter(count: number): Fault {
  return (_request, response) => {
    response.writeHead(200, { "content-length": bytes.length });
    response.write(bytes.subarray(0, count), () => response.destroy());
  };
}
const answer = (status: number, code: string, headers: Record<string, string> = {}): Fault => {
  return (request, response) => void request.resume().on("end", () => refuse(response, status, code, headers));
};
const reset: Fault = (request) => void request.socket.resetAndDestroy();
const resetInBody: Fault = (request) => void request.once("data", () => request.socket.resetAndDestroy());
/** Does the work, and loses the answer. */
const loseAnswer: Fault = async (request, response, serve) => {
  response.end = (() => request.socket.resetAndDestroy()) as unknown as ServerResponse["end"];
  await serve();
};
const answerBytes = (body: Buffer, headers: Record<string, string> = {}, status = 200): Fault => {
  return (_request, response) => void response.writeHead(status, { "content-length": body.length, ...headers }).end(body);
};

describe("a store over HTTP, and a server that does its work", () => {
  const server = new FaultyS3();
  before(() => server.start());
  after(() => server.stop());
  testContract("S3 with conditional puts", () => openStore(server));
  test("random programs do what they do to a Map", async () => {
    await checkModel(60, () => {
      server.objects.clear();
      return openStore(server);
    });
  });
});

describe("a store over HTTP, and a server that fails", () => {
  let server: FaultyS3;
  let store: ObjectStore;
  const waits: number[] = [];
  let passedMs = 0;
  /** A clock on which waiting takes no time; attempts have the machine's. */
  const clock = {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() + passedMs,
    sleep: (delayMs: number) => {
      waits.push(delayMs);
      passedMs += delayMs;
      return Promise.resolve();
    },
  };

  beforeEach(async () => {
    server = new FaultyS3();
    await server.start();
    waits.splice(0);
    store = await openStore(server, { clock, random: seededRandom(1) });
    await store.put("present", bytes);
    server.asked.splice(0);
  });
  afterEach(async () => {
    await store.close();
    server.stop();
  });

  test("what passes is tried again: broken connections, cut bodies, and statuses that say so", async () => {
    server.faults.push(reset, cutAfter(0), cutAfter(100_000), answer(503, "SlowDown"), answer(500, "InternalError"));
    assert.ok((await store.get("present")).equals(bytes));
    assert.equal(server.asked.length, 6);
    server.faults.push(reset, resetInBody, answer(400, "RequestTimeout"), answer(400, "BadDigest"), answer(429, "TooMany"));
    await store.put("new", bytes);
    assert.ok((await store.get("new")).equals(bytes));
    server.faults.push(reset, answer(502, ""), answer(504, ""));
    await store.delete("new");
    server.faults.push(reset, answer(503, ""));
    assert.equal(await store.head("new"), undefined);
  });

  test("six attempts are made, with waits that grow and are random, and then the reason is told", async () => {
    server.faults.push(...Array.from({ length: 7 }, () => answer(503, "SlowDown")));
    await assert.rejects(store.get("present"), withCode("backend_unavailable"));
    assert.equal(server.asked.length, 6);
    assert.equal(waits.length, 5);
    for (const [index, waitMs] of waits.entries()) assert.ok(waitMs <= 100 * 2 ** index, `${waitMs} ms before ${index + 2}`);
    assert.ok(new Set(waits).size > 2);
    server.faults.splice(0);
    server.faults.push(...Array.from({ length: 6 }, () => cutAfter(5)));
    await assert.rejects(store.get("present"), withCode("backend_unavailable"));
  });

  test("Retry-After is kept to, in seconds and as a date", async () => {
    const date = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000).toUTCString();
    server.faults.push(answer(503, "SlowDown", { "retry-after": "7" }), answer(429, "SlowDown", { "retry-after": date }));
    assert.ok((await store.get("present")).equals(bytes));
    assert.ok(waits[0]! >= 7000 && waits[0]! < 8000, String(waits[0]));
    assert.ok(waits[1]! > 30_000 && waits[1]! <= 61_000, String(waits[1]));
    assert.deepEqual([retryAfterMs("soon", 0), retryAfterMs(undefined, 0), retryAfterMs("-5", 0)], [0, 0, 0]);
  });

  test("a Retry-After that leaves no time ends the call at once", async () => {
    server.faults.push(answer(503, "SlowDown", { "retry-after": "300" }));
    await assert.rejects(store.get("present"), withCode("backend_unavailable"));
    assert.deepEqual([server.asked.length, waits], [1, []]);
  });

  test("an attempt that takes too long is ended and tried again, then told as a time-out", async () => {
    const hurried = await openStore(server, { clock, random: seededRandom(1), attemptMs: 250, perMebibyteMs: 1, attemptsMax: 2 });
    const hang: Fault = () => undefined;
    const trickle: Fault = (_request, response) => {
      response.writeHead(200, { "content-length": bytes.length });
      const timer = setInterval(() => response.write(bytes.subarray(0, 1)), 20);
      response.on("close", () => clearInterval(timer));
    };
    for (const slow of [hang, trickle]) {
      server.faults.push(slow, slow);
      await assert.rejects(hurried.get("present"), withCode("backend_timeout"));
    }
    server.faults.push(hang, hang);
    await assert.rejects(hurried.put("slow", bytes), withCode("backend_timeout"));
    await hurried.close();
  });

  test("wrong bytes are fetched again, and never given", async () => {
    const wrong = Buffer.from(bytes);
    wrong[1234] = wrong[1234]! ^ 1;
    const { headers } = server.objects.get("present")!;
    server.faults.push(answerBytes(wrong, headers));
    assert.ok((await store.get("present")).equals(bytes));
    for (const body of [wrong, bytes.subarray(1), Buffer.concat([bytes, bytes])]) {
      server.faults.push(answerBytes(body, headers), answerBytes(body, headers));
      await assert.rejects(store.get("present"), withCode("object_damaged"));
    }
    server.faults.push(answerBytes(bytes), answerBytes(bytes, { "x-amz-meta-andiron-sha256": "none" }));
    await assert.rejects(store.get("present"), withCode("object_damaged"));
  });

  test("a range that is not the one asked for is never given", async () => {
    const part = bytes.subarray(10, 20);
    const others = [
      "bytes 11-20/300000",
      "bytes 11-19/300000",
      "bytes 10-18/300000",
      "bytes 10-30/300000",
      "bytes */300000",
      "nonsense",
    ];
    for (const range of others) {
      const fault = answerBytes(part, { "content-range": range }, 206);
      server.faults.push(fault, fault);
      await assert.rejects(store.get("present", { offset: 10, length: 10 }), withCode("object_damaged"), range);
    }
    const short = answerBytes(part.subarray(1), { "content-range": "bytes 10-19/300000" }, 206);
    server.faults.push(short, short);
    await assert.rejects(store.get("present", { offset: 10, length: 10 }), withCode("object_damaged"));
    server.faults.push(answerBytes(bytes));
    await assert.rejects(store.get("present", { offset: 10, length: 10 }), withCode("store_refused"));
  });

  test("a creation whose answer was lost is known as our own, another's is not", async () => {
    server.faults.push(loseAnswer);
    await store.put("created", bytes, { ifAbsent: true });
    assert.deepEqual(server.asked, ["PUT /bucket/created", "PUT /bucket/created", "HEAD /bucket/created"]);
    server.faults.push(reset, loseAnswer);
    await assert.rejects(store.put("created", bytes, { ifAbsent: true }), withCode("object_exists"));
  });

  test("what no repeating changes is told at once, with the service's word and no secret", async () => {
    const refusals = [
      [403, "SignatureDoesNotMatch", "store_refused"],
      [401, "Unauthorized", "store_refused"],
      [301, "PermanentRedirect", "store_refused"],
      [404, "NoSuchBucket", "store_refused"],
      [501, "NotImplemented", "store_refused"],
      [507, "InsufficientStorage", "backend_full"],
      [413, "EntityTooLarge", "backend_full"],
    ] as const;
    for (const [status, word, code] of refusals) {
      server.asked.splice(0);
      server.faults.push(answer(status, word, { location: `${server.endpoint}/elsewhere/present` }));
      await assert.rejects(store.put("refused", bytes), (error: unknown) => {
        const shown = inspect(error, { depth: 20, showHidden: true });
        assert.ok(shown.includes(`${status} (${word})`), shown);
        assert.ok(!/Signature=|s3cret/.test(shown));
        return withCode(code)(error);
      });
      assert.equal(server.asked.length, 1);
    }
    server.faults.push(answer(403, "<script>"));
    await assert.rejects(store.put("refused", bytes), (error: unknown) => !String(error).includes("script"));
  });

  test("an answer that is too long is not read", async () => {
    const headers = { "content-length": String(objectLimits.objectBytesMax + 1) };
    server.faults.push((_request, response) => void response.writeHead(200, headers).write("x"));
    await assert.rejects(store.get("present"), withCode("limit_exceeded"));
    server.faults.push((_request, response) => void response.writeHead(500, { "content-length": String(2 ** 31) }).write("x"));
    await assert.rejects(store.get("present"), withCode("limit_exceeded"));
    assert.ok((await store.get("present")).equals(bytes));
  });
});
