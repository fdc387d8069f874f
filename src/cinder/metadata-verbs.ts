// Metadata of a volume or a snapshot: shown, merged, replaced, and key by key. The two differ in their rules and sentences
// only; those are given by `MetadataOwner`.

import type { RequestContext } from "./context.ts";
import { CinderFault, notFound } from "./faults.ts";
import { checkMetadata, withoutKey } from "./metadata-rules.ts";
import type { Metadata } from "./model.ts";
import type { PolicyRule } from "./policy.ts";
import type { CinderPorts } from "./ports.ts";
import type { Tx } from "../registry/atomic.ts";
import type { MetadataVerbs } from "./verbs.ts";

export interface Described {
  readonly id: string;
  readonly projectId: string;
  readonly metadata: Metadata;
  readonly updatedAtMs: number | null;
}

export interface MetadataOwner<T extends Described> {
  /** "Volume" or "Snapshot", as the sentences begin. */
  readonly noun: string;
  readonly rules: Readonly<Record<"get" | "create" | "update" | "delete", PolicyRule>>;
  find(context: RequestContext, id: string): T;
  read(tx: Tx, context: RequestContext, id: string): Promise<T>;
  write(tx: Tx, record: T): void;
  /** Throws when the record's state forbids a change. */
  checkState(record: T, verb?: "Updating" | "Deleting"): void;
}

export class RecordMetadata<T extends Described> implements MetadataVerbs {
  readonly #ports: CinderPorts;
  readonly #owner: MetadataOwner<T>;

  constructor(ports: CinderPorts, owner: MetadataOwner<T>) {
    this.#ports = ports;
    this.#owner = owner;
  }

  async show(context: RequestContext, id: string): Promise<Metadata> {
    await this.#ports.index.fresh();
    const record = this.#owner.find(context, id);
    this.#ports.policy.enforce(context, this.#owner.rules.get, record);
    return record.metadata;
  }

  async showKey(context: RequestContext, id: string, key: string): Promise<string> {
    return this.#value(await this.show(context, id), id, key);
  }

  merge(context: RequestContext, id: string, metadata: Metadata): Promise<Metadata> {
    return this.#change(context, id, this.#owner.rules.create, (present) => ({ ...present, ...metadata }));
  }

  replace(context: RequestContext, id: string, metadata: Metadata, matches?: (present: Metadata) => boolean): Promise<Metadata> {
    return this.#change(context, id, this.#owner.rules.update, (present) => {
      if (matches !== undefined && !matches(present)) {
        throw new CinderFault("precondition-failed", "The metadata has changed.");
      }
      return metadata;
    });
  }

  async setKey(context: RequestContext, id: string, key: string, value: string): Promise<void> {
    await this.#change(context, id, this.#owner.rules.update, (present) => ({ ...present, [key]: value }));
  }

  async deleteKey(context: RequestContext, id: string, key: string): Promise<void> {
    await this.#change(context, id, this.#owner.rules.delete, (present) => {
      this.#value(present, id, key);
      return withoutKey(present, key);
    });
  }

  #change(context: RequestContext, id: string, rule: PolicyRule, change: (present: Metadata) => Metadata): Promise<Metadata> {
    return this.#ports.store.commit(context.projectId, async (tx) => {
      const record = await this.#owner.read(tx, context, id);
      this.#ports.policy.enforce(context, rule, record);
      this.#owner.checkState(record, rule === this.#owner.rules.delete ? "Deleting" : "Updating");
      const metadata = change(record.metadata);
      checkMetadata(metadata);
      this.#owner.write(tx, { ...record, metadata, updatedAtMs: this.#ports.clock.wallMs() });
      return metadata;
    });
  }

  #value(metadata: Metadata, id: string, key: string): string {
    const value = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
    if (value !== undefined) return value;
    throw notFound(`${this.#owner.noun} ${id} has no metadata with key ${key}.`);
  }
}
