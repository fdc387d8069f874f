// What we ask of Barbican, the key manager of OpenStack (Key Manager API v1): keys that it makes by an order, secrets that are
// read, stored and deleted, certificates that are read. It is asked in the name of whoever's token goes along; who may do what is
// Barbican's to say.
//
//   create   POST /v1/orders ─► GET the order until it is ACTIVE ─► the secret's id
//   copy     GET /v1/secrets/{id} and its payload, by one ─► POST /v1/secrets, by another
//
// A secret's bytes are in the memory of one call, and nowhere else: not in a record, an error or a log. Nothing is sent twice by
// itself: each order is another key.

import { X509Certificate } from "node:crypto";
import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { ServiceHttp, ServiceReply, ServiceRequest } from "../keystone/service-http.ts";

export interface BarbicanOptions {
  readonly http: ServiceHttp;
  /** URL of version 1, without a slash at its end. */
  readonly root: () => Promise<string>;
  /** How often, and with which pause, an order is looked at that is not ready. */
  readonly orderLooksMax: number;
  readonly orderPauseMs: number;
  readonly clock: Clock;
}

/** In whose name, and for which request. */
export interface BarbicanAsker {
  readonly token: string | undefined;
  readonly serviceToken?: string;
  readonly requestId: string;
}

export interface KeyRequest {
  /** As Barbican calls it: "aes". */
  readonly algorithm: string;
  readonly bitLength: number | null;
}

/** Beside its bytes. */
const copiedFacts = ["name", "secret_type", "algorithm", "bit_length", "mode"] as const;
const octets = "application/octet-stream";

export class BarbicanClient {
  readonly #options: BarbicanOptions;

  constructor(options: BarbicanOptions) {
    this.#options = options;
  }

  /** The id of a new symmetric key. */
  async create(asker: BarbicanAsker, { algorithm, bitLength }: KeyRequest): Promise<string> {
    const { orderLooksMax, orderPauseMs, clock } = this.#options;
    const meta = { algorithm, bit_length: bitLength, payload_content_type: octets };
    const made = await this.#ask(asker, { method: "POST", path: "/orders", body: { type: "key", meta } }, [202]);
    const orderId = idAt(made.body, "order_ref");
    for (let look = 0; look < orderLooksMax; look++) {
      const { body } = await this.#ask(asker, { method: "GET", path: `/orders/${orderId}` }, [200]);
      const status = textAt(body, "status");
      if (status === "ACTIVE") return idAt(body, "secret_ref");
      if (status === "ERROR") throw new AndironError("key_refused", `Barbican cannot make a key: order ${orderId} has failed`);
      await clock.sleep(orderPauseMs);
    }
    throw new AndironError("barbican_unavailable", `order ${orderId} of a key is not ready after ${orderLooksMax} looks`);
  }

  /** The id of another secret with the same bytes, of `to`. */
  async copy(from: BarbicanAsker, to: BarbicanAsker, id: string): Promise<string> {
    const { body } = await this.#ask(from, { method: "GET", path: `/secrets/${secretId(id)}` }, [200]);
    const facts = Object.fromEntries(copiedFacts.map((fact) => [fact, readObject(body)[fact] ?? undefined]));
    const payload = await this.#payload(from, id, octets);
    const content = { payload: payload.toString("base64"), payload_content_type: octets, payload_content_encoding: "base64" };
    const stored = await this.#ask(to, { method: "POST", path: "/secrets", body: { ...facts, ...content } }, [201]);
    return idAt(stored.body, "secret_ref");
  }

  /** Resolves also when there is none. */
  async delete(asker: BarbicanAsker, id: string): Promise<void> {
    await this.#ask(asker, { method: "DELETE", path: `/secrets/${secretId(id)}` }, [204, 404]);
  }

  /** A certificate that somebody stored, as PEM. Throws key_not_found for what is none. */
  async certificate(asker: BarbicanAsker, id: string): Promise<string> {
    const { body } = await this.#ask(asker, { method: "GET", path: `/secrets/${secretId(id)}` }, [200]);
    const { secret_type, content_types } = readObject(body);
    const type = textAt(content_types ?? {}, "default");
    if (secret_type !== "certificate" || type === undefined) throw notCertificate(id);
    try {
      return new X509Certificate(await this.#payload(asker, id, type.split(";")[0] ?? type)).toString();
    } catch (error) {
      throw error instanceof AndironError ? error : notCertificate(id);
    }
  }

  #payload(asker: BarbicanAsker, id: string, type: string): Promise<Buffer> {
    const path = `/secrets/${secretId(id)}/payload`;
    return this.#ask(asker, { method: "GET", path, accept: type }, [200]).then(({ bytes }) => bytes);
  }

  async #ask(asker: BarbicanAsker, ask: Ask, good: readonly number[]): Promise<ServiceReply> {
    const { method, path, accept, body } = ask;
    const reply = await this.#options.http.send({
      method,
      url: (await this.#options.root()) + path,
      headers: {
        ...(accept === undefined ? {} : { accept }),
        ...(asker.token === undefined ? {} : { "x-auth-token": asker.token }),
        ...(asker.serviceToken === undefined ? {} : { "x-service-token": asker.serviceToken }),
        "x-openstack-request-id": asker.requestId,
      },
      ...(body === undefined ? {} : { body }),
    });
    if (good.includes(reply.status)) return reply;
    // Its text may hold what was sent.
    const what = `Barbican answers ${reply.status} to ${method} ${path}`;
    if (reply.status === 404) throw new AndironError("key_not_found", what);
    throw new AndironError(reply.status < 500 ? "key_refused" : "barbican_unavailable", what);
  }
}

function notCertificate(id: string): AndironError {
  return new AndironError("key_not_found", `${id} is no certificate in Barbican`);
}

interface Ask extends Pick<ServiceRequest, "method" | "body"> {
  readonly path: string;
  readonly accept?: string;
}

/** Ids of keys come from records and from images: only what is an id becomes part of a URL. */
function secretId(id: string): string {
  if (/^[0-9a-f-]{1,64}$/i.test(id)) return id;
  throw new AndironError("key_not_found", "what is said to be a key's id is none");
}

/** The id at the end of the reference `name`. */
function idAt(body: unknown, name: string): string {
  const id = textAt(body, name)?.replace(/\/+$/, "").split("/").at(-1);
  if (id !== undefined && /^[0-9a-f-]{1,64}$/i.test(id)) return id;
  throw new AndironError("barbican_unavailable", `Barbican's answer makes no sense: it has no ${name}`);
}

function textAt(body: unknown, name: string): string | undefined {
  const value = readObject(body)[name];
  return typeof value === "string" ? value : undefined;
}

function readObject(body: unknown): Readonly<Record<string, unknown>> {
  if (typeof body === "object" && body !== null) return body as Readonly<Record<string, unknown>>;
  throw new AndironError("barbican_unavailable", "Barbican's answer makes no sense: it is no object");
}
