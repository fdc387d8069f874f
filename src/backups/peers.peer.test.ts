// Backups in Debian's Swift, by its own API and by S3's: a chain is written by several claims, restored, and erased by name; and
// what a user of the store would see is no byte of the volume when there is a key.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { missingCommand } from "../../test/harness/command.ts";
import { type Swift, prepareSwift, swiftPrograms } from "../../test/cloud/swift.ts";
import { systemClock } from "../common/clock.ts";
import { systemRandom } from "../common/random.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import { openS3Store } from "../object-store/s3-store.ts";
import { openSwiftStore } from "../object-store/swift-store.ts";
import { BackupRig, KiB, MiB } from "./backup-rig.test.ts";
import { EncryptionKeys } from "./encryption-keys.ts";

const missing = await missingCommand(swiftPrograms);
const skip = missing !== undefined && `${missing} is not installed`;
const timing = { clock: systemClock, random: systemRandom };
const trust = { caFile: "", insecure: false, create: true };
const text = "what nobody else may read ";

describe("backups in Debian's Swift", { skip, timeout: 1_200_000 }, () => {
  let swift: Swift;
  before(async () => {
    swift = await prepareSwift();
  });
  after(() => swift?.dispose());

  const stores: Readonly<Record<string, () => Promise<ObjectStore>>> = {
    swift: () => {
      const auth = { kind: "v1", authUrl: `${swift.url}/auth/v1.0`, user: "test:tester", key: "testing" } as const;
      return openSwiftStore({ auth, container: "volumebackups", ...trust }, timing);
    },
    s3: () => {
      const credentials = { accessKey: "test:tester", secretKey: "testing", region: "us-east-1" };
      const place = { endpoint: swift.url, credentials, bucket: "s3backups", conditionalPut: "server" } as const;
      return openS3Store({ ...place, ...trust }, timing);
    },
  };

  for (const [label, openStore] of Object.entries(stores)) {
    for (const keys of [undefined, EncryptionKeys.parse(`k1 ${"5a".repeat(32)}`, "/keys")]) {
      test(`a chain in ${label}, ${keys === undefined ? "in the clear" : "encrypted"}`, async (t) => {
        const compression = keys === undefined ? "zstd" : "none";
        const rig = await BackupRig.open(16 * MiB, { openStore, keys, compression, chunkBytes: 256 * KiB });
        t.after(() => rig.close());
        await rig.write(MiB, Buffer.alloc(2 * MiB, text));
        const first = await rig.backup({ deaths: [true, false, true], yields: true });
        await rig.write(2 * MiB, systemRandom.bytes(MiB));
        await rig.zero(MiB, 64 * KiB);
        const second = await rig.backup({ parent: first });
        await rig.checkRestore([first], true);
        await rig.checkRestore([first, second]);
        const [name] = await rig.names();
        const seen = await rig.store.get(name!);
        if (keys !== undefined) assert.ok(!seen.includes(text));
        for (const { location } of [second, first]) await rig.erase(location);
        assert.deepEqual(await rig.names(), []);
      });
    }
  }
});
