// Swift with tempauth, Swift before Keystone, and S3, all of them Debian's Swift: the contract, random programs, and what is
// particular to each: credentials, tokens that end, what the server stores, and what it does not know.

import assert from "node:assert/strict";
import { type TestContext, after, before, describe, test } from "node:test";
import { inspect } from "node:util";
import { missingCommand } from "../../test/harness/command.ts";
import { type Keystone, password, prepareKeystone } from "../../test/keystone/keystone.ts";
import { type Swift, prepareSwift, swiftPrograms } from "../../test/cloud/swift.ts";
import { systemClock } from "../common/clock.ts";
import { seededRandom, systemRandom } from "../common/random.ts";
import { ServiceHttp } from "../keystone/service-http.ts";
import { ServiceSession } from "../keystone/service-session.ts";
import { testContract, withCode } from "./contract.ts";
import type { ObjectStore } from "./object-store.ts";
import { type S3StoreOptions, openS3Store } from "./s3-store.ts";
import { checkModel } from "./store-model.ts";
import { type SwiftStoreOptions, openSwiftStore } from "./swift-store.ts";

const missing = await missingCommand(swiftPrograms);
const skip = missing !== undefined && `${missing} is not installed`;
const timing = { clock: systemClock, random: systemRandom };
const trust = { caFile: "", insecure: false };
const bytes = seededRandom(5).bytes(100_000);

describe("object stores of Debian's Swift", { skip, timeout: 1_800_000 }, () => {
  let swift: Swift;
  let keystone: Keystone;
  let keystoneHttp: ServiceHttp;
  let containers = 0;
  before(async () => {
    swift = await prepareSwift();
    keystone = await prepareKeystone();
    await swift.startKeystoneProxy(keystone);
    await keystone.grant("backups", "service", "member");
    const http = { ...trust, timeoutMs: 60_000, retriesMax: 1, clock: systemClock, service: "Keystone" };
    keystoneHttp = new ServiceHttp({ ...http, failure: "keystone_unavailable" });
  });
  after(async () => {
    await keystoneHttp?.close();
    await swift?.dispose();
    await keystone?.dispose();
  });

  const newContainer = (): string => `container-${containers++}`;
  const v1 = (key = "testing", user = "test:tester") => ({ kind: "v1", authUrl: `${swift.url}/auth/v1.0`, user, key }) as const;

  function newSession(): ServiceSession {
    const ids = { user_domain_id: "default", user_domain_name: "", project_domain_id: "default", project_domain_name: "" };
    const none = { project_id: "", application_credential_id: "", application_credential_secret: "" };
    const who = { auth_url: keystone.url, username: "backups", password, project_name: "service" };
    const credentials = { auth_type: "password", ...who, ...ids, ...none } as const;
    return new ServiceSession({ http: keystoneHttp, credentials, clock: systemClock, group: "backups" });
  }

  function openSwift(options: Partial<SwiftStoreOptions> = {}): Promise<ObjectStore> {
    return openSwiftStore({ auth: v1(), container: newContainer(), create: true, ...trust, ...options }, timing);
  }

  function openKeystone(session: ServiceSession, container = newContainer()): Promise<ObjectStore> {
    return openSwift({ auth: { kind: "keystone", session, interface: "public", region: "RegionOne" }, container });
  }

  function openS3(options: Partial<S3StoreOptions> = {}): Promise<ObjectStore> {
    const credentials = { accessKey: "test:tester", secretKey: "testing", region: "us-east-1" };
    const where = { endpoint: swift.url, credentials, bucket: newContainer(), create: true };
    return openS3Store({ ...where, conditionalPut: "look-first", ...trust, ...options }, timing);
  }

  testContract("Swift with tempauth", () => openSwift());
  testContract("Swift with Keystone", () => openKeystone(newSession()));
  testContract("S3", () => openS3());

  for (const [label, open] of [
    ["Swift", openSwift],
    ["S3", openS3],
  ] as const) {
    test(`random programs do on ${label} what they do to a Map`, () => checkModel(5, () => open()));

    test(`a container of ${label} that is not there is refused, and made when that is asked for`, async () => {
      const name = `made-by-${label.toLowerCase()}`;
      const place = { container: name, bucket: name };
      await assert.rejects(open({ ...place, create: false }), withCode("store_refused"));
      for (const create of [true, true, false]) await (await open({ ...place, create })).close();
      await assert.rejects(open({ container: "A/B", bucket: "A/B" }), withCode("invalid_request"));
    });
  }

  test("wrong credentials are refused at once, and stand in no error", async () => {
    const credentials = { accessKey: "test:tester", secretKey: "wrong-s3cr3t", region: "us-east-1" };
    // One after the other: a refusal that nobody waits for yet would end the test.
    const openings = [() => openSwift({ auth: v1("wrong-s3cr3t") }), () => openS3({ credentials })];
    for (const opening of openings) {
      await assert.rejects(opening, (error: unknown) => {
        assert.ok(!inspect(error, { depth: 20, showHidden: true }).includes("wrong-s3cr3t"));
        return withCode("store_refused")(error);
      });
    }
  });

  test("who may not write is refused", async () => {
    await assert.rejects(openSwift({ auth: v1("reading", "test:reader") }), withCode("store_refused"));
  });

  test("tokens that Swift has forgotten are had anew, under small requests and under a long upload", async () => {
    const store = await openSwift();
    await store.put("before", bytes);
    await swift.forgetTokens();
    assert.ok((await store.get("before")).equals(bytes));
    const long = Buffer.alloc(32 * 1024 * 1024, bytes);
    await swift.forgetTokens();
    await store.put("long", long);
    assert.ok((await store.get("long")).equals(long));
    await swift.forgetTokens();
    await Promise.all(Array.from({ length: 6 }, (_, index) => store.put(`many-${index}`, bytes)));
    await store.close();
  });

  test("a token that was revoked in Keystone is had anew", async () => {
    const session = newSession();
    const store = await openKeystone(session);
    await store.put("before", bytes);
    const first = await session.token();
    await keystone.revoke(first);
    await store.put("after", bytes);
    assert.notEqual(await session.token(), first);
    await store.close();
  });

  test("one object is the same over Swift and S3", async () => {
    const container = newContainer();
    const [overSwift, overS3] = [await openSwift({ container }), await openS3({ bucket: container })];
    await overSwift.put("from/swift", bytes);
    assert.ok((await overS3.get("from/swift")).equals(bytes));
    await overS3.put("from/s3", bytes);
    assert.ok((await overSwift.get("from/s3")).equals(bytes));
    assert.deepEqual(await overSwift.head("from/s3"), await overS3.head("from/swift"));
    await overSwift.close();
    await overS3.close();
  });

  test("objects of other programs are listed where their names fit, and read in ranges only", async (t: TestContext) => {
    const container = newContainer();
    const stores = [await openSwift({ container }), await openS3({ bucket: container })];
    t.after(() => Promise.all(stores.map((store) => store.close())));
    await putPlainly(container, ["plain", "with space", "späß & <co>", "100%", "a+b", "zzz"]);
    for (const store of stores) {
      const seen: string[] = [];
      for (let after: string | undefined = ""; after !== undefined;) {
        const page = await store.list("", { after, limit: 1 });
        seen.push(...page.objects.map(({ name }) => name));
        after = page.next;
      }
      assert.deepEqual(seen, ["plain", "zzz"]);
      assert.deepEqual(await store.head("plain"), { sizeBytes: 7, sha256: undefined });
      assert.equal((await store.get("plain", { offset: 1, length: 3 })).toString(), "lai");
      await assert.rejects(store.get("plain"), withCode("object_damaged"));
    }
  });

  /** As any client of Swift does, without our metadata. */
  async function putPlainly(container: string, names: readonly string[]): Promise<void> {
    const { user, key, authUrl } = v1();
    const reply = await fetch(authUrl, { headers: { "x-auth-user": user, "x-auth-key": key } });
    const headers = { "x-auth-token": reply.headers.get("x-auth-token") ?? "" };
    for (const name of names) {
      const url = `${reply.headers.get("x-storage-url")}/${container}/${encodeURIComponent(name)}`;
      assert.equal((await fetch(url, { method: "PUT", headers, body: "plainly" })).status, 201);
    }
  }

  test("this S3 knows no conditional put, and says so to who asks for one", async () => {
    const store = await openS3({ conditionalPut: "server" });
    await store.put("one", bytes);
    await assert.rejects(store.put("two", bytes, { ifAbsent: true }), withCode("store_refused"));
    await store.close();
  });

  test("a Swift that is gone is unavailable", async () => {
    const store = await openSwift();
    await swift.stop();
    await assert.rejects(store.put("late", bytes), withCode("backend_unavailable"));
    await store.close();
  });
});
