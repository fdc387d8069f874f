// A Block Storage API that is measured: Andiron or Debian's Cinder, both behind the same Keystone, asked by the same client with
// the same token. Connections are kept and as many as are asked for at once.

import { Agent } from "undici";
import { systemClock } from "../src/common/clock.ts";

export interface ApiReply {
  readonly status: number;
  readonly text: string;
}

interface Listed {
  readonly id: string;
  readonly status: string;
}

const microversion = "volume 3.70";
const pollMs = 2;
const pollMsMax = 300_000;
const pageMax = 1000;

export class ApiTarget {
  readonly name: string;
  /** "http://HOST:PORT/v3/PROJECT". */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly #agent: Agent;

  constructor(name: string, url: string, token: string) {
    this.name = name;
    this.url = url;
    this.headers = { "X-Auth-Token": token, "OpenStack-API-Version": microversion };
    this.#agent = new Agent({ connections: 16, pipelining: 1, headersTimeout: 300_000, bodyTimeout: 300_000 });
  }

  /** Rejects when the status is none of success. */
  async send(method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: unknown): Promise<ApiReply> {
    const base = new URL(this.url);
    const { statusCode, body: answer } = await this.#agent.request({
      origin: base.origin,
      path: base.pathname + path,
      method,
      headers: { ...this.headers, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.text();
    if (statusCode >= 300) throw new Error(`${this.name} answers ${statusCode} to ${method} ${path}: ${text.slice(0, 500)}`);
    return { status: statusCode, text };
  }

  /** Resolves with the new volume's id when the request is answered. */
  async createVolume(name: string): Promise<string> {
    const { text } = await this.send("POST", "/volumes", { volume: { name, size: 1 } });
    return (JSON.parse(text) as { volume: { id: string } }).volume.id;
  }

  async awaitAvailable(id: string): Promise<void> {
    await this.#poll(async () => {
      const { text } = await this.send("GET", `/volumes/${id}`);
      const { status } = (JSON.parse(text) as { volume: Listed }).volume;
      if (status.startsWith("error")) throw new Error(`${this.name}: volume ${id} is in ${status}`);
      return status === "available";
    });
  }

  /** Resolves when all of them are available, seen by lists as a client with many would. */
  async awaitAll(ids: readonly string[]): Promise<void> {
    const wanted = new Set(ids);
    await this.#poll(async () => {
      const volumes = await this.#list();
      return volumes.filter(({ id, status }) => wanted.has(id) && status === "available").length === wanted.size;
    });
  }

  /** Deletes them one after the other; resolves when none is listed any more. */
  async deleteAll(ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.send("DELETE", `/volumes/${id}`);
    const gone = new Set(ids);
    await this.#poll(async () => !(await this.#list()).some(({ id }) => gone.has(id)));
  }

  /** No quota is in the way of a benchmark. */
  async liftQuotas(projectId: string): Promise<void> {
    await this.send("PUT", `/os-quota-sets/${projectId}`, { quota_set: { volumes: -1, gigabytes: -1 } });
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  async #list(): Promise<Listed[]> {
    const { text } = await this.send("GET", `/volumes/detail?limit=${pageMax}`);
    return (JSON.parse(text) as { volumes: Listed[] }).volumes;
  }

  async #poll(isDone: () => Promise<boolean>): Promise<void> {
    const deadlineMs = systemClock.monotonicMs() + pollMsMax;
    while (!(await isDone())) {
      if (systemClock.monotonicMs() > deadlineMs) throw new Error(`${this.name}: not done after ${pollMsMax} ms`);
      await systemClock.sleep(pollMs);
    }
  }
}

/** Calls `make` for 0 to count - 1, at most `width` of them at once; resolves with what they gave, in order. */
export async function inParallel<T>(count: number, width: number, make: (at: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const at = next++;
      made[at] = await make(at);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, work));
  return made;
}
