// Keys of encrypted volumes, over a key manager of the test's own: whose bytes a volume, its snapshots, clones, images and new
// owners have; that no key is left over, and none is deleted that somebody has; what is refused.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test, type TestContext } from "node:test";
import { AndironError } from "../common/errors.ts";
import { admin, member, openFixture, stranger, type CinderFixture } from "./cinder-fixture.ts";
import { CinderFault } from "./faults.ts";
import { anImage } from "./image-rig.fixture.ts";
import { type ImageDescription, type Images, type NewImage, noImages } from "./images.ts";
import { fixedKeyId, fixedKeys, type KeyHolder, type Keys, noKeys } from "./keys.ts";
import type { Volume } from "./model.ts";

interface Secret {
  readonly bytes: string;
  readonly owner: string;
}

interface Rig extends CinderFixture {
  readonly secrets: Map<string, Secret>;
  readonly asked: string[];
  /** Ends with "away" or "refuses" the next requests, as often. */
  readonly trouble: ("none" | "away" | "refuses")[];
  readonly uploaded: NewImage[];
  readonly typeId: string;
  create(more?: object): Promise<Volume>;
  show(id: string): Promise<Volume>;
  bytesOf(keyId: string | undefined): string;
}

const ownerOf = (holder: KeyHolder): string => (holder === "ourselves" ? holder : holder.projectId);

async function open(t: TestContext, found: readonly ImageDescription[] = []): Promise<Rig> {
  const secrets = new Map<string, Secret>();
  const asked: string[] = [];
  const trouble: Rig["trouble"] = [];
  const uploaded: NewImage[] = [];
  const begin = (what: string): void => {
    const now = trouble.shift();
    if (now === "away") throw new AndironError("barbican_unavailable", "away");
    if (now === "refuses") throw new AndironError("key_refused", "no");
    asked.push(what);
  };
  const keep = (secret: Secret): string => {
    const id = randomUUID();
    secrets.set(id, secret);
    return id;
  };
  const words = new Map<string, string>();
  const remove = (keyId: string, owner: string): void => {
    const secret = secrets.get(keyId);
    assert.ok(secret === undefined || secret.owner === owner, `${owner} deletes a key of ${secret?.owner}`);
    secrets.delete(keyId);
  };
  const keys: Keys = {
    async create(context, { algorithm, bitLength }) {
      begin(`create ${algorithm} ${bitLength}`);
      return keep({ bytes: randomUUID(), owner: context.projectId });
    },
    async copy(keyId, from, to) {
      begin("copy");
      const secret = secrets.get(keyId);
      if (secret?.owner !== ownerOf(from)) throw new AndironError("key_not_found", "no such key");
      return keep({ bytes: secret.bytes, owner: ownerOf(to) });
    },
    vouch: (jobId, { projectId }) => void words.set(jobId, projectId),
    async delete({ jobId, keyId }) {
      begin("delete");
      remove(keyId, words.get(jobId) ?? "ourselves");
    },
    forget: (jobId) => void words.delete(jobId),
    certificate: noKeys.certificate,
    async discard(keyId, holder) {
      begin("discard");
      remove(keyId, ownerOf(holder));
    },
  };
  const images: Images = {
    ...noImages,
    find: () => Promise.resolve(found),
    copy: async ({ offset }) => ({ offset, isDone: true }),
    upload: async () => ({ sent: 1, isDone: true }),
    create: async (_context, image) => {
      uploaded.push(image);
      return { visibility: "shared", isProtected: false, ...image };
    },
  };
  const fixture = await openFixture(t, { keys, images, settings: { allowsForcedUpload: true } });
  const typeId = await makeType(fixture, "secret", "aes-xts-plain64");
  const { volumes } = fixture.cinder;
  return {
    ...fixture,
    secrets,
    asked,
    trouble,
    uploaded,
    typeId,
    create: async (more) => (await volumes.create(member, { sizeGib: 1, volumeType: "secret", ...more })).volume,
    show: async (id) => (await volumes.show(admin, id)).volume,
    bytesOf: (keyId) => secrets.get(keyId ?? "")?.bytes ?? "none",
  };
}

async function makeType({ cinder }: CinderFixture, name: string, cipher: string | null): Promise<string> {
  const { id } = await cinder.volumeTypes.create(admin, { name });
  const encryption = { provider: "luks", controlLocation: "front-end" as const, cipher, keySize: 256 };
  await cinder.typeEncryptions.create(admin, id, encryption);
  return id;
}

const refused =
  (why: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof CinderFault && why.test(error.message), String(error));
    return true;
  };

const remove = ({ cinder }: Rig, id: string): Promise<void> => cinder.volumes.delete(member, id, { cascade: true, force: false });

test("a volume has a key of its type's making, tells it to who attaches, and takes it along when it goes", async (t) => {
  const rig = await open(t);
  const { id, encryptionKeyId } = await rig.create();
  assert.deepEqual([rig.asked, rig.secrets.size], [["create aes 256"], 1]);
  assert.ok(rig.secrets.has(encryptionKeyId!));
  assert.deepEqual(await rig.cinder.volumes.encryption(member, id), {
    encryption_key_id: encryptionKeyId,
    provider: "luks",
    cipher: "aes-xts-plain64",
    control_location: "front-end",
    key_size: 256,
  });
  const row = await rig.cinder.attachments.create(member, { volumeId: id, connector: { host: "h" } });
  assert.equal(row.connectionInfo?.encrypted, true);
  await rig.cinder.attachments.delete(member, row.id);
  await rig.cinder.volumeActions.extend(member, id, 2, false);
  assert.equal((await rig.show(id)).encryptionKeyId, encryptionKeyId);
  await remove(rig, id);
  await rig.cinder.idle();
  assert.deepEqual([rig.secrets.size, rig.troubles], [0, []]);
});

test("a snapshot has its volume's key; what is made of either has the same bytes under a key of its own", async (t) => {
  const rig = await open(t);
  const source = await rig.create();
  const snapshot = await rig.cinder.snapshots.create(member, { volumeId: source.id, allowInUse: false });
  assert.equal(snapshot.encryptionKeyId, source.encryptionKeyId);
  const bytes = rig.bytesOf(source.encryptionKeyId);
  const clones = [await rig.create({ sourceVolumeId: source.id }), await rig.create({ snapshotId: snapshot.id })];
  for (const { encryptionKeyId } of clones) assert.equal(rig.bytesOf(encryptionKeyId), bytes);
  const keyIds = [source, ...clones].map(({ encryptionKeyId }) => encryptionKeyId);
  assert.equal(new Set(keyIds).size, 3);
  await remove(rig, source.id);
  await rig.cinder.idle();
  assert.deepEqual(new Set(rig.secrets.keys()), new Set(keyIds.slice(1)));
  const plain = await rig.cinder.volumeTypes.create(admin, { name: "plain" });
  const incompatible = refused(/Invalid volume_type provided: .* \(requested type is not compatible/);
  await assert.rejects(rig.create({ sourceVolumeId: clones[0]!.id, volumeType: plain.id }), incompatible);
  const { volume } = await rig.cinder.volumes.create(member, { sizeGib: 1, volumeType: plain.id });
  await assert.rejects(rig.create({ sourceVolumeId: volume.id }), incompatible);
  assert.equal(rig.secrets.size, 2);
});

test("what comes to nothing leaves no key, and asks for none when something else is wrong", async (t) => {
  const rig = await open(t);
  await rig.cinder.quotas.set(admin, "demo", { volumes: 1 });
  const { id } = await rig.create();
  await assert.rejects(rig.create(), CinderFault);
  await remove(rig, id);
  await rig.cinder.idle();
  assert.deepEqual(rig.asked, ["create aes 256", "delete"]);
  rig.trouble.push("refuses");
  await assert.rejects(rig.create(), refused(/^Key manager error$/));
  rig.trouble.push("away");
  await assert.rejects(rig.create(), (error) => error instanceof AndironError && error.code === "barbican_unavailable");
  assert.equal((await rig.cinder.quotas.show(member, "demo"))["volumes"]?.inUse, 0);
  await makeType(rig, "odd", null);
  await assert.rejects(rig.create({ volumeType: "odd" }), refused(/Invalid encryption spec/));
  // The quota is used up while the key is made.
  const racing = Promise.allSettled([rig.create(), rig.create(), rig.create()]);
  const made = (await racing).filter(({ status }) => status === "fulfilled");
  assert.deepEqual([made.length, rig.secrets.size], [1, 1]);
});

test("the key of a volume that is gone is deleted when the key manager is back; one that it refuses is told", async (t) => {
  const rig = await open(t);
  const [first, second] = [await rig.create(), await rig.create()];
  rig.trouble.push("away");
  await remove(rig, first.id);
  while (rig.secrets.has(first.encryptionKeyId!)) await rig.cinder.idle();
  rig.trouble.push("refuses");
  await remove(rig, second.id);
  await rig.cinder.idle();
  assert.ok(rig.secrets.has(second.encryptionKeyId!));
  assert.match(rig.troubles.join(), /key .*, which no volume has any more, stays in the key manager/);
});

test("a transfer hands the key on by way of ours, and back when it is withdrawn", async (t) => {
  const rig = await open(t);
  const { transfers, snapshots } = rig.cinder;
  const { id: volumeId, encryptionKeyId: first } = await rig.create();
  const snapshot = await snapshots.create(member, { volumeId, allowInUse: false });
  const bytes = rig.bytesOf(first);
  const request = { volumeId, name: null, noSnapshots: false, allowsEncrypted: true };
  await assert.rejects(transfers.create(member, { ...request, allowsEncrypted: false }), refused(/encrypted volume is not/));
  await assert.rejects(transfers.create(member, { ...request, noSnapshots: true }), refused(/without its snapshots/));
  const owns = async (owner: string): Promise<void> => {
    await rig.cinder.idle();
    const { encryptionKeyId } = await rig.show(volumeId);
    assert.deepEqual([...rig.secrets], [[encryptionKeyId, { bytes, owner }]]);
    assert.equal((await snapshots.show(admin, snapshot.id)).encryptionKeyId, encryptionKeyId);
  };
  const withdrawn = await transfers.create(member, request);
  await owns("ourselves");
  await transfers.delete(member, withdrawn.transfer.id);
  await owns("demo");
  const { transfer, authKey } = await transfers.create(member, request);
  await assert.rejects(transfers.accept(stranger, transfer.id, "wrong"), CinderFault);
  await owns("ourselves");
  rig.trouble.push("refuses");
  await assert.rejects(transfers.accept(stranger, transfer.id, authKey), refused(/Key manager error/));
  await owns("ourselves");
  await transfers.accept(stranger, transfer.id, authKey);
  await owns("other");
  assert.deepEqual(rig.troubles, []);
});

test("an image of an encrypted volume has a key of its own, and a volume of that image another", async (t) => {
  const found: ImageDescription[] = [];
  const rig = await open(t, found);
  const { id, encryptionKeyId } = await rig.create();
  const upload = { force: false, imageName: "i", diskFormat: "raw", containerFormat: "bare" };
  await assert.rejects(rig.cinder.volumeImages.upload(member, id, { ...upload, diskFormat: "qcow2" }), refused(/must use 'raw'/));
  await rig.cinder.volumeImages.upload(member, id, upload);
  await rig.cinder.idle();
  const { cinder_encryption_key_id: keyId, cinder_encryption_key_deletion_policy: policy } = rig.uploaded[0]!.properties;
  assert.equal(policy, "on_image_deletion");
  assert.notEqual(keyId, encryptionKeyId);
  found.push({ ...anImage, properties: rig.uploaded[0]!.properties });
  const made = await rig.create({ imageReference: anImage.id });
  await rig.cinder.idle();
  assert.equal(rig.bytesOf(made.encryptionKeyId), rig.bytesOf(encryptionKeyId));
  assert.equal(new Set([keyId, encryptionKeyId, made.encryptionKeyId]).size, 3);
  const shown = await rig.show(made.id);
  assert.deepEqual([shown.status, Object.keys(shown.imageMetadata).filter((name) => name.includes("key"))], ["available", []]);
  await assert.rejects(
    rig.cinder.volumeImages.reimage(member, id, { imageId: anImage.id, reserved: false }),
    refused(/encrypted/),
  );
  found.splice(0, 1, anImage);
  await assert.rejects(rig.create({ imageReference: anImage.id }), refused(/the service does not encrypt/));
});

test("what is not offered for encrypted volumes: many hosts at once, letting go, adopting, another encryption", async (t) => {
  const rig = await open(t);
  const { id } = await rig.create();
  await assert.rejects(rig.cinder.management.unmanageVolume(admin, id), refused(/Unmanaging encrypted volumes/));
  const many = await makeType(rig, "many", "aes-xts-plain64");
  await rig.cinder.volumeTypes.setExtraSpecs(admin, many, { multiattach: "<is> True" });
  await assert.rejects(rig.create({ volumeType: "many" }), refused(/Multiattach cannot be used with encrypted volumes/));
  const plain = await rig.cinder.volumeTypes.create(admin, { name: "plain" });
  await rig.cinder.volumeMoves.retype(member, id, plain.id, true);
  assert.equal((await rig.show(id)).typeId, rig.typeId);
});

test("with one key for all nothing is made and nothing deleted; without a key manager nothing is encrypted", async (t) => {
  for (const keys of [fixedKeys, noKeys]) {
    const fixture = await openFixture(t, { keys });
    await makeType(fixture, "secret", "aes-xts-plain64");
    const creating = fixture.cinder.volumes.create(member, { sizeGib: 1, volumeType: "secret" });
    if (keys === noKeys) {
      await assert.rejects(creating, refused(/^Key manager error$/));
      continue;
    }
    const { volume } = await creating;
    assert.equal(volume.encryptionKeyId, fixedKeyId);
    const clone = await fixture.cinder.volumes.create(member, { sourceVolumeId: volume.id });
    assert.equal(clone.volume.encryptionKeyId, fixedKeyId);
    await fixture.cinder.volumes.delete(member, volume.id, { cascade: false, force: false });
    await fixture.cinder.idle();
    assert.deepEqual(fixture.troubles, []);
  }
});

test("a copied group has a key for each of its volumes, and none is left when it comes to nothing, or goes", async (t) => {
  const rig = await open(t);
  const { groups, groupTypes } = rig.cinder;
  await groupTypes.create(admin, { name: "g" });
  const names = { name: null, description: null };
  const group = await groups.create(member, { ...names, groupType: "g", volumeTypes: ["secret"] });
  const originals = [await rig.create({ groupId: group.id }), await rig.create({ groupId: group.id })];
  const copy = (): Promise<{ readonly id: string; readonly volumeIds: readonly string[] }> =>
    groups.createFromSource(member, { ...names, sourceGroupId: group.id });
  const { id, volumeIds } = await copy();
  await rig.cinder.idle();
  const copies = await Promise.all(volumeIds.map((one) => rig.show(one)));
  assert.deepEqual(
    copies.map((one) => rig.bytesOf(one.encryptionKeyId)),
    originals.map((one) => rig.bytesOf(one.encryptionKeyId)),
  );
  assert.equal(new Set([...originals, ...copies].map((one) => one.encryptionKeyId)).size, 4);
  assert.equal(rig.secrets.size, 4);
  for (const trouble of ["away", "refuses"] as const) {
    rig.trouble.push("none", trouble);
    await assert.rejects(copy(), /away|Key manager error/);
    assert.equal(rig.secrets.size, 4, trouble);
  }
  for (const one of [id, group.id]) await groups.delete(member, one, true);
  await rig.cinder.idle();
  assert.equal(rig.secrets.size, 0);
});
