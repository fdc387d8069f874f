// Every operation of openapi.yaml, sent by every kind of caller through Debian's Keystone. Who gets through is worked out from
// the default check of the rule that x-policy names, from whose record it is, and from the token; whoever does must succeed,
// on records made for it, and whoever does not is answered in Cinder's words. The code under test is asked nothing else.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { requestOf } from "../src/api/operation-requests.fixture.ts";
import { loadOperationFacts, type OperationFacts } from "../src/api/operations.ts";
import { defaultChecks, type PolicyRule } from "../src/cinder/policy/rule-table.ts";
import { missingCommand } from "./harness/command.ts";
import { GlanceDouble } from "./harness/glance-double.ts";
import { watchOperations } from "./harness/operation-record.ts";
import { OperationRecords } from "./harness/operation-records.ts";
import { type AndironProcess, type ConfigGroups, prepareAndiron } from "./harness/service.ts";
import { type Keystone, password, prepareKeystone } from "./keystone/keystone.ts";

const missing = await missingCommand(["keystone-manage", "qemu-img"]);
const operations = await loadOperationFacts(fileURLToPath(new URL("../openapi.yaml", import.meta.url)));

/** Who sends: the user, his project and his only role there. */
const callers = {
  service: ["tool", "demo", "service"],
  odd: ["odd", "demo", "other"],
  stranger: ["eve", "elsewhere", "member"],
  reader: ["rob", "demo", "reader"],
  member: ["ann", "demo", "member"],
  admin: ["boss", "demo", "admin"],
} as const;
type Kind = keyof typeof callers;
const kinds = Object.keys(callers) as Kind[];

/** Whom the three kinds of default checks let through in the own project. */
const passers: Readonly<Record<string, readonly Kind[]>> = {
  "rule:admin_api": ["admin"],
  "rule:xena_system_admin_or_project_member": ["admin", "member", "stranger"],
  "rule:xena_system_admin_or_project_reader": ["admin", "member", "stranger", "reader"],
};

/** Records of a project, by their names in paths, and the operations that name one in their body. */
const owned = /\{(volume|snapshot|backup|attachment|transfer|message|group|group_snapshot)_id\}/;
const namesOwnedInBody = new RegExp(
  "^(createSnapshot|manage(Old)?Snapshot|createAttachment(WithMode)?" +
    "|createBackup(WithMetadata|InZone)?|create(Old)?Transfer(WithSnapshots)?)$",
);
const namesGroupInBody = /^create(GroupSnapshot|Cgsnapshot|(Consistency)?GroupFromSource)$/;
/** Whoever knows its key may take another project's transfer: that is what it is for. */
const isForStrangers = /^accept(Old)?Transfer$/;

interface Outcome {
  readonly status: number;
  /** The sentence of a refusal by the policy. */
  readonly message?: string;
}

/** Undefined: it passes, and succeeds if it ever does. */
function refusalOf({ id, path, rules }: OperationFacts, kind: Kind): Outcome | undefined {
  const [rule] = id === "showLimits" ? [] : rules; // its rule is for other projects' limits
  const isForeign = owned.test(path) || namesOwnedInBody.test(id) || namesGroupInBody.test(id);
  if (kind === "stranger" && isForeign && !isForStrangers.test(id)) return { status: 404 };
  if (rule === undefined) return undefined;
  const passing = passers[defaultChecks.get(rule as PolicyRule)!]!;
  const targetsDemo = path.includes("{target_project_id}");
  if (passing.includes(kind) && !(kind === "stranger" && targetsDemo)) return undefined;
  // Cinder's default types do not say which rule it was.
  if (rule.startsWith("volume_extension:default_")) {
    return { status: 403, message: "You are not authorized to perform this operation." };
  }
  return { status: 403, message: `Policy doesn't allow ${rule} to be performed.` };
}

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

describe("every operation", { skip: missing !== undefined && `${missing} is not installed`, timeout: 1_200_000 }, () => {
  let folder = "";
  /** Takes images, and asks nobody who he is. */
  let glance: GlanceDouble;
  let keystone: Keystone;
  let service: AndironProcess;
  let uncached: AndironProcess;
  let records: OperationRecords;
  let demo = "";
  const tokens = new Map<Kind, string>();
  let deadTokens: readonly string[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-matrix-"));
    glance = new GlanceDouble(folder);
    await glance.start();
    keystone = await prepareKeystone();
    await keystone.grant("andiron", "service", "service");
    for (const [kind, [user, project, role]] of Object.entries(callers)) {
      await keystone.grant(user, project, role);
      tokens.set(kind as Kind, await keystone.issue(user, project));
    }
    demo = await keystone.find("project", "demo");
    const revoked = await keystone.issue("boss", "demo");
    const expired = await keystone.issue("boss", "demo", { short: true });
    await keystone.revoke(revoked);
    await sleep(3000);
    deadTokens = [revoked, expired, "", "garbage"];
    service = await prepareAndiron(configure(3600));
    uncached = await prepareAndiron(configure(-1));
    for (const each of [service, uncached]) await each.start(300_000);
    records = new OperationRecords(sendAsAdmin, demo, await glance.offer(Buffer.alloc(1024, 1), "raw"));
    await records.start();
  });
  after(async () => {
    await service?.dispose();
    await uncached?.dispose();
    await keystone?.dispose();
    glance?.stop();
    await rm(folder, { recursive: true, force: true });
  });
  watchOperations(import.meta.filename, () => service);

  function configure(token_cache_time: number): ConfigGroups {
    const keystone_authtoken = { auth_url: keystone.url, username: "andiron", password, token_cache_time };
    const DEFAULT = {
      auth_strategy: "keystone",
      max_over_subscription_ratio: 1000,
      quota_groups: -1,
      glance_api_servers: glance.url,
      enabled_backends: "vpool1,vpool2",
      backup_driver: "posix",
      quota_backups: -1,
    };
    return { DEFAULT, keystone_authtoken };
  }

  async function send(
    to: AndironProcess,
    method: string,
    path: string,
    { token, version, body }: { readonly token: string; readonly version: string; readonly body: string | undefined },
  ): Promise<Reply> {
    const { host, port } = to.endpoints.api;
    const headers = { "content-type": "application/json", "openstack-api-version": `volume ${version}` };
    const reply = await fetch(`http://${host}:${port}${path}`, {
      method,
      headers: { ...headers, ...(token === "" ? {} : { "x-auth-token": token }) },
      body: body ?? null,
    });
    return { status: reply.status, headers: reply.headers, text: await reply.text() };
  }

  async function sendAsAdmin(method: string, path: string, given?: unknown): Promise<never> {
    const body = given === undefined ? undefined : JSON.stringify(given);
    const { status, text } = await send(service, method, `/v3${path}`, { token: tokens.get("admin")!, version: "3.71", body });
    assert.ok(status < 300, `${method} ${path}: ${status} ${text}`);
    return (text.startsWith("{") ? JSON.parse(text) : {}) as never;
  }

  /** The names in braces that the request needs. */
  function namesOf(operation: OperationFacts): readonly string[] {
    const names: string[] = [];
    requestOf(operation, (name) => {
      names.push(name);
      return name;
    });
    return names;
  }

  async function call(operation: OperationFacts, kind: Kind, made: ReadonlyMap<string, string>): Promise<Reply> {
    const { method, path, version, body } = requestOf(operation, (name) => made.get(name) ?? name);
    // Half of the callers name their project in the URL.
    const below = ["odd", "reader", "member"].includes(kind) ? path.replace(/^\/v3\/(?=.)/, `/v3/${demo}/`) : path;
    return send(service, method, below, { token: tokens.get(kind)!, version, body });
  }

  for (const operation of operations) {
    const allowed = kinds.filter((kind) => refusalOf(operation, kind) === undefined);
    test(`${operation.id}: ${operation.open ? "everybody" : allowed.join(", ")}`, async () => {
      const names = namesOf(operation);
      const make = (): Promise<ReadonlyMap<string, string>> => records.make(operation.id, names);
      let made = await make();
      for (const kind of kinds) {
        const refusal = refusalOf(operation, kind);
        if (refusal === undefined) continue;
        const { status, text } = await call(operation, kind, made);
        assert.equal(status, refusal.status, `${kind}: ${text}`);
        const body = JSON.parse(text) as Record<string, { message: string }>;
        if (refusal.message === undefined) assert.ok("itemNotFound" in body, text);
        else assert.deepEqual(body, { forbidden: { code: 403, message: refusal.message } }, kind);
      }
      const changes = operation.method !== "GET" || operation.path.includes("ociate");
      for (const [index, kind] of allowed.entries()) {
        if (changes && index > 0) made = await make();
        const { status, text } = await call(operation, kind, made);
        if (operation.refusal === undefined) assert.equal(status, operation.status, `${kind}: ${text}`);
        else assert.ok(status === 400 || status === 404, `${kind}: ${status} ${text}`);
      }
      if (/Service|Host/.test(operation.id) && changes) await records.serveAgain(operation.id);
    });
  }

  test("without a token, or with an expired, revoked or made-up one, nobody gets anywhere, and is told where to go", async () => {
    for (const operation of operations) {
      const { method, path, version, body } = requestOf(operation, (name) => name);
      for (const token of deadTokens) {
        const { status, headers, text } = await send(uncached, method, path, { token, version, body });
        if (operation.open) {
          assert.equal(status, operation.status, operation.id);
          continue;
        }
        assert.equal(status, 401, `${operation.id}: ${text}`);
        assert.equal(headers.get("www-authenticate"), `Keystone uri="${keystone.url}"`);
      }
    }
    const good = { token: tokens.get("member")!, version: "3.0", body: undefined };
    assert.equal((await send(uncached, "GET", "/v3/volumes", good)).status, 200);
  });
});
