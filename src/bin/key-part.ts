// The part of a process that knows the key manager: Barbican, the one key of the configuration, or none. Who makes, copies or
// deletes a key is a request, by its token; for what no request waits for any more it is who asked for it, as far as the token is
// known and taken, else our own credentials.

import { BarbicanClient, type BarbicanAsker } from "../barbican/barbican-client.ts";
import type { KeyHolder, Keys } from "../cinder/keys.ts";
import { fixedKeys, noKeys } from "../cinder/keys.ts";
import { systemClock } from "../common/clock.ts";
import type { Config } from "../common/config.ts";
import { AndironError } from "../common/errors.ts";
import type { Service } from "../common/service.ts";
import { ServiceHttp } from "../keystone/service-http.ts";
import type { ServiceSession } from "../keystone/service-session.ts";
import { CallerWords } from "./caller-words.ts";

export interface KeyPartOptions {
  readonly config: Config;
  /** Our own standing with Keystone; undefined without Keystone. */
  readonly session: ServiceSession | undefined;
  /** Whose token goes along as X-Service-Token, if any. */
  readonly serviceUser: ServiceSession | undefined;
}

export interface KeyPart {
  readonly keys: Keys;
  readonly services: readonly Service[];
}

const answerMsMax = 30_000;

export function makeKeyPart({ config, session, serviceUser }: KeyPartOptions): KeyPart {
  if (config.key_manager.backend.endsWith("ConfKeyManager")) return { keys: fixedKeys, services: [] };
  if (session === undefined) return { keys: noKeys, services: [] };
  const { verify_ssl, verify_ssl_path, number_of_retries, retry_delay, send_service_user_token } = config.barbican;
  const http = new ServiceHttp({
    caFile: verify_ssl ? verify_ssl_path : "",
    insecure: !verify_ssl,
    timeoutMs: answerMsMax,
    retriesMax: 0,
    clock: systemClock,
    service: "Barbican",
    failure: "barbican_unavailable",
  });
  const client = new BarbicanClient({
    http,
    root: rootOf(config, session),
    orderLooksMax: number_of_retries,
    orderPauseMs: retry_delay * 1000,
    clock: systemClock,
  });
  const keys = new BarbicanKeys(client, session, send_service_user_token ? serviceUser : undefined);
  const service: Service = { id: "keys", start: () => Promise.resolve(), stop: () => http.close() };
  return { keys, services: [service] };
}

class BarbicanKeys implements Keys {
  readonly #client: BarbicanClient;
  readonly #session: ServiceSession;
  readonly #serviceUser: ServiceSession | undefined;
  readonly #words = new CallerWords();

  constructor(client: BarbicanClient, session: ServiceSession, serviceUser: ServiceSession | undefined) {
    this.#client = client;
    this.#session = session;
    this.#serviceUser = serviceUser;
  }

  async create(context: KeyHolder, key: Parameters<Keys["create"]>[1]): Promise<string> {
    return this.#client.create(await this.#asker(context), key);
  }

  async copy(keyId: string, from: KeyHolder, to: KeyHolder): Promise<string> {
    const requestId = [from, to].find((holder) => holder !== "ourselves")?.requestId;
    return this.#client.copy(await this.#asker(from, requestId), await this.#asker(to, requestId), keyId);
  }

  vouch(...given: Parameters<Keys["vouch"]>): void {
    this.#words.vouch(...given);
  }

  forget(jobId: string): void {
    this.#words.forget(jobId);
  }

  async delete({ jobId, requestId, keyId }: Parameters<Keys["delete"]>[0]): Promise<void> {
    const word = this.#words.of(jobId);
    if (word !== undefined) {
      try {
        return await this.#client.delete(await this.#with(word, requestId), keyId);
      } catch (error) {
        if (!(error instanceof AndironError) || error.code !== "key_refused") throw error;
      }
    }
    await this.#client.delete(await this.#asker("ourselves", requestId), keyId);
  }

  async certificate(context: KeyHolder, id: string): Promise<string> {
    return this.#client.certificate(await this.#asker(context), id);
  }

  async discard(keyId: string, holder: KeyHolder): Promise<void> {
    await this.#client.delete(await this.#asker(holder), keyId);
  }

  async #asker(holder: KeyHolder, requestId?: string): Promise<BarbicanAsker> {
    if (holder === "ourselves") return this.#with(await this.#session.token(), requestId ?? "");
    return this.#with(holder.userToken?.(), holder.requestId);
  }

  async #with(token: string | undefined, requestId: string): Promise<BarbicanAsker> {
    const serviceToken = await this.#serviceUser?.token();
    return { token, requestId, ...(serviceToken === undefined ? {} : { serviceToken }) };
  }
}

/** URL of version 1, whether what is configured or catalogued says so or not. */
function rootOf({ barbican }: Config, session: ServiceSession): () => Promise<string> {
  const { barbican_endpoint, barbican_endpoint_type, barbican_region_name, barbican_api_version } = barbican;
  const choice = { serviceTypes: ["key-manager"], interface: barbican_endpoint_type, region: barbican_region_name };
  return async () => {
    const url = (barbican_endpoint === "" ? await session.endpoint(choice) : barbican_endpoint).replace(/\/+$/, "");
    return /\/v\d+$/.test(url) ? url : `${url}/${barbican_api_version}`;
  };
}
