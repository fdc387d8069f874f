// What the parts of the contract suite stand on: a store for each test, and short words for transactions.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Operation, Registry, TransactionResult } from "./registry.ts";

export interface ContractStore {
  /** A new handle on this store, as a process of its own would have it. */
  open(): Promise<Registry>;
  /** A module with `openContractRegistry(location): Promise<Registry>`, for child processes, and what to give it. */
  readonly childModule: string;
  readonly location: string;
  /** Removes the store; all handles are closed. */
  remove(): Promise<void>;
}

export type MakeStore = () => Promise<ContractStore>;

export interface ContractContext {
  readonly store: ContractStore;
  /** One open handle. */
  readonly registry: Registry;
  /** Another handle, closed with the test. */
  open(): Promise<Registry>;
}

export type ContractTest = (context: ContractContext) => Promise<void>;
export type DefineTest = (title: string, body: ContractTest) => void;

export const put = (key: string, value: string, leaseId?: string): Operation =>
  leaseId === undefined ? { kind: "put", key, value } : { kind: "put", key, value, leaseId };

export const del = (key: string): Operation => ({ kind: "delete", key });

/** A transaction without conditions. */
export function write(registry: Registry, ...success: Operation[]): Promise<TransactionResult> {
  return registry.transact({ compares: [], success });
}

export function rejectsWith(code: string, promise: Promise<unknown>): Promise<void> {
  return assert.rejects(promise, { name: "AndironError", code });
}

/** A test() that gives each test a store of its own, and clears it away. */
export function defineWith(makeStore: MakeStore): DefineTest {
  return (title, body) => {
    test(title, async () => {
      const store = await makeStore();
      const handles: Registry[] = [];
      const open = async (): Promise<Registry> => {
        const registry = await store.open();
        handles.push(registry);
        return registry;
      };
      try {
        await body({ store, registry: await open(), open });
      } finally {
        for (const registry of handles) await registry.close();
        await store.remove();
      }
    });
  };
}
