// The policy file in use: overrides, changes while serving, and files that are refused.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { renderPolicySample } from "../../../scripts/generated-files.ts";
import { systemClock } from "../../common/clock.ts";
import { AndironError } from "../../common/errors.ts";
import { requestContext } from "../cinder-fixture.ts";
import { PolicyFile } from "./policy-file.ts";
import { parsePolicyFile } from "./policy-yaml.ts";
import { RulePolicy } from "./rule-policy.ts";
import { defaultChecks } from "./rule-table.ts";

const member = requestContext("demo", false);
const own = { projectId: "demo" };

async function open(t: TestContext, { withLegacy = false } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "andiron-policy-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "policy.yaml");
  const policy = new RulePolicy();
  const told: unknown[] = [];
  const file = new PolicyFile({
    path,
    withLegacy,
    policy,
    // Nothing happens by itself: the test says when to look.
    clock: { ...systemClock, after: () => ({ cancel: () => undefined }) },
    onChanged: () => told.push("changed"),
    onTrouble: (error) => told.push(error),
  });
  t.after(() => file.stop());
  return { path, policy, file, told };
}

test("without a file the defaults hold, and a file that appears later is taken over", async (t) => {
  const { path, policy, file, told } = await open(t);
  await file.start();
  assert.equal(policy.allows(member, "volume:create", own), true);
  await writeFile(path, '"volume:create": "role:creator"\n');
  file.refresh();
  assert.deepEqual(told, ["changed"]);
  assert.equal(policy.allows(member, "volume:create", own), false);
  assert.equal(policy.allows({ ...member, roles: ["creator"] }, "volume:create", own), true);
  await rm(path);
  file.refresh();
  assert.equal(policy.allows(member, "volume:create", own), true);
});

test("a changed base rule changes all that use it, and who is an administrator", async (t) => {
  const { path, policy, file } = await open(t);
  await writeFile(path, "admin_api: role:keeper\ncontext_is_admin: role:keeper\n");
  await file.start();
  const keeper = { ...member, roles: ["keeper"] };
  assert.equal(policy.isAdmin(keeper), true);
  assert.equal(policy.isAdmin({ ...member, roles: ["admin"] }), false);
  assert.equal(policy.allows(keeper, "volume_extension:type_create", own), true);
});

test("a change that cannot be read is told once, and the rules before it stay", async (t) => {
  const { path, policy, file, told } = await open(t);
  await writeFile(path, "volume:create: role:creator\n");
  await file.start();
  await writeFile(path, "volume:create: role:creator or\n");
  file.refresh();
  file.refresh();
  assert.equal(told.length, 1);
  assert.match(String(told[0]), /policy\.yaml: the rule "volume:create" ends where a check should follow/);
  assert.equal(policy.allows({ ...member, roles: ["creator"] }, "volume:create", own), true);
  assert.equal(policy.allows(member, "volume:create", own), false);
});

const refused: readonly (readonly [string, RegExp])[] = [
  ["volume:get: role", /policy\.yaml: the rule "volume:get" "role" is no check/],
  ["volume:get: rule:volume:gte", /the rule "volume:get" refers to "volume:gte", which is no rule/],
  ["a: rule:b\nb: rule:a", /refers to itself: /],
  ["admin_api: rule:volume:force_delete", /refers to itself: /],
  ["volume:get: !", /policy\.yaml: line 1 /],
];

for (const [text, message] of refused) {
  test(`a service does not start with ${JSON.stringify(text)}`, async (t) => {
    const { path, file } = await open(t);
    await writeFile(path, text);
    await assert.rejects(file.start(), (error: unknown) => {
      return error instanceof AndironError && error.code === "config_invalid" && message.test(error.message);
    });
  });
}

test("with enforce_new_defaults off any role in the project will do, but not for administrators' rules", async (t) => {
  const { policy, file } = await open(t, { withLegacy: true });
  await file.start();
  const odd = { ...member, roles: ["other"] };
  assert.equal(policy.allows(odd, "volume:get", own), true);
  assert.equal(policy.allows(odd, "volume:get", { projectId: "else" }), false);
  assert.equal(policy.allows(odd, "volume:create", { projectId: "else" }), true);
  assert.equal(policy.allows(odd, "volume:force_delete", own), false);
});

test("the sample file, with every line taken into use, says what the defaults say", () => {
  const enabled = parsePolicyFile(renderPolicySample().replaceAll(/^#"/gm, '"'));
  assert.deepEqual(enabled, new Map(defaultChecks));
});
