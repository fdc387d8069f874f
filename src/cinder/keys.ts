// What cinder/ knows of the key manager, as a port that bin/ fills: keys by their ids. A key itself is never seen here.

import { AndironError } from "../common/errors.ts";
import type { RequestContext } from "./context.ts";

/** In whose name: that of a request, or our own. */
export type KeyHolder = RequestContext | "ourselves";

export interface NewKey {
  /** Of the cipher: "aes". */
  readonly algorithm: string;
  readonly bitLength: number | null;
}

export interface KeyDeletion {
  readonly jobId: string;
  readonly requestId: string;
  readonly keyId: string;
}

/** All of them may reject: barbican_unavailable, key_refused, key_not_found. */
export interface Keys {
  /** The id of a new key of the caller's. */
  create(context: RequestContext, key: NewKey): Promise<string>;
  /** The id of another key with the same bytes: read by one, owned by the other. */
  copy(keyId: string, from: KeyHolder, to: KeyHolder): Promise<string>;
  /** The caller's word for a job that is about to be queued: kept in memory, and forgotten with forget(). */
  vouch(jobId: string, context: RequestContext): void;
  /** By the word of who asked for it, or our own. Resolves also when there is no such key. */
  delete(deletion: KeyDeletion): Promise<void>;
  forget(jobId: string): void;
  /** The certificate of that id, as PEM. */
  certificate(context: RequestContext, id: string): Promise<string>;
  /** Takes a key back that was made for a request which came to nothing. */
  discard(keyId: string, holder: KeyHolder): Promise<void>;
}

/** There is no key manager: nobody has a key. */
export const noKeys: Keys = {
  create: () => Promise.reject(noManager()),
  copy: () => Promise.reject(noManager()),
  vouch: () => undefined,
  delete: () => Promise.reject(noManager()),
  forget: () => undefined,
  certificate: () => Promise.reject(noManager()),
  discard: () => Promise.reject(noManager()),
};

/** The id of the one key of ConfKeyManager, as in Cinder: it is in the configuration of those who encrypt. */
export const fixedKeyId = "00000000-0000-0000-0000-000000000000";

/** [key_manager] fixed_key: every volume has the same key, which is never made or deleted. */
export const fixedKeys: Keys = {
  ...noKeys,
  create: () => Promise.resolve(fixedKeyId),
  copy: (keyId) => (keyId === fixedKeyId ? Promise.resolve(fixedKeyId) : Promise.reject(notFixed(keyId))),
  delete: () => Promise.resolve(),
  discard: () => Promise.resolve(),
};

function noManager(): AndironError {
  return new AndironError("key_refused", "there is no key manager", { hint: "set [key_manager] and use Keystone" });
}

function notFixed(keyId: string): AndironError {
  return new AndironError("key_not_found", `key ${keyId} is not the one of the configuration`);
}
