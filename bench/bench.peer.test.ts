// The benchmarks as they are run: one row in quick mode, whose JSON must have the promised shape. No figure is judged.

import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { missingCommand, run } from "../test/harness/command.ts";
import type { Row } from "./row.ts";

const program = resolve(import.meta.dirname, "bench.ts");
const missing = await missingCommand(["fio", "nbdkit", "nbdcopy", "qemu-nbd", "qemu-img", "setpriv", "wrk", "keystone-manage"]);
const skip = missing === undefined ? false : `${missing} is not installed`;

test("data --json prints one object of rows and nothing else, one for each peer", { skip, timeout: 120_000 }, async () => {
  const args = [program, "data", "--json", "--quick", "--only", "write + flush QD1"];
  const { code, stdout, stderr } = await run(process.execPath, args);
  assert.equal(code, 0, stderr);
  const { rows } = JSON.parse(stdout) as { rows: Row[] };
  assert.deepEqual(
    rows.map(({ name, peerName, unit, aim }) => ({ name, peerName, unit, aim })),
    [
      { name: "write + flush QD1", peerName: "qemu-nbd", unit: "IOPS", aim: 1.2 },
      { name: "write + flush QD1", peerName: "nbdkit file", unit: "IOPS", aim: 1 },
    ],
  );
  for (const row of rows) {
    for (const figure of [row.ours, row.peer, row.ratio]) assert.ok(figure > 0, JSON.stringify(row));
    assert.equal(typeof row.reached, "boolean");
  }
});

test("data --client-limit has a server beside it that does nothing, and no aim there", { skip, timeout: 120_000 }, async () => {
  const args = [program, "data", "--json", "--quick", "--only", "write + flush QD1", "--client-limit"];
  const { code, stdout, stderr } = await run(process.execPath, args);
  assert.equal(code, 0, stderr);
  const { rows } = JSON.parse(stdout) as { rows: Row[] };
  const peers = rows.map(({ peerName, aim }) => [peerName, aim]);
  assert.deepEqual(peers, [
    ["qemu-nbd", 1.2],
    ["nbdkit file", 1],
    ["nbdkit null", null],
  ]);
  assert.ok(rows.every(({ ours, peer }) => ours > 0 && peer > 0));
});

test("a row that does not exist is refused with the names of those that do", { skip }, async () => {
  const { code, stdout, stderr } = await run(process.execPath, [program, "data", "--only", "no such row"]);
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /random read hot QD32/);
});

test("api --json measures a crowd beside a hundred", { skip, timeout: 600_000 }, async () => {
  const args = [program, "api", "--json", "--quick", "--only", "crowded: GET"];
  const { code, stdout, stderr } = await run(process.execPath, args, { timeoutMs: 600_000 });
  assert.equal(code, 0, stderr);
  const { rows } = JSON.parse(stdout) as { rows: Row[] };
  assert.deepEqual(
    rows.map(({ name, peerName, unit, aim }) => ({ name, peerName, unit, aim })),
    [{ name: "crowded: GET a volume", peerName: "with 100", unit: "ms", aim: 0.5 }],
  );
  assert.ok(rows[0]!.ours > 0 && rows[0]!.peer > 0);
});
