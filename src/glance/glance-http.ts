// One request to Glance that carries an image's bytes, one way or the other: bounded in time between two bytes, not in size
// (that is for who reads), never repeated, no redirect followed. What is JSON goes by keystone/service-http.ts.

import { Readable } from "node:stream";
import { HttpAgent, type HttpTrust } from "../common/http-agent.ts";

export interface GlanceHttpOptions extends HttpTrust {
  /** For connecting, for the answer's head, and between two pieces of its body. */
  readonly timeoutMs: number;
}

export interface BytesRequest {
  readonly method: "GET" | "PUT";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

export interface BytesReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** To be read to its end, or destroyed. */
  readonly body: AsyncIterable<Buffer> & { destroy(): unknown };
}

export class GlanceHttp {
  readonly #agent: HttpAgent;

  /** Throws config_invalid when the file of authorities cannot be read. */
  constructor(options: GlanceHttpOptions) {
    const { timeoutMs } = options;
    this.#agent = new HttpAgent(options, "glance_ca_certificates_file", {
      connectTimeout: timeoutMs,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
  }

  /** Rejects with whatever undici says when there is no answer. */
  async send({ method, url, headers, body, signal }: BytesRequest): Promise<BytesReply> {
    const content = body === undefined ? null : Readable.from(body, { objectMode: false });
    const reply = await this.#agent.request(url, { method, headers, body: content, signal });
    // Broken off by signal or destroy() it says so here as well; who reads it has been told.
    reply.body.on("error", () => undefined);
    return { status: reply.statusCode, headers: reply.headers, body: reply.body };
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }
}
