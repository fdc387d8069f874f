// The limits of the registry's contract, checked in the caller's thread before a request goes anywhere. Shared by all
// implementations, so that the same request is refused with the same code whatever lies underneath.
// Throws AndironError; changes nothing. It does not know the state of the store.

import { AndironError } from "../common/errors.ts";
import { registryLimits } from "./registry.ts";
import type { Operation, RangeRequest, Transaction, WatchRequest } from "./registry.ts";

const printable = /^[!-~]*$/;

export function checkKey(key: string): void {
  checkPrefix(key);
  if (key === "") throw new AndironError("invalid_request", "a registry key must not be empty");
}

function checkPrefix(prefix: string): void {
  if (prefix.length > registryLimits.keyBytesMax) {
    throw new AndironError("invalid_request", `a registry key has at most ${registryLimits.keyBytesMax} bytes`);
  }
  if (!printable.test(prefix)) {
    throw new AndironError("invalid_request", `a registry key is printable ASCII without space: ${JSON.stringify(prefix)}`);
  }
}

function checkInteger(what: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new AndironError("invalid_request", `${what} must be an integer from ${min} to ${max}, not ${value}`);
  }
}

export function checkRange(request: RangeRequest): void {
  checkPrefix(request.prefix);
  if (request.after !== undefined) checkPrefix(request.after);
  if (request.limit !== undefined) checkInteger("the limit of a range", request.limit, 1, registryLimits.rangeEntriesMax);
}

export function checkWatch(request: WatchRequest): void {
  checkPrefix(request.prefix);
  checkRevision(request.fromRevision);
}

export function checkRevision(revision: number): void {
  checkInteger("a revision", revision, 1, Number.MAX_SAFE_INTEGER);
}

export function checkTtl(ttlMs: number): void {
  checkInteger("the time of a lease in ms", ttlMs, registryLimits.leaseTtlMsMin, registryLimits.leaseTtlMsMax);
}

/** Checks one branch; returns the bytes of its keys and values. */
function checkOperations(operations: readonly Operation[]): number {
  const keys = new Set<string>();
  let sizeBytes = 0;
  for (const operation of operations) {
    checkKey(operation.key);
    if (keys.has(operation.key)) throw new AndironError("invalid_request", `key ${operation.key} is written twice`);
    keys.add(operation.key);
    sizeBytes += operation.key.length;
    if (operation.kind === "delete") continue;
    const valueBytes = Buffer.byteLength(operation.value);
    if (valueBytes > registryLimits.valueBytesMax) {
      throw new AndironError(
        "record_too_large",
        `${operation.key} has ${valueBytes} bytes, at most ${registryLimits.valueBytesMax}`,
      );
    }
    if (!operation.value.isWellFormed())
      throw new AndironError("invalid_request", `the value of ${operation.key} is not UTF-8 text`);
    sizeBytes += valueBytes;
  }
  return sizeBytes;
}

/** Returns the bytes of all keys and values, for the account of what is pending. */
export function checkTransaction(transaction: Transaction): number {
  const { compares, success, failure = [] } = transaction;
  const count = Math.max(compares.length, success.length, failure.length);
  if (count > registryLimits.operationsMax) {
    throw new AndironError("transaction_too_large", `${count} operations, at most ${registryLimits.operationsMax}`);
  }
  let sizeBytes = 0;
  for (const compare of compares) {
    checkKey(compare.key);
    checkInteger("the revision to compare with", compare.modRevision, 0, Number.MAX_SAFE_INTEGER);
    sizeBytes += compare.key.length;
  }
  sizeBytes += checkOperations(success) + checkOperations(failure);
  if (sizeBytes > registryLimits.transactionBytesMax) {
    throw new AndironError("transaction_too_large", `${sizeBytes} bytes, at most ${registryLimits.transactionBytesMax}`);
  }
  return sizeBytes;
}
