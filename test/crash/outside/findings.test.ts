// The judge of the outside has nothing to say of a service that is well, and each kind of damage makes it speak.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Finding, findWrong, rules } from "./findings.ts";
import { readRecords } from "./records.ts";
import type { OutsideView, Resource } from "./seen.ts";

const nowMs = 1_000_000_000;
const bounds = { passingMsMax: 60_000, graceMs: 5000 };

const volume: Resource = {
  kind: "volume",
  id: "v1",
  project: "p",
  status: "available",
  progress: "",
  changedAtMs: nowMs - 3_600_000,
  charges: { volumes: 1, gigabytes: 2, volumes_fast: 1, gigabytes_fast: 2 },
  needs: [],
};
const snapshot: Resource = {
  ...volume,
  kind: "snapshot",
  id: "s1",
  charges: { snapshots: 1, gigabytes: 2, snapshots_fast: 1, gigabytes_fast: 2 },
  needs: [{ kind: "volume", id: "v1" }],
};
const attachment: Resource = { ...volume, kind: "attachment", id: "a1", status: "attached", charges: {}, needs: snapshot.needs };
const group: Resource = { ...volume, kind: "group", id: "g1", charges: { groups: 1 } };
const backup: Resource = { ...volume, kind: "backup", id: "b1", charges: { backups: 1, backup_gigabytes: 2 }, objectCount: 2 };
const image: Resource = { ...volume, kind: "image", id: "i1", status: "active", project: "", charges: {}, changedAtMs: 0 };

const line = (key: string, value: object): string => JSON.stringify({ key, modRevision: 1, value });
const record = {
  job: line("cinder/job/j1", { id: "j1", kind: "volume-migration", phase: "ended", resource: { type: "volume", id: "v1" } }),
  vdisk: line("engine/vdisk/v1", { id: "v1", name: "volume-v1", log: "l1" }),
  snapshot: line("engine/snapshot/s1", { id: "s1", vdisk: "v1" }),
  base: line("engine/snapshot/b1", { id: "b1", vdisk: "v1" }),
  export: line("engine/export/a1", { id: "a1", vdisk: "v1" }),
  log: line("engine/log/l1", { id: "l1", vdisk: "v1" }),
  epoch: line("engine/epoch/l1/00000001", { epoch: 1, last: 3 }),
  openEpoch: line("engine/epoch/l1/00000002", { epoch: 2 }),
  moved: line("engine/relocation/l1/00000001-00000002", { generation: 1, reserved: 2 }),
  dropped: line("engine/relocation/l1/00000001-00000003", { generation: 0, reserved: 0, dropped: true }),
  cut: line("engine/cut/l0/0000000000000001/l1", { holder: { kind: "log", id: "l1" } }),
  parent: line("engine/log/l0", { id: "l0", vdisk: null }),
  cacheEntry: line("cinder/image-cache/pool/i1", { id: "c1", pool: "pool" }),
  cached: line("engine/vdisk/c1", { id: "c1", name: "image-i1", log: "l2" }),
  cachedLog: line("engine/log/l2", { id: "l2", vdisk: "c1" }),
  retired: line("engine/retired/l1/s-00000001-00000003-00000000", {
    object: "l1/s-00000001-00000003-00000000",
    retiredAtMs: nowMs - 1000,
  }),
};
type RecordName = keyof typeof record;

const well: OutsideView = {
  nowMs,
  resources: [volume, snapshot, attachment, group, backup, image],
  usage: {
    p: {
      ...{ volumes: 1, snapshots: 1, gigabytes: 4, backups: 1, backup_gigabytes: 2, groups: 1 },
      ...{ volumes_fast: 1, snapshots_fast: 1, gigabytes_fast: 4, gigabytes_slow: 0 },
    },
  },
  records: readRecords(Object.values(record).join("\n")),
  objects: [
    "pool/l1/s-00000001-00000001-00000000",
    "pool/l1/s-00000001-00000002-00000001",
    "pool/l1/s-00000001-00000002-00000002",
    "pool/l1/s-00000001-00000003-00000000",
    "pool/l1/s-00000002-00000009-00000000",
    "pool/l1/m-00000001-00000001",
    "journal/l1/j-00000002-0000000a",
  ],
  stored: ["b1", "b1", "b1"],
  scratch: [],
};

const judge = (changes: Partial<OutsideView>): Finding[] => findWrong({ ...well, ...changes }, bounds);
/** Groups and backups as they are. */
const withResources = (...resources: readonly Resource[]): Partial<OutsideView> => ({ resources: [...resources, group, backup] });
const withUsage = (changes: Record<string, number>): Partial<OutsideView> => ({
  usage: { p: { ...well.usage["p"], ...changes } },
});
const withRecords = (changes: Partial<Record<RecordName, string>>): Partial<OutsideView> => ({
  records: readRecords(Object.values({ ...record, ...changes }).join("\n")),
});
const withObject = (path: string): Partial<OutsideView> => ({ objects: [...well.objects, path] });

describe("the judge of the outside", () => {
  test("has nothing to say of a service that is well", () => {
    assert.deepEqual(judge({}), []);
  });

  const lone: Resource = { ...volume, id: "v2", project: "q", charges: { volumes: 1 } };
  const cases: Readonly<Record<string, readonly [Partial<OutsideView>, ...(readonly (readonly [Finding["rule"], RegExp])[])]>> = {
    "a total that drifted": [withUsage({ gigabytes: 5 }), ["quota", /p gigabytes: 5 charged, 4 listed/]],
    "a type's figure that drifted": [withUsage({ gigabytes_slow: 1 }), ["quota", /p gigabytes_slow: 1 charged, 0 listed/]],
    "a figure that is missing": [{ usage: {} }, ...Array.from({ length: 9 }, () => ["quota", /: 0 charged/] as const)],
    "a project that is charged for nothing": [
      { usage: { ...well.usage, q: { snapshots: 3 } } },
      ["quota", /q snapshots: 3 charged, 0 listed/],
    ],
    "a project that is not charged": [
      withResources(volume, snapshot, attachment, lone),
      ["quota", /q volumes: 0 charged, 1 listed/],
      ["vdisk", /volume v2 has no vDisk/],
    ],
    "a volume that is passing for too long": [
      withResources({ ...volume, status: "downloading" }, snapshot, attachment),
      ["status", /volume v1 is downloading since 3600 s/],
    ],
    "a migration that goes on for too long": [
      withResources({ ...volume, progress: "completing" }, snapshot, attachment),
      ["status", /volume v1 is available completing/],
    ],
    "a snapshot that is passing for too long": [
      withResources(volume, { ...snapshot, status: "deleting" }, attachment),
      ["status", /snapshot s1 is deleting/],
    ],
    "an image that has no bytes": [
      withResources(volume, snapshot, attachment, { ...image, status: "queued" }),
      ["status", /image i1 is queued/],
    ],
    "a snapshot of a volume that is gone": [
      withResources(volume, { ...snapshot, needs: [{ kind: "volume", id: "v9" }] }, attachment),
      ["reference", /snapshot s1 refers to volume v9/],
    ],
    "a job that has not ended": [
      withRecords({ job: record.job.replace("ended", "work") }),
      ["job", /job j1 \(volume-migration of volume v1\) is in work/],
    ],
    "a vDisk that is nobody's": [withRecords({ cacheEntry: "" }), ["vdisk", /vDisk c1 \(image-i1\) is nobody's/]],
    "a volume without a vDisk": [withRecords({ vdisk: "" }), ["vdisk", /volume v1 has no vDisk/], ["log", /log l1 is nobody's/]],
    "a cache without its vDisk": [withRecords({ cached: "", cachedLog: "" }), ["vdisk", /the cache of images has vDisk c1/]],
    "a cut that is nobody's": [
      withRecords({ snapshot: `${record.snapshot}\n${line("engine/snapshot/s2", { id: "s2" })}` }),
      ["snapshot", /the cut of snapshot s2 is nobody's/],
    ],
    "a snapshot without its cut": [withRecords({ snapshot: "" }), ["snapshot", /snapshot s1 has no cut/]],
    "an export that is left": [withResources(volume, snapshot), ["export", /export a1 is nobody's/]],
    "a log that is nobody's": [withRecords({ cut: "" }), ["log", /log l0 is nobody's/]],
    "a log that is not there": [withRecords({ cachedLog: "" }), ["log", /vDisk c1 has log l2, which is not there/]],
    "an object of a log that is not there": [withObject("pool/l9/m-00000001-00000001"), ["object", /pool\/l9/]],
    "a segment beyond the end of its epoch": [withObject("pool/l1/s-00000001-00000004-00000000"), ["object", /0004-00000000/]],
    "a segment of an epoch that is not there": [withObject("pool/l1/s-00000003-00000001-00000000"), ["object", /00000003-0/]],
    "a segment that was rewritten": [withObject("pool/l1/s-00000001-00000002-00000000"), ["object", /0002-00000000/]],
    "a segment that was dropped": [withRecords({ retired: "" }), ["object", /0003-00000000 is an object that nothing refers to/]],
    "an object that is kept for too long": [
      { nowMs: nowMs + 5000 },
      ["object", /s-00000001-00000003-00000000 is retired and still there/],
    ],
    "a group that is passing for too long": [
      { resources: well.resources.map((one) => (one === group ? { ...group, status: "deleting" } : one)) },
      ["status", /group g1 is deleting/],
    ],
    "objects of a backup that is gone": [{ stored: [...well.stored, "b9"] }, ["backup", /1 objects of backup b9/]],
    "a backup that is not all there": [{ stored: ["b1"] }, ["backup", /backup b1 has 1 objects of 2/]],
    "a file of a job": [{ scratch: ["host-1/image"] }, ["scratch", /host-1\/image is left/]],
  };

  for (const [name, [changes, ...expected]] of Object.entries(cases)) {
    test(`finds ${name}`, () => {
      const found = judge(changes);
      assert.deepEqual(
        found.map(({ rule }) => rule),
        expected.map(([rule]) => rule),
        JSON.stringify(found),
      );
      for (const [at, [, what]] of expected.entries()) assert.match(found[at]!.what, what);
    });
  }

  test("has shown each of its rules above", () => {
    const shown = new Set(Object.values(cases).flatMap(([, ...expected]) => expected.map(([rule]) => rule)));
    assert.deepEqual(
      [...rules].filter((rule) => !shown.has(rule)),
      [],
    );
  });

  test("lets what is under way be, as long as it is not for long", () => {
    const young = { ...volume, changedAtMs: nowMs - 59_000 };
    assert.deepEqual(judge(withResources({ ...young, status: "uploading" }, snapshot, attachment)), []);
  });
});
