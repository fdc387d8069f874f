// Who a request is from, by what is known of its tokens. Who knows it is a table here; the real Keystone is in
// test/keystone.peer.test.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { KeystoneToken } from "../keystone/keystone-token.ts";
import { Unauthorized } from "./http-fault.ts";
import { KeystoneAuth, type KeystoneAuthOptions } from "./keystone-auth.ts";

const plain: KeystoneToken = {
  userId: "ann",
  userDomainId: "default",
  projectId: "demo",
  projectDomainId: "default",
  projectName: "demo",
  domainId: undefined,
  systemScope: undefined,
  isAdminProject: undefined,
  roles: ["member", "reader"],
  expiresAtMs: 0,
  accessRules: undefined,
};
const known: Readonly<Record<string, KeystoneToken>> = {
  ann: plain,
  admin: { ...plain, userId: "root", roles: ["admin"] },
  nova: { ...plain, userId: "nova", roles: ["service"] },
  narrow: { ...plain, accessRules: [{ service: "block-storage", method: "GET", path: "/v3/volumes" }] },
  domain: { ...plain, projectId: undefined, projectName: undefined, projectDomainId: undefined, domainId: "d1" },
  system: {
    ...plain,
    projectId: undefined,
    projectName: undefined,
    projectDomainId: undefined,
    systemScope: "all",
    isAdminProject: false,
  },
};

function authenticate(headers: Readonly<Record<string, string>>, options: Partial<KeystoneAuthOptions> = {}) {
  const auth = new KeystoneAuth({
    validator: {
      validate: (token, options) => Promise.resolve(token === "expired" && options?.allowExpired === true ? plain : known[token]),
    },
    wwwAuthenticateUri: "https://keystone",
    serviceTokenRoles: ["Service"],
    serviceTokenRolesRequired: true,
    serviceType: "block-storage",
    isAdmin: ({ roles }) => roles.includes("admin"),
    ...options,
  });
  return auth.authenticate({ method: "GET", path: "/v3/volumes", headers, urlProjectId: undefined });
}

const refused = (error: unknown): boolean =>
  error instanceof Unauthorized && error.headers["www-authenticate"] === 'Keystone uri="https://keystone"';

test("the token says who it is, and nothing else of the head does", async () => {
  const made = { "x-user-id": "root", "x-roles": "admin", "x-project-id": "other", "x-service-roles": "service" };
  const { userToken, ...identity } = await authenticate({ "x-auth-token": " ann ", ...made });
  assert.equal(userToken?.(), "ann");
  assert.deepEqual(identity, {
    userId: "ann",
    projectId: "demo",
    roles: ["member", "reader"],
    serviceRoles: [],
    userDomainId: "default",
    projectDomainId: "default",
    projectName: "demo",
    isAdmin: false,
  });
  assert.equal((await authenticate({ "x-auth-token": "admin" })).isAdmin, true);
  assert.equal((await authenticate({ "x-storage-token": "ann" })).userId, "ann");
});

test("tokens of a domain and of the system have no project", async () => {
  const domain = await authenticate({ "x-auth-token": "domain" });
  assert.deepEqual([domain.projectId, domain.domainId, domain.systemScope], ["", "d1", undefined]);
  const system = await authenticate({ "x-auth-token": "system" });
  assert.deepEqual([system.projectId, system.systemScope, system.isAdminProject], ["", "all", false]);
});

const rejected: readonly Readonly<Record<string, string>>[] = [
  {},
  { "x-auth-token": "" },
  { "x-auth-token": "unknown" },
  { "x-auth-token": "expired" },
  { "x-service-token": "nova" },
  { "x-auth-token": "ann", "x-service-token": "unknown" },
  { "x-auth-token": "ann", "x-service-token": "ann" },
  { "x-auth-token": "expired", "x-service-token": "ann" },
];

for (const headers of rejected) {
  test(`${JSON.stringify(headers)} is refused`, () => assert.rejects(authenticate(headers), refused));
}

test("a service vouches for an expired token, and is remembered by its roles", async () => {
  const identity = await authenticate({ "x-auth-token": "expired", "x-service-token": "nova" });
  assert.deepEqual([identity.userId, identity.serviceRoles], ["ann", ["service"]]);
});

test("without service_token_roles_required any good service token may come along, but vouches for nothing", async () => {
  const options = { serviceTokenRolesRequired: false };
  const identity = await authenticate({ "x-auth-token": "ann", "x-service-token": "admin" }, options);
  assert.deepEqual(identity.serviceRoles, ["admin"]);
  await assert.rejects(authenticate({ "x-auth-token": "expired", "x-service-token": "admin" }, options), refused);
});

test("access rules hold for what comes from the user, and need our service type", async () => {
  assert.equal((await authenticate({ "x-auth-token": "narrow" })).userId, "ann");
  await assert.rejects(authenticate({ "x-auth-token": "narrow" }, { serviceType: "volumev3" }), refused);
  await assert.rejects(authenticate({ "x-auth-token": "narrow" }, { serviceType: "" }), refused);
  const vouched = await authenticate({ "x-auth-token": "narrow", "x-service-token": "nova" }, { serviceType: "" });
  assert.equal(vouched.userId, "ann");
});
