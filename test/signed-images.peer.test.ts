// Volumes from signed images: signatures and certificates by openssl, the certificates in a real Barbican, read by the caller's
// token. Glance is a server of the test's own.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Barbican, prepareBarbican } from "./cloud/barbican.ts";
import { BlockStorage } from "./harness/block-storage.ts";
import { missingCommand, runOk } from "./harness/command.ts";
import { GlanceDouble } from "./harness/glance-double.ts";
import { noise } from "./harness/nbd.ts";
import { type AndironProcess, prepareAndiron } from "./harness/service.ts";
import { type Keystone, password, prepareKeystone } from "./keystone/keystone.ts";

const missing = await missingCommand(["keystone-manage", "barbican-wsgi-api", "uwsgi-core", "openssl", "cinder"]);
const bytes = noise(1, 3 * 1024 * 1024);
const keyArgs = { "RSA-PSS": ["rsa:2048"], ECC_SECP384R1: ["ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"] } as const;
type KeyType = keyof typeof keyArgs;

interface Shown {
  readonly id: string;
  readonly status: string;
  readonly volume_image_metadata?: Readonly<Record<string, string>>;
}

describe("signed images", { skip: missing !== undefined && `${missing} is not installed`, timeout: 600_000 }, () => {
  let folder = "";
  let glance: GlanceDouble;
  let keystone: Keystone;
  let barbican: Barbican;
  let service: AndironProcess;
  let api: BlockStorage;
  let token = "";

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "andiron-signed-"));
    glance = new GlanceDouble(folder);
    await glance.start();
    keystone = await prepareKeystone();
    barbican = await prepareBarbican(keystone);
    await keystone.grant("andiron", "service", "service");
    await keystone.grant("alice", "red", "member");
    service = await prepareAndiron({
      DEFAULT: { auth_strategy: "keystone", glance_api_servers: glance.url },
      keystone_authtoken: { auth_url: keystone.url, username: "andiron", password },
    });
    await service.start(120_000);
    const { host, port } = service.endpoints.api;
    await keystone.publish("block-storage", `http://${host}:${port}/v3/$(project_id)s`);
    token = await keystone.issue("alice", "red");
    api = new BlockStorage(service, { project: await keystone.find("project", "red"), token });
  });
  after(async () => {
    await service?.dispose();
    await barbican?.dispose();
    await keystone?.dispose();
    glance?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** The properties of the image that these bytes are signed as; the certificate is in Barbican. */
  async function sign(keyType: KeyType, content: Buffer): Promise<Record<string, string>> {
    await writeFile(join(folder, "content"), content);
    const made = ["-newkey", ...keyArgs[keyType], "-nodes", "-keyout", "key.pem", "-out", "cert.pem"];
    await runOk("openssl", ["req", "-x509", "-batch", "-days", "1", "-subj", "/CN=signer", ...made], { folder });
    const pss = keyType === "RSA-PSS" ? ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:max"] : [];
    await runOk("openssl", ["dgst", "-sha256", "-sign", "key.pem", ...pss, "-out", "signature", "content"], { folder });
    const payload = await readFile(join(folder, "cert.pem"));
    const reply = await fetch(`${barbican.url}/v1/secrets`, {
      method: "POST",
      headers: { "x-auth-token": token, "content-type": "application/json" },
      body: JSON.stringify({
        secret_type: "certificate",
        payload: payload.toString("base64"),
        payload_content_type: "application/octet-stream",
        payload_content_encoding: "base64",
      }),
    });
    const { secret_ref: reference } = (await reply.json()) as { secret_ref: string };
    return {
      img_signature: (await readFile(join(folder, "signature"))).toString("base64"),
      img_signature_hash_method: "SHA-256",
      img_signature_key_type: keyType,
      img_signature_certificate_uuid: reference.split("/").at(-1)!,
    };
  }

  async function create(properties: Readonly<Record<string, string>>): Promise<Shown> {
    const imageRef = await glance.offer(bytes, "raw", properties);
    const { volume } = await api.call<{ volume: Shown }>("POST", "/volumes", { volume: { size: 1, imageRef } });
    return settled(volume.id);
  }

  async function settled(id: string): Promise<Shown> {
    for (;;) {
      const { volume: shown } = await api.call<{ volume: Shown }>("GET", `/volumes/${id}`);
      if (!["creating", "downloading"].includes(shown.status)) return shown;
      await sleep(50);
    }
  }

  async function fails(properties: Readonly<Record<string, string>>, why: RegExp): Promise<void> {
    const { id, status } = await create(properties);
    assert.equal(status, "error");
    type Messages = { readonly messages: readonly { readonly user_message: string; readonly event_id: string }[] };
    const { messages } = await api.call<Messages>("GET", `/messages?resource_uuid=${id}`);
    assert.deepEqual(
      messages.map(({ event_id }) => event_id),
      ["VOLUME_VOLUME_005_011"],
    );
    assert.match(messages[0]!.user_message, /^copy image to volume:Image signature verification failed\./);
    assert.match(messages[0]!.user_message, why);
    await api.delete("volumes", id);
  }

  for (const keyType of Object.keys(keyArgs) as KeyType[])
    test(`${keyType}: what was signed is taken and said to be verified; other bytes are not`, async () => {
      const shown = await create(await sign(keyType, bytes));
      assert.deepEqual([shown.status, shown.volume_image_metadata?.["signature_verified"]], ["available", "True"]);
      await api.delete("volumes", shown.id);
      await fails(await sign(keyType, Buffer.from("other bytes")), /signature is wrong/);
    });

  test("a certificate that is not there, another's key, and half a signature", async () => {
    const good = await sign("RSA-PSS", bytes);
    await fails({ ...good, img_signature_certificate_uuid: randomUUID() }, /Failed to get verifier/);
    await fails({ ...good, img_signature_key_type: "ECC_SECP384R1" }, /differ in the key/);
    const { img_signature: _left, ...half } = good;
    await fails(half, /Signature metadata is incomplete/);
    const other = await sign("RSA-PSS", bytes);
    await fails({ ...other, img_signature: good["img_signature"] ?? "" }, /signature is wrong/);
  });

  test("the cinder client puts another image into a volume: a signed one, which is verified too", async () => {
    const env = {
      OS_AUTH_URL: keystone.url,
      OS_USERNAME: "alice",
      OS_PASSWORD: password,
      OS_PROJECT_NAME: "red",
      OS_USER_DOMAIN_ID: "default",
      OS_PROJECT_DOMAIN_ID: "default",
      OS_VOLUME_API_VERSION: "3.68",
    };
    const { id } = await create(await sign("RSA-PSS", bytes));
    const next = await glance.offer(bytes, "raw", await sign("ECC_SECP384R1", bytes));
    await runOk("cinder", ["reimage", id, next], { env });
    const { status, volume_image_metadata: metadata } = await settled(id);
    assert.deepEqual([status, metadata?.["image_id"], metadata?.["signature_verified"]], ["available", next, "True"]);
    await runOk("cinder", ["reimage", id, await glance.offer(Buffer.alloc(1000), "raw", { img_signature: "x" })], { env });
    assert.equal((await settled(id)).status, "error");
    await api.delete("volumes", id);
  });

  test("Barbican away: no volume is made", async () => {
    const imageRef = await glance.offer(bytes, "raw", await sign("RSA-PSS", bytes));
    await barbican.stop();
    const { status } = await api.request("POST", "/volumes", { volume: { size: 1, imageRef } });
    assert.deepEqual([status, await api.volumes()], [503, []]);
  });
});
