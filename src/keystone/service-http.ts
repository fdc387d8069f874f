// Requests to another OpenStack service: JSON in and out, bounded in time and size, and tried again while the service cannot be
// reached. For requests only that may be repeated without harm.
//
//   send ── connection fails, 502, 503, 504 ──► wait (0.1 s, doubled each time) ──► send again, `retriesMax` times
//     └──── any other answer ──► the caller's
//
// Tokens go into headers; nothing of a request is logged or kept here.

import type { Clock } from "../common/clock.ts";
import { AndironError, type ErrorCode } from "../common/errors.ts";
import { HttpAgent, type HttpTrust } from "../common/http-agent.ts";

export interface ServiceHttpOptions extends HttpTrust {
  /** For connecting, and again for the answer. */
  readonly timeoutMs: number;
  readonly retriesMax: number;
  readonly clock: Clock;
  /** The service's name in messages: "Keystone". */
  readonly service: string;
  /** What is thrown when it cannot be reached. */
  readonly failure: ErrorCode;
}

export interface ServiceRequest {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
}

export interface ServiceReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** undefined when it is no JSON. */
  readonly body: unknown;
  readonly bytes: Buffer;
}

const connectionsMax = 32;
const replyBytesMax = 4 * 1024 * 1024;
const firstDelayMs = 100;
const awayStatuses = new Set([502, 503, 504]);

export class ServiceHttp {
  readonly #options: ServiceHttpOptions;
  readonly #agent: HttpAgent;

  /** Throws config_invalid when the file of authorities cannot be read. */
  constructor(options: ServiceHttpOptions) {
    const { timeoutMs } = options;
    this.#options = options;
    this.#agent = new HttpAgent(options, "cafile", {
      connections: connectionsMax,
      connectTimeout: timeoutMs,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
  }

  /** Any answer but 502, 503 and 504. Throws the failure code of the options when there is none. */
  async send(asked: ServiceRequest): Promise<ServiceReply> {
    const { service, failure, retriesMax, clock } = this.#options;
    for (let attempt = 0; ; attempt++) {
      const outcome = await this.#sendOnce(asked).catch((error: unknown) => ({ error }));
      if (!("error" in outcome) && !awayStatuses.has(outcome.status)) return outcome;
      if (attempt >= retriesMax) {
        const origin = new URL(asked.url).origin;
        if ("error" in outcome)
          throw new AndironError(failure, `${service} at ${origin} cannot be reached`, { cause: outcome.error });
        throw new AndironError(failure, `${service} at ${origin} answers ${outcome.status}`);
      }
      await clock.sleep(firstDelayMs * 2 ** attempt);
    }
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  async #sendOnce({ method, url, headers, body }: ServiceRequest): Promise<ServiceReply> {
    const reply = await this.#agent.request(url, {
      method,
      headers: { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const pieces: Buffer[] = [];
    let sizeBytes = 0;
    for await (const piece of reply.body as AsyncIterable<Buffer>) {
      sizeBytes += piece.length;
      if (sizeBytes > replyBytesMax) throw new Error(`the answer is longer than ${replyBytesMax} bytes`);
      pieces.push(piece);
    }
    const bytes = Buffer.concat(pieces);
    return { status: reply.statusCode, headers: reply.headers, body: parseJson(bytes.toString("utf8")), bytes };
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
