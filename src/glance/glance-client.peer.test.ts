// The client of Glance against Debian's Glance and Keystone: who sees which image, bytes and Range, hashes, new images.

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { createHash, randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { type Glance, prepareGlance } from "../../test/cloud/glance.ts";
import { type RabbitMq, prepareRabbitMq } from "../../test/cloud/rabbitmq.ts";
import { missingCommand } from "../../test/harness/command.ts";
import { type Keystone, password, prepareKeystone } from "../../test/keystone/keystone.ts";
import { systemClock } from "../common/clock.ts";
import { AndironError, type ErrorCode } from "../common/errors.ts";
import { seededRandom } from "../common/random.ts";
import { ServiceHttp } from "../keystone/service-http.ts";
import { ServiceSession } from "../keystone/service-session.ts";
import { GlanceClient, type ImageAsker, type NewImage } from "./glance-client.ts";
import { GlanceHttp } from "./glance-http.ts";

const missing = await missingCommand(["keystone-manage", "glance-manage", "uwsgi-core", "rabbitmq-server"]);
const content = seededRandom(2).bytes(3_000_000);
const { signal } = new AbortController();

async function* inPieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
}

const is =
  (code: ErrorCode) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof AndironError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };

describe("a real Glance", { skip: missing !== undefined && `${missing} is not installed`, timeout: 600_000 }, () => {
  let keystone: Keystone;
  let broker: RabbitMq;
  let glance: Glance;
  let client: GlanceClient;
  let alice: ImageAsker;
  let bob: ImageAsker;
  const closing: { close(): Promise<void> }[] = [];

  before(async () => {
    [keystone, broker] = await Promise.all([prepareKeystone(), prepareRabbitMq()]);
    glance = await prepareGlance({ keystone, broker });
    await keystone.grant("alice", "red", "member");
    await keystone.grant("bob", "blue", "member");
    const asker = async (user: string, project: string): Promise<ImageAsker> => {
      return { token: await keystone.issue(user, project), requestId: `req-${randomUUID()}` };
    };
    [alice, bob] = [await asker("alice", "red"), await asker("bob", "blue")];
    const connection = { caFile: "", insecure: false, timeoutMs: 30_000 };
    const identity = { ...connection, retriesMax: 2, clock: systemClock, service: "Keystone" } as const;
    const toKeystone = new ServiceHttp({ ...identity, failure: "keystone_unavailable" });
    const http = new ServiceHttp({ ...identity, retriesMax: 0, service: "Glance", failure: "glance_unavailable" });
    const bytes = new GlanceHttp(connection);
    closing.push(toKeystone, http, bytes);
    const domain = { user_domain_name: "Default", user_domain_id: "", project_domain_name: "Default", project_domain_id: "" };
    const project = { project_name: "service", project_id: "", application_credential_id: "", application_credential_secret: "" };
    const credentials = {
      auth_type: "password",
      auth_url: keystone.url,
      username: "glance",
      password,
      ...domain,
      ...project,
    } as const;
    const session = new ServiceSession({ http: toKeystone, credentials, clock: systemClock, group: "keystone_authtoken" });
    const choice = { serviceTypes: ["image"], interface: "publicURL", region: "" };
    const servers = async (): Promise<string[]> => [await session.endpoint(choice)];
    client = new GlanceClient({ http, bytes, servers, retriesMax: 2, clock: systemClock });
  });

  after(async () => {
    for (const one of closing) await one.close();
    for (const part of [glance, broker, keystone]) await part?.dispose();
  });

  const described = (name: string): NewImage => {
    const formats = { diskFormat: "raw", containerFormat: "bare", visibility: "private" } as const;
    return {
      id: randomUUID(),
      name,
      ...formats,
      isProtected: false,
      minDiskGib: 1,
      minRamMib: 64,
      properties: { hw_rng: "yes" },
    };
  };

  async function read(asker: ImageAsker, id: string, offset: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of client.read(asker, { id, sizeBytes: content.length, offset, signal })) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  test("an image is made, described, found by name and read, from any offset on", async () => {
    const wanted = described("a disk & more");
    assert.equal((await client.create(alice, wanted)).status, "queued");
    assert.equal((await client.create(alice, wanted)).id, wanted.id);
    await client.upload(alice, wanted.id, inPieces(content), signal);
    const image = await client.show(alice, wanted.id);
    assert.deepEqual([image.status, image.sizeBytes, image.minDiskGib, image.minRamMib], ["active", content.length, 1, 64]);
    assert.deepEqual([image.diskFormat, image.containerFormat, image.visibility], ["raw", "bare", "private"]);
    assert.deepEqual([image.hash?.algorithm, image.hash?.value], ["sha512", createHash("sha512").update(content).digest("hex")]);
    assert.equal(image.checksum, createHash("md5").update(content).digest("hex"));
    assert.equal(image.properties["hw_rng"], "yes");
    assert.deepEqual(
      (await client.findByName(alice, "a disk & more")).map(({ id }) => id),
      [wanted.id],
    );
    assert.deepEqual(await client.findByName(bob, "a disk & more"), []);
    assert.ok((await read(alice, wanted.id, 0)).equals(content));
    assert.ok((await read(alice, wanted.id, 1_234_567)).equals(content.subarray(1_234_567)));
    await assert.rejects(client.upload(alice, wanted.id, inPieces(content), signal), is("image_unacceptable"));
  });

  test("bytes that come in large pieces are sent in such as Glance takes; a protected image can be taken away", async () => {
    const wanted = { ...described("large pieces"), isProtected: true };
    await client.create(alice, wanted);
    await client.upload(alice, wanted.id, Readable.from([Buffer.alloc(3 * 1024 * 1024), content], { objectMode: true }), signal);
    assert.equal((await client.show(alice, wanted.id)).sizeBytes, 3 * 1024 * 1024 + content.length);
    await client.delete(alice, wanted.id);
    await client.delete(alice, wanted.id);
    await assert.rejects(client.show(alice, wanted.id), is("image_not_found"));
  });

  test("Glance decides who sees an image and its bytes", async () => {
    const wanted = described("hers");
    await client.create(alice, wanted);
    await client.upload(alice, wanted.id, inPieces(content), signal);
    await assert.rejects(client.show(bob, wanted.id), is("image_not_found"));
    await assert.rejects(read(bob, wanted.id, 0), is("image_not_found"));
    await assert.rejects(client.show({ ...alice, token: "nonsense" }, wanted.id), is("image_forbidden"));
    await assert.rejects(client.show(alice, randomUUID()), is("image_not_found"));
    await assert.rejects(client.show(alice, "../../v2/images"), is("image_not_found"));
    const deactivated = await fetch(`${glance.url}/v2/images/${wanted.id}/actions/deactivate`, {
      method: "POST",
      headers: { "x-auth-token": keystone.adminToken },
    });
    assert.equal(deactivated.status, 204);
    assert.equal((await client.show(alice, wanted.id)).status, "deactivated");
    await assert.rejects(read(alice, wanted.id, 0), is("image_forbidden"));
  });
});
