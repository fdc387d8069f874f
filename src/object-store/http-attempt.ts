// One HTTP request to an object store and its whole answer, or an error: bounded in time and size, never repeated, no redirect
// followed. A body that ends before its Content-Length is an error. Headers hold tokens: nothing of a request is kept or logged.

import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import { HttpAgent, type HttpTrust } from "../common/http-agent.ts";
import { objectLimits } from "./object-store.ts";

export interface HttpClientOptions extends HttpTrust {
  readonly clock: Clock;
  /** In messages: "Swift". */
  readonly service: string;
  /** Connections at a time. */
  readonly connectionsMax: number;
}

export interface HttpAttempt {
  readonly method: "GET" | "PUT" | "HEAD" | "DELETE";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer | undefined;
  /** From the call to the last byte of the answer. */
  readonly limitMs: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const connectTimeoutMs = 10_000;
const headerBytesMax = 16 * 1024;
const textBytesMax = 8 * 1024 * 1024;

export class HttpClient {
  readonly service: string;
  readonly #clock: Clock;
  readonly #agent: HttpAgent;

  /** Throws config_invalid when the file of authorities cannot be read. */
  constructor(options: HttpClientOptions) {
    const { clock, service, connectionsMax } = options;
    this.service = service;
    this.#clock = clock;
    // The time of an attempt is ours alone: undici's time-outs of headers and body don't know how long a body may take.
    this.#agent = new HttpAgent(options, "cafile", {
      connections: connectionsMax,
      connectTimeout: connectTimeoutMs,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: headerBytesMax,
    });
  }

  /** Any answer. Throws backend_timeout beyond the limit, backend_unavailable when there is no whole answer. */
  async send(attempt: HttpAttempt): Promise<HttpAnswer> {
    const { url, limitMs } = attempt;
    const controller = new AbortController();
    const timer = this.#clock.after(limitMs, () => controller.abort());
    try {
      return await this.#send(attempt, controller.signal);
    } catch (cause) {
      if (cause instanceof AndironError) throw cause;
      const host = hostOf(url);
      if (controller.signal.aborted)
        throw new AndironError("backend_timeout", `${this.service} at ${host} took longer than ${Math.ceil(limitMs)} ms`);
      throw new AndironError("backend_unavailable", `no answer of ${this.service} at ${host}`, { cause });
    } finally {
      timer.cancel();
    }
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  async #send({ method, url, headers, body }: HttpAttempt, signal: AbortSignal): Promise<HttpAnswer> {
    const reply = await this.#agent.request(url, { method, headers, body: body ?? null, signal });
    const isObject = method === "GET" && reply.statusCode < 300;
    const bytesMax = isObject ? objectLimits.objectBytesMax : textBytesMax;
    const answered = plainHeaders(reply.headers);
    const declared = method === "HEAD" ? 0 : Number(answered["content-length"] ?? 0);
    if (declared > bytesMax) {
      reply.body.destroy();
      throw new AndironError("limit_exceeded", `an answer of ${this.service} has ${declared} bytes; at most ${bytesMax}`);
    }
    return { status: reply.statusCode, headers: answered, body: await readBody(reply.body, declared, bytesMax) };
  }
}

/** All of `body`; into one buffer from the start when its length was declared. */
async function readBody(body: AsyncIterable<Buffer>, declared: number, bytesMax: number): Promise<Buffer> {
  let target = Buffer.allocUnsafeSlow(declared);
  let filled = 0;
  for await (const piece of body) {
    if (filled + piece.length > bytesMax) throw new Error(`the answer is longer than ${bytesMax} bytes`);
    if (filled + piece.length > target.length) target = grown(target, filled, filled + piece.length);
    filled += piece.copy(target, filled);
  }
  if (filled < declared) throw new Error(`the answer ends after ${filled} of ${declared} bytes`);
  return target.subarray(0, filled);
}

function grown(target: Buffer, filled: number, neededBytes: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafeSlow(Math.max(neededBytes, target.length * 2, 64 * 1024));
  target.copy(larger, 0, 0, filled);
  return larger;
}

function plainHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : (value ?? "")]);
  return Object.fromEntries(entries) as Record<string, string>;
}

export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "?";
}
