// That the reference is what it says: Debian's Cinder, which makes and deletes volumes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { missingCommand } from "../harness/command.ts";
import { prepareKeystone } from "../keystone/keystone.ts";
import { prepareReferenceCinder } from "./reference-cinder.ts";

const missing = await missingCommand(["keystone-manage", "cinder-api", "cinder-volume", "mariadbd", "rabbitmq-server"]);
const skip = missing !== undefined && `${missing} is not installed`;

test("the reference makes a volume and deletes it", { skip, timeout: 900_000 }, async (t) => {
  const keystone = await prepareKeystone();
  t.after(() => keystone.dispose());
  const reference = await prepareReferenceCinder(keystone);
  t.after(() => reference.dispose());
  await keystone.grant("member", "demo", "member");
  const headers = { "x-auth-token": await keystone.issue("member", "demo"), "content-type": "application/json" };
  const url = `${reference.cinder.url}/${await keystone.find("project", "demo")}/volumes`;
  const made = await fetch(url, { method: "POST", headers, body: JSON.stringify({ volume: { size: 1 } }) });
  assert.equal(made.status, 202);
  const { volume } = (await made.json()) as { volume: { id: string } };
  const show = async (): Promise<{ volume?: { status: string } }> =>
    (await (await fetch(`${url}/${volume.id}`, { headers })).json()) as { volume?: { status: string } };
  while ((await show()).volume!.status === "creating") await sleep(100);
  assert.equal((await show()).volume!.status, "available");
  assert.equal((await fetch(`${url}/${volume.id}`, { method: "DELETE", headers })).status, 202);
  while ((await show()).volume !== undefined) await sleep(100);
});
