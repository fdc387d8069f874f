// Keys of encrypted volumes: which one a volume is to have, and that none is left over. Ids only; LUKS is the host's.
//
//   transaction ─► wants a key, nothing is written ─► the key is made, outside ─► the same transaction, with its id ─► committed,
//                                                                                        or wants one more
//                                                                                        └── refused ─► the key is discarded
//   volume gone, or has another key ─► in the same transaction: a job that deletes the key (jobs/key-delete.ts)
//
// - All else is checked before a key is made: who may not have the volume makes none.
// - A commit whose outcome is not known keeps its key: better one too many than a volume without.

import { AndironError } from "../common/errors.ts";
import type { Tx } from "../registry/atomic.ts";
import type { RequestContext } from "./context.ts";
import { CinderFault, invalid, invalidInput } from "./faults.ts";
import { keyDeletion, keyDeletionKind } from "./jobs/key-delete.ts";
import { newJob } from "./jobs/job-states.ts";
import { fixedKeyId, type KeyHolder, type NewKey } from "./keys.ts";
import type { Volume, VolumeType } from "./model.ts";
import type { CinderPorts } from "./ports.ts";
import { jobKind, readRecord, typeKind, writeRecord } from "./records.ts";

/** A key of its own: new, or with the bytes of another one. */
export type KeyWish =
  | ({ readonly kind: "new" } & NewKey)
  | { readonly kind: "copy"; readonly keyId: string; readonly from: KeyHolder; readonly to: KeyHolder };

/** Gives the id of the key; throws for the transaction to be run again, when there is none yet. */
export type KeyFor = (wish: KeyWish) => string;

class KeyWanted extends Error {
  override readonly name = "KeyWanted";
  readonly wish: KeyWish;

  constructor(wish: KeyWish) {
    super("a key is wanted");
    this.wish = wish;
  }
}

interface MadeKey {
  readonly wish: KeyWish;
  readonly id: string;
}

/** Beyond those that make one more key: what the transaction reads may change meanwhile. */
const lostRoundsMax = 4;

/** One transaction that may want keys. `body` asks for each after all of its checks, in the same order each time it runs. */
export async function commitWithKey<T>(
  ports: CinderPorts,
  context: RequestContext,
  body: (tx: Tx, keyFor: KeyFor) => Promise<T>,
): Promise<T> {
  const made: MadeKey[] = [];
  const used = new Set<MadeKey>();
  const keyFor = (wish: KeyWish): string => {
    const key = made.find((one) => !used.has(one) && isSameWish(one.wish, wish));
    if (key === undefined) throw new KeyWanted(wish);
    used.add(key);
    return key.id;
  };
  const discardUnused = async (): Promise<void> => {
    for (const key of made) if (!used.has(key)) await discard(ports, context, key);
  };
  const run = (): Promise<T> =>
    ports.store.commit(context.projectId, (tx) => {
      used.clear();
      return body(tx, keyFor);
    });
  try {
    for (let lostRounds = 0; ;) {
      try {
        const value = await run();
        await discardUnused();
        return value;
      } catch (error) {
        if (!(error instanceof KeyWanted) || lostRounds >= lostRoundsMax) throw error;
        if (used.size < made.length) lostRounds++;
        used.clear();
        made.push({ wish: error.wish, id: await obtain(ports, context, error.wish) });
      }
    }
  } catch (error) {
    // What was not used was not written, whatever became of the rest.
    if (isCertain(error)) used.clear();
    await discardUnused();
    throw error;
  }
}

/** What a volume is made of. */
export interface KeyOrigin {
  readonly typeId: string | null;
  readonly encryptionKeyId?: string | undefined;
  /** There are bytes already, which mean what they meant. */
  readonly hasBytes: boolean;
}

/** The key that it needs; undefined when its type is not encrypted. */
export async function chooseKey(
  tx: Tx,
  context: RequestContext,
  type: VolumeType,
  origin: KeyOrigin,
): Promise<KeyWish | undefined> {
  const present = origin.typeId === null ? undefined : await readRecord(tx, typeKind, origin.typeId);
  if (origin.typeId !== null && origin.typeId !== type.id && !isSameEncryption(present, type)) {
    throw invalidInput(
      `Invalid volume_type provided: ${type.id} (requested type is not compatible; recommend omitting the type argument).`,
    );
  }
  const key = keyOfType(type);
  if (key === undefined) return undefined;
  const { encryptionKeyId: keyId } = origin;
  if (keyId !== undefined) return { kind: "copy", keyId, from: context, to: context };
  if (!origin.hasBytes) return { kind: "new", ...key };
  throw invalid("An encrypted volume cannot be made of what is not encrypted: the service does not encrypt.");
}

/** A key of the caller's with the bytes of another that the caller may read. */
export async function copyKey(ports: CinderPorts, context: RequestContext, keyId: string): Promise<string> {
  return obtain(ports, context, { kind: "copy", keyId, from: context, to: context });
}

/** Never rejects. */
export async function discardKey(ports: CinderPorts, id: string, holder: KeyHolder): Promise<void> {
  await ports.keys.discard(id, holder).catch((error: unknown) => {
    ports.onTrouble(`key ${id}, which came to nothing, could not be deleted`, error);
  });
}

/** The key that volumes of the type have; undefined when they are not encrypted. Throws for an encryption without a cipher. */
function keyOfType({ encryption }: VolumeType): NewKey | undefined {
  if (encryption === undefined) return undefined;
  const algorithm = encryption.cipher?.split("-")[0] ?? "";
  if (algorithm === "") throw invalid("Invalid volume type: Invalid encryption spec");
  return { algorithm, bitLength: encryption.keySize };
}

/** Whether the bytes of a volume of one type mean the same in one of the other. */
export function isSameEncryption(present: VolumeType | undefined, next: VolumeType): boolean {
  const text = ({ encryption }: Pick<VolumeType, "encryption">): string =>
    JSON.stringify([encryption?.provider, encryption?.controlLocation, encryption?.cipher, encryption?.keySize]);
  return text(present ?? {}) === text(next);
}

/** In the transaction after which nobody has the key. `owner`: whose word was given for it, by the key's id. */
export function deleteKeyLater(
  ports: CinderPorts,
  tx: Tx,
  keyId: string | undefined,
  owner: Pick<Volume, "projectId">,
  requestId: string,
): void {
  if (keyId === undefined || keyId === fixedKeyId) return;
  const job = newJob(keyDeletionKind, keyDeletion(keyId, owner.projectId, requestId), ports.clock.wallMs());
  writeRecord(tx, jobKind, job.id, job);
}

/** What Barbican refuses is told in Cinder's words; that it is away is ours. */
async function obtain({ keys }: CinderPorts, context: RequestContext, wish: KeyWish): Promise<string> {
  try {
    return await (wish.kind === "new" ? keys.create(context, wish) : keys.copy(wish.keyId, wish.from, wish.to));
  } catch (error) {
    if (error instanceof AndironError && (error.kind === "forbidden" || error.kind === "not-found")) {
      throw new CinderFault("invalid", "Key manager error", { cause: error });
    }
    throw error;
  }
}

function discard(ports: CinderPorts, context: RequestContext, { id, wish }: MadeKey): Promise<void> {
  return discardKey(ports, id, wish.kind === "new" ? context : wish.to);
}

/** Nothing was committed. */
function isCertain(error: unknown): boolean {
  if (error instanceof KeyWanted || error instanceof CinderFault) return true;
  return error instanceof AndironError && !["unavailable", "fenced", "internal"].includes(error.kind);
}

function isSameWish(a: KeyWish, b: KeyWish): boolean {
  if (a.kind === "new") return b.kind === "new" && a.algorithm === b.algorithm && a.bitLength === b.bitLength;
  return b.kind === "copy" && a.keyId === b.keyId;
}
