// The checked-in record of which operation of openapi.yaml succeeded in which test; docs/api-coverage.md is made from it. A test
// file says at its end what it saw, and fails when the record says anything else of it. With RECORD_OPERATIONS=1 in the
// environment it writes the record instead. Only answers that were really given count.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { after, afterEach } from "node:test";
import type { AndironProcess } from "./service.ts";

const checkout = resolve(import.meta.dirname, "../..");
const recordFile = "test/operations-seen.md";
const head =
  "# Operations seen to succeed\n\n" +
  "<!-- Written by tests with RECORD_OPERATIONS=1; docs/api-coverage.md is made from it. -->\n\n" +
  "| test file | operation | in the test |\n| --- | --- | --- |\n";

export interface Sighting {
  /** From the root of the checkout. */
  readonly file: string;
  readonly operationId: string;
  /** Name of the first test of the file that saw it succeed. */
  readonly test: string;
}

/** What a test file has seen so far. */
export class Sightings {
  readonly #seen = new Map<string, string>();

  get operationIds(): readonly string[] {
    return [...this.#seen.keys()];
  }

  add(operationId: string, test: string): void {
    if (!this.#seen.has(operationId)) this.#seen.set(operationId, test);
  }

  /** `path`: the test file's own (import.meta.filename). Fails unless the record has the same of it, all of whose tests ran. */
  checkRecord(path: string): void {
    if (process.execArgv.some((argument) => argument.startsWith("--test-name-pattern"))) return;
    const file = relative(checkout, path);
    const mine = [...this.#seen].map(([operationId, test]): Sighting => ({ file, operationId, test })).sort(compare);
    const recorded = readRecord();
    if (process.env["RECORD_OPERATIONS"] === "1") {
      writeRecord([...recorded.filter((one) => one.file !== file), ...mine]);
      return;
    }
    assert.deepEqual(
      mine,
      recorded.filter((one) => one.file === file),
      `${recordFile} is stale: run ${file} with RECORD_OPERATIONS=1, then npm run gen`,
    );
  }
}

/** In a describe(): after each test asks the service's counters what has succeeded, and at the end checks the record. */
export function watchOperations(path: string, service: () => AndironProcess): void {
  const seen = new Sightings();
  afterEach(async (context) => {
    for (const operationId of await readSucceeded(service())) seen.add(operationId, context.name);
  });
  after(() => seen.checkRecord(path));
}

/** The operations of which the running service counts a success. */
async function readSucceeded(service: AndironProcess): Promise<string[]> {
  const { host, port } = service.endpoints.api;
  const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
  const counters = text.matchAll(/^andiron_api_requests_total\{operation="(\w+)",status="[123]\d\d"\}/gm);
  return [...counters].map(([, operationId]) => operationId!).filter((operationId) => operationId !== "none");
}

/** Sorted by file and operation. */
export function readRecord(): readonly Sighting[] {
  const rows = readFileSync(join(checkout, recordFile), "utf8").matchAll(/^\| (\S+\.ts) \| (\w+) \| (.+) \|$/gm);
  return [...rows].map(([, file, operationId, test]) => ({ file: file!, operationId: operationId!, test: test! }));
}

function writeRecord(sightings: readonly Sighting[]): void {
  const rows = [...sightings].sort(compare).map(({ file, operationId, test }) => `| ${file} | ${operationId} | ${test} |\n`);
  writeFileSync(join(checkout, recordFile), head + rows.join(""));
}

function compare(left: Sighting, right: Sighting): number {
  const [a, b] = [left, right].map(({ file, operationId }) => `${file} ${operationId}`);
  return a! < b! ? -1 : 1;
}
