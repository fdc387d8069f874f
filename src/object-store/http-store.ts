// ObjectStore over Swift or S3, as far as they are alike; a Dialect has the rest.
//
// - Every object bears its SHA-256 and the random id of the put that made it, as metadata. A whole get compares the first. The
//   second tells a put with ifAbsent that was repeated, and meets its own first attempt, from one that came too late.
// - A damaged answer to a get is fetched a second time: it may have been damaged on its way.

import { AndironError } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import { type Digests, sha256Of } from "./checksum.ts";
import type { HttpAnswer, HttpClient } from "./http-attempt.ts";
import type { HttpAsked, HttpExchange } from "./http-exchange.ts";
import { isName } from "./names.ts";
import {
  type ByteRange,
  type ListOptions,
  type ListPage,
  type ListedObject,
  type ObjectFacts,
  type ObjectStore,
  type PutOptions,
  objectLimits,
} from "./object-store.ts";

export interface Dialect {
  /** "x-object-meta-". */
  readonly metadataPrefix: string;
  /** What If-None-Match: * on a put is worth: one winner, a look at the beginning of the upload, or nothing. */
  readonly conditionalPut: "atomic" | "early" | "none";
  digests(bytes: Buffer): Promise<Pick<Digests, "sha256"> & Partial<Digests>>;
  /** So that the server compares what comes with what was sent. */
  putHeaders(digests: Partial<Digests>): Readonly<Record<string, string>>;
  listQuery(prefix: string, after: string, limit: number): Readonly<Record<string, string>>;
  /** Throws backend_unavailable when it cannot be read. `limit` is what was asked for. */
  parseList(body: Buffer, limit: number): ListPage;
}

export interface HttpStoreParts {
  readonly client: HttpClient;
  readonly exchange: HttpExchange;
  readonly dialect: Dialect;
  readonly random: Random;
}

const smallAnswerBytes = 64 * 1024;
const listBytesPerName = 1500;
const getsMax = 2;

export class HttpStore implements ObjectStore {
  readonly #parts: HttpStoreParts;

  constructor(parts: HttpStoreParts) {
    this.#parts = parts;
  }

  get atomicCreate(): boolean {
    return this.#parts.dialect.conditionalPut === "atomic";
  }

  async put(name: string, bytes: Buffer, { ifAbsent = false }: PutOptions = {}): Promise<string> {
    const { dialect, random } = this.#parts;
    if (ifAbsent && dialect.conditionalPut === "none" && (await this.#headOf(name)) !== undefined) throw existsError(name);
    const digests = await dialect.digests(bytes);
    const putId = random.uuid();
    const conditional = ifAbsent && dialect.conditionalPut !== "none";
    const headers = {
      "content-type": "application/octet-stream",
      [this.#metadata("sha256")]: digests.sha256,
      [this.#metadata("put")]: putId,
      ...dialect.putHeaders(digests),
      ...(conditional ? { "if-none-match": "*" } : {}),
    };
    // 202 is Swift's word for: there is a newer one, put at the same time.
    const expected = conditional ? [200, 201, 202, 412] : [200, 201, 202];
    const asked = { method: "PUT", headers, body: bytes, sha256: digests.sha256, expected } as const;
    const { status } = await this.#ask("put", name, asked);
    if (conditional && (status === 202 || status === 412)) {
      const present = await this.#headOf(name);
      if (present?.headers[this.#metadata("put")] !== putId) throw existsError(name);
    }
    return digests.sha256;
  }

  async get(name: string, range?: ByteRange): Promise<Buffer> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await (range === undefined ? this.#getWhole(name) : this.#getRange(name, range));
      } catch (error) {
        if (!(error instanceof AndironError) || error.code !== "object_damaged" || attempt === getsMax) throw error;
      }
    }
  }

  async head(name: string): Promise<ObjectFacts | undefined> {
    const answer = await this.#headOf(name);
    if (answer === undefined) return undefined;
    return { sizeBytes: Number(answer.headers["content-length"] ?? 0), sha256: this.#sha256In(answer) };
  }

  async delete(name: string): Promise<void> {
    await this.#ask("delete", name, { method: "DELETE", expected: [200, 202, 204, 404] });
  }

  async list(prefix: string, { after = "", limit = 1 }: ListOptions = {}): Promise<ListPage> {
    const { dialect, exchange } = this.#parts;
    const { body, status } = await exchange.send({
      what: `list of ${prefix}`,
      method: "GET",
      path: "",
      query: dialect.listQuery(prefix, after, limit),
      headers: {},
      answerBytes: limit * listBytesPerName,
      expected: [200, 204],
    });
    if (status === 204) return { objects: [], next: undefined };
    const page = dialect.parseList(body, limit);
    if (page.next !== undefined && page.next === after)
      throw new AndironError("backend_unavailable", `a list of ${this.#parts.client.service} does not go on`);
    return { objects: page.objects.filter(({ name }) => isName(name)), next: page.next };
  }

  close(): Promise<void> {
    return this.#parts.client.close();
  }

  async #getWhole(name: string): Promise<Buffer> {
    const asked = { method: "GET", expected: [200, 404], answerBytes: objectLimits.objectBytesMax } as const;
    const answer = await this.#ask("get", name, asked);
    if (answer.status === 404) throw missingError(name);
    const sha256 = this.#sha256In(answer);
    if (sha256 === undefined) throw damagedError(name, "has no checksum: another program has put it");
    if ((await sha256Of(answer.body)) !== sha256) throw damagedError(name, "does not match its checksum");
    return answer.body;
  }

  async #getRange(name: string, { offset, length }: ByteRange): Promise<Buffer> {
    const headers = { range: `bytes=${offset}-${offset + length - 1}` };
    const asked = { method: "GET", expected: [206, 404], answerBytes: length, headers } as const;
    const { status, body, headers: answered } = await this.#ask("get", name, asked);
    if (status === 404) throw missingError(name);
    const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answered["content-range"] ?? "") ?? [];
    if (Number(first) !== offset || last === undefined) throw damagedError(name, "came in another range than was asked for");
    if (Number(total) < offset + length)
      throw new AndironError("out_of_range", `the object ${name} has ${total} bytes, not ${offset + length}`);
    if (Number(last) !== offset + length - 1 || body.length !== length)
      throw damagedError(name, `came with ${body.length} of ${length} bytes`);
    return body;
  }

  async #headOf(name: string): Promise<HttpAnswer | undefined> {
    const answer = await this.#ask("head", name, { method: "HEAD", expected: [200, 204, 404] });
    return answer.status === 404 ? undefined : answer;
  }

  #ask(verb: string, name: string, asked: Pick<HttpAsked, "method" | "expected"> & Partial<HttpAsked>): Promise<HttpAnswer> {
    const defaults = { query: {}, headers: {}, answerBytes: smallAnswerBytes };
    return this.#parts.exchange.send({ what: `${verb} of ${name}`, path: `/${name}`, ...defaults, ...asked });
  }

  #metadata(name: "sha256" | "put"): string {
    return `${this.#parts.dialect.metadataPrefix}andiron-${name}`;
  }

  #sha256In({ headers }: HttpAnswer): string | undefined {
    const value = headers[this.#metadata("sha256")];
    return value !== undefined && /^[0-9a-f]{64}$/.test(value) ? value : undefined;
  }
}

/** A page of what a service listed, in its order; the next one begins behind the last row when the page is full. */
export function pageOf(rows: readonly ListedObject[], isFull: boolean): ListPage {
  return { objects: rows, next: isFull ? rows.at(-1)?.name : undefined };
}

function existsError(name: string): AndironError {
  return new AndironError("object_exists", `there is an object ${name}`);
}

function missingError(name: string): AndironError {
  return new AndironError("object_not_found", `no object ${name}`);
}

function damagedError(name: string, what: string): AndironError {
  return new AndironError("object_damaged", `the object ${name} ${what}`);
}
