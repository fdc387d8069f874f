// An image's description: what is an attribute, what a property, and what is nonsense.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AndironError } from "../common/errors.ts";
import { parseImage, parseImageList } from "./image.ts";

const id = "11111111-1111-4111-8111-111111111111";
const isNonsense = (error: unknown): boolean => error instanceof AndironError && error.code === "glance_unavailable";

test("what is not an attribute of every image is a property, as text", () => {
  const image = parseImage({
    id,
    name: null,
    status: "active",
    size: 7,
    virtual_size: 1024,
    min_disk: 2,
    disk_format: "qcow2",
    container_format: "bare",
    os_hash_algo: "sha512",
    os_hash_value: "ab",
    visibility: "public",
    stores: "files",
    tags: ["a"],
    file: "/v2/images/x/file",
    hw_disk_bus: "virtio",
    os_admin_user: null,
    strange: { a: [1] },
  });
  assert.deepEqual(image.properties, { hw_disk_bus: "virtio", strange: '{"a":[1]}' });
  assert.deepEqual(image.hash, { algorithm: "sha512", value: "ab" });
  assert.deepEqual([image.sizeBytes, image.virtualSizeBytes, image.minDiskGib, image.minRamMib], [7, 1024, 2, 0]);
  assert.equal(parseImage({ id, status: "queued", os_hash_algo: "md5" }).hash, null);
});

test("an answer that is no image, or another one, is refused", () => {
  const others = "22222222-2222-4222-8222-222222222222";
  for (const body of [undefined, null, [], "x", {}, { id }, { status: "active" }, { id: others, status: "active" }]) {
    assert.throws(() => parseImage(body, id), isNonsense, JSON.stringify(body));
  }
  for (const wrong of [{ size: -1 }, { size: "5" }, { size: 1.5 }, { min_disk: 2 ** 60 }, { name: 1 }, { checksum: {} }]) {
    assert.throws(() => parseImage({ id, status: "active", ...wrong }, id), isNonsense, JSON.stringify(wrong));
  }
  assert.throws(() => parseImageList({ images: {} }), isNonsense);
  assert.deepEqual(
    parseImageList({ images: [{ id, status: "active" }] }).map((image) => image.id),
    [id],
  );
});

test("whatever is answered, it is an image or refused", () => {
  const keys = fc.constantFrom(
    "id",
    "status",
    "size",
    "min_disk",
    "name",
    "os_hash_algo",
    "os_hash_value",
    "owner",
    "x",
    "__proto__",
  );
  fc.assert(
    fc.property(fc.dictionary(keys, fc.jsonValue({ maxDepth: 2 })), (body) => {
      try {
        const image = parseImage(body);
        assert.ok(Object.values(image.properties).every((value) => typeof value === "string"));
        assert.ok(image.sizeBytes === null || image.sizeBytes >= 0);
      } catch (error) {
        assert.ok(isNonsense(error), String(error));
      }
    }),
  );
});
