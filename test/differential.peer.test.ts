// Andiron beside Debian's own Cinder: every operation of openapi.yaml that Cinder 21.3 has, called at both with the same
// requests, and every answer compared. What may differ is in differential/allowed-differences.ts, each with its reason.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { loadApiDocument, type ApiDocument } from "../src/api/operations.ts";
import { RouteTable } from "../src/api/route-table.ts";
import { type Reference, prepareReferenceCinder } from "./cloud/reference-cinder.ts";
import { allowedDifferences } from "./differential/allowed-differences.ts";
import { describe as describeDifference, sortDifferences } from "./differential/allowance.ts";
import { type Comparison, compareServices } from "./differential/both-services.ts";
import { findGaps, findIdleExemptions } from "./differential/coverage.ts";
import { exemptions } from "./differential/exemptions.ts";
import { allAreas } from "./differential/scenarios/all-areas.ts";
import { andironConfig, andironUser, sharedConfig } from "./differential/service-config.ts";
import { missingCommand } from "./harness/command.ts";
import { type AndironProcess, prepareAndiron } from "./harness/service.ts";
import { type Keystone, prepareKeystone } from "./keystone/keystone.ts";

const missing = await missingCommand(["keystone-manage", "cinder-api", "cinder-volume", "mariadbd", "rabbitmq-server"]);
const skip = missing !== undefined && `${missing} is not installed`;
/** The newest microversion of Cinder 21.3. */
const newestMinor = 70;

describe("beside Cinder 21.3", { skip, timeout: 3_600_000 }, () => {
  let keystone: Keystone;
  let reference: Reference;
  let andiron: AndironProcess;
  let document: ApiDocument;
  let comparison: Comparison;

  before(async () => {
    document = await loadApiDocument(fileURLToPath(new URL("../openapi.yaml", import.meta.url)));
    keystone = await prepareKeystone();
    reference = await prepareReferenceCinder(keystone, { config: sharedConfig });
    await keystone.grant(andironUser, "service", "service");
    andiron = await prepareAndiron(andironConfig(keystone.url));
    await andiron.start(300_000);
    const { host, port } = andiron.endpoints.api;
    const andironUrl = `http://${host}:${port}/v3`;
    const routes = new RouteTable(document.operations);
    const referenceUrl = reference.cinder.url;
    comparison = await compareServices({ keystone, referenceUrl, andironUrl, routes, newestMinor }, allAreas);
  });
  after(async () => {
    await andiron?.dispose();
    await reference?.dispose();
    await keystone?.dispose();
  });

  test("every answer is Cinder's, but for the differences that are allowed", (t) => {
    const { entries, differences } = comparison;
    const sorted = sortDifferences(differences, allowedDifferences);
    const { uses, unexplained } = sorted;
    t.diagnostic(`${entries.length} cells compared, ${differences.length} differences`);
    t.diagnostic(`${differences.length - unexplained.length} allowed, ${unexplained.length} not`);
    // The assertion's own message leaves out what is long.
    for (const difference of unexplained) t.diagnostic(`not allowed: ${describeDifference(difference)}`);
    assert.deepEqual(unexplained.map(describeDifference), []);
    const stale = allowedDifferences.filter((_, at) => uses[at] === 0).map(({ pattern }) => pattern.source);
    assert.deepEqual(stale, [], "allowed differences that are there no more");
  });

  test("no operation is left out", () => {
    assert.deepEqual(findGaps(document.operations, comparison.entries, newestMinor, exemptions), []);
    assert.deepEqual(findIdleExemptions(document.operations, exemptions), []);
  });
});
