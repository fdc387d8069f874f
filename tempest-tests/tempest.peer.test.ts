// OpenStack's own tests judge the service: all of Tempest's and of Cinder's plugin that are about the volume API, and ours,
// against Keystone, Glance, RabbitMQ and two vPools. What may fail or be skipped is in the lists beside this file.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Cloud, prepareCloud } from "../test/cloud/cloud.ts";
import { missingCommand } from "../test/harness/command.ts";
import { everything, readLists, runTempest, suites } from "./runner.ts";
import { countResults, excerpt, findComplaints } from "./verdict.ts";

const missing = await missingCommand([
  "tempest",
  "subunit2csv",
  "keystone-manage",
  "glance-manage",
  "rabbitmq-server",
  "uwsgi-core",
]);
const timeoutMs = 20 * 60_000;

describe("judged by Tempest", { skip: missing !== undefined && `${missing} is not installed`, timeout: timeoutMs }, () => {
  let cloud: Cloud | undefined;
  let folder = "";

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-tempest-"));
    cloud = await prepareCloud();
  });
  after(async () => {
    await cloud?.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  test("every test passes but those that are listed, and every row of a list is needed", async (t) => {
    const { results, output } = await runTempest(cloud!, everything, folder, () => undefined);
    t.diagnostic(countResults(results));
    const complaints = findComplaints(results, await readLists(false), true);
    const failed = complaints.filter((complaint) => complaint.startsWith("failed: ")).map((complaint) => complaint.slice(8));
    const shown = failed.slice(0, 20).map((name) => excerpt(output, name));
    assert.equal(complaints.length, 0, [...complaints, ...shown].join("\n"));
    for (const suite of suites) {
      assert.ok(
        results.some(({ name, outcome }) => name.startsWith(suite) && outcome === "success"),
        `${suite} is missing`,
      );
    }
  });
});
