// Connections to HTTP servers, kept between requests. undici is a megabyte of modules, which cost a start a tenth of a second and
// the process 20 MiB: it is loaded when the first request is sent, and a service that asks nobody does without.

import { readFileSync } from "node:fs";
import type { Agent, Dispatcher } from "undici";
import { AndironError } from "./errors.ts";

export interface HttpTrust {
  /** PEM file of the authorities to trust; empty for the system's. */
  readonly caFile: string;
  /** Trust any certificate. */
  readonly insecure: boolean;
}

/** undici's, but for trust. */
export type HttpAgentOptions = Omit<Agent.Options, "connect">;
export type HttpAgentRequest = Omit<Dispatcher.RequestOptions, "origin" | "path">;

export class HttpAgent {
  readonly #options: Agent.Options;
  #opening: Promise<Agent> | undefined;

  /** Throws config_invalid when the file of authorities, which is that of option `caOption`, cannot be read. */
  constructor({ caFile, insecure }: HttpTrust, caOption: string, options: HttpAgentOptions) {
    const ca = caFile === "" ? {} : { ca: readAuthorities(caFile, caOption) };
    this.#options = { ...options, connect: { rejectUnauthorized: !insecure, ...ca } };
  }

  /** Rejects with whatever undici says when there is no answer. */
  async request(url: string, asked: HttpAgentRequest): Promise<Dispatcher.ResponseData> {
    const { request } = await import("undici");
    return request(url, { ...asked, dispatcher: await this.#open() });
  }

  async close(): Promise<void> {
    await (await this.#opening)?.destroy();
  }

  #open(): Promise<Agent> {
    return (this.#opening ??= import("undici").then(({ Agent }) => new Agent(this.#options)));
  }
}

function readAuthorities(path: string, option: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new AndironError("config_invalid", `cannot read the ${option} ${path}: ${(cause as Error).message}`, { cause });
  }
}
