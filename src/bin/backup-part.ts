// The part of a process that keeps the bytes of backups: which store, and how they are packed, from the configuration. The
// store is opened when it is needed first: a process starts without it.

import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { BackupStorage } from "../backups/backup-storage.ts";
import type { Compression } from "../backups/envelope.ts";
import { readKeyFile } from "../backups/key-file.ts";
import { type BackupBytes, noBackupBytes } from "../cinder/backups/backup-bytes.ts";
import { systemClock } from "../common/clock.ts";
import type { Config } from "../common/config.ts";
import { systemRandom } from "../common/random.ts";
import type { Service } from "../common/service.ts";
import type { ExportDirectory, SnapshotDirectory } from "../engine/device.ts";
import type { ServiceSession } from "../keystone/service-session.ts";
import { openDirectoryStore } from "../object-store/directory-store.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import { openS3Store } from "../object-store/s3-store.ts";
import { openSwiftStore, type SwiftStoreOptions } from "../object-store/swift-store.ts";
import { atomically } from "../registry/atomic.ts";
import type { Registry } from "../registry/registry.ts";

export interface BackupPartOptions {
  readonly config: Config;
  readonly registry: Registry;
  /** Our own standing with Keystone; undefined without Keystone. */
  readonly session: ServiceSession | undefined;
  readonly exports: ExportDirectory;
  readonly snapshots: SnapshotDirectory;
}

export interface BackupPart {
  readonly bytes: BackupBytes;
  readonly services: readonly Service[];
}

interface Driver {
  readonly defaultContainer: string;
  readonly chunkBytes: number;
  readonly openStore: () => Promise<ObjectStore>;
}

const timing = { clock: systemClock, random: systemRandom };

/** Rejects with config_invalid for keys that can't be used. */
export async function makeBackupPart(options: BackupPartOptions): Promise<BackupPart> {
  const { DEFAULT } = options.config;
  const driver = driverOf(options);
  if (driver === undefined) return { bytes: noBackupBytes, services: [] };
  const keyFile = DEFAULT.backup_encryption_key_file;
  const keys = keyFile === "" ? undefined : await readKeyFile(keyFile);
  const { exports, snapshots } = options;
  const compression = compressions[DEFAULT.backup_compression_algorithm];
  const bytes = new BackupStorage({ ...driver, exports, snapshots, compression, keys, ...timing });
  const service: Service = { id: "backups", start: () => Promise.resolve(), stop: () => bytes.close() };
  return { bytes, services: [service] };
}

const compressions: Readonly<Record<Config["DEFAULT"]["backup_compression_algorithm"], Compression>> = {
  none: "none",
  off: "none",
  no: "none",
  zlib: "zlib",
  gzip: "zlib",
  zstd: "zstd",
};

function driverOf({ config: { DEFAULT, keystone_authtoken }, registry, session }: BackupPartOptions): Driver | undefined {
  switch (DEFAULT.backup_driver) {
    case "none":
      return undefined;
    case "posix":
    case "cinder.backup.drivers.posix.PosixBackupDriver":
      return {
        defaultContainer: DEFAULT.backup_container,
        chunkBytes: wholeClusters(DEFAULT.backup_file_size),
        openStore: () => openDirectory(DEFAULT.backup_posix_path, registry),
      };
    case "swift":
    case "cinder.backup.drivers.swift.SwiftBackupDriver":
      return {
        defaultContainer: DEFAULT.backup_swift_container,
        chunkBytes: wholeClusters(DEFAULT.backup_swift_object_size),
        openStore: () => openSwiftStore(swiftOptions(DEFAULT, session, keystone_authtoken.region_name), timing),
      };
    case "s3":
    case "cinder.backup.drivers.s3.S3BackupDriver":
      return {
        defaultContainer: DEFAULT.backup_s3_store_bucket,
        chunkBytes: wholeClusters(DEFAULT.backup_s3_object_size),
        openStore: () => openS3Store(s3Options(DEFAULT), timing),
      };
  }
}

/** One that was in use before is never made anew: what looks empty then is a file system that is not mounted. */
async function openDirectory(root: string, registry: Registry): Promise<ObjectStore> {
  const key = `backup-store/${createHash("sha256").update(root).digest("hex")}`;
  const isNew = (await registry.get(key)) === undefined;
  if (isNew) await mkdir(root, { recursive: true, mode: 0o700 });
  const store = await openDirectoryStore({ root, create: isNew }, timing);
  if (isNew) await atomically(registry, timing, async (tx) => tx.put(key, JSON.stringify({ v: 1, root })));
  return store;
}

function swiftOptions(DEFAULT: Config["DEFAULT"], session: ServiceSession | undefined, region: string): SwiftStoreOptions {
  const { backup_swift_auth_url: authUrl, backup_swift_user: user, backup_swift_key: key } = DEFAULT;
  return {
    auth:
      session !== undefined && DEFAULT.backup_swift_auth_version === "3"
        ? { kind: "keystone", session, interface: "public", region }
        : { kind: "v1", authUrl, user, key },
    container: DEFAULT.backup_swift_container,
    create: true,
    caFile: DEFAULT.backup_swift_ca_cert_file,
    insecure: DEFAULT.backup_swift_auth_insecure,
  };
}

function s3Options(DEFAULT: Config["DEFAULT"]): Parameters<typeof openS3Store>[0] {
  return {
    endpoint: DEFAULT.backup_s3_endpoint_url,
    credentials: {
      region: DEFAULT.backup_s3_region,
      accessKey: DEFAULT.backup_s3_store_access_key,
      secretKey: DEFAULT.backup_s3_store_secret_key,
    },
    bucket: DEFAULT.backup_s3_store_bucket,
    create: true,
    conditionalPut: "server", // every name is put by one claim: nothing is put on condition
    caFile: DEFAULT.backup_s3_ca_cert_file,
    insecure: !DEFAULT.backup_s3_verify_ssl,
  };
}

function wholeClusters(bytes: number): number {
  return bytes - (bytes % 4096);
}
