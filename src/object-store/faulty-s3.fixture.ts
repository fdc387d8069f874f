// An S3 in memory for http-faults.test.ts: what our client asks for, conditional puts included, and a fault for each next
// request, as no real server can be told to have one. It checks payloads as S3 does, and no signatures: the real peer does that.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

interface Stored {
  readonly bytes: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/** Answers in the server's place; `serve` lets it do its work as well. */
export type Fault = (request: IncomingMessage, response: ServerResponse, serve: () => Promise<void>) => Promise<void> | void;

export class FaultyS3 {
  readonly objects = new Map<string, Stored>();
  /** One for each next request for an object, in order. */
  readonly faults: Fault[] = [];
  /** "PUT /bucket/a", of all requests for objects. */
  readonly asked: string[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", this.endpoint);
    const name = pathname.split("/").slice(2).join("/");
    if (name === "" && request.method === "GET") return void response.end(this.#list(searchParams));
    if (name === "") return void response.end();
    this.asked.push(`${request.method} ${pathname}`);
    const serve = (): Promise<void> => this.#serve(name, request, response);
    const fault = this.faults.shift();
    return fault === undefined ? serve() : fault(request, response, serve);
  }

  async #serve(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === "PUT") return this.#store(name, request, response);
    const found = this.objects.get(name);
    if (request.method === "DELETE") this.objects.delete(name);
    if (request.method === "DELETE") return void response.writeHead(204).end();
    if (found === undefined) return refuse(response, 404, "NoSuchKey");
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    const total = found.bytes.length;
    if (first === undefined) return send(response, 200, found.headers, found.bytes, request.method === "HEAD");
    if (Number(first) >= total) return refuse(response, 416, "InvalidRange");
    const part = found.bytes.subarray(Number(first), Number(last) + 1);
    const range = { "content-range": `bytes ${first}-${Number(first) + part.length - 1}/${total}` };
    send(response, 206, { ...found.headers, ...range }, part, false);
  }

  async #store(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
    const bytes = Buffer.concat(pieces);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    if (sha256 !== request.headers["x-amz-content-sha256"]) return refuse(response, 400, "XAmzContentSHA256Mismatch");
    if (request.headers["if-none-match"] === "*" && this.objects.has(name)) return refuse(response, 412, "PreconditionFailed");
    const metadata = Object.entries(request.headers).filter(([header]) => header.startsWith("x-amz-meta-"));
    this.objects.set(name, { bytes, headers: Object.fromEntries(metadata) as Record<string, string> });
    response.writeHead(200).end();
  }

  #list(query: URLSearchParams): string {
    const [prefix, after, limit] = [query.get("prefix") ?? "", query.get("start-after") ?? "", Number(query.get("max-keys"))];
    const names = [...this.objects.keys()].filter((name) => name.startsWith(prefix) && name > after).sort();
    const rows = names.slice(0, limit).map((name) => {
      return `<Contents><Key>${encodeURIComponent(name)}</Key><Size>${this.objects.get(name)!.bytes.length}</Size></Contents>`;
    });
    const truncated = `<IsTruncated>${names.length > limit}</IsTruncated>`;
    return `<?xml version="1.0"?><ListBucketResult>${truncated}${rows.join("")}</ListBucketResult>`;
  }
}

function send(response: ServerResponse, status: number, headers: Stored["headers"], bytes: Buffer, isHead: boolean): void {
  response.writeHead(status, { ...headers, "content-length": bytes.length });
  response.end(isHead ? undefined : bytes);
}

export function refuse(response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { connection: "close", ...headers });
  response.end(`<Error><Code>${code}</Code></Error>`);
}
