// Backups, whole and incremental, restores, their records, and a volume that is made of one.

import {
  type Area,
  type Step,
  absentId,
  adminBadBody,
  adminGood,
  adminPrepare,
  adminWrongState,
  badBody,
  gone,
  good,
  missing,
  reset,
  settled,
  snapshot,
  volume,
  wrongState,
} from "../scenario.ts";

const importedId = "66666666-6666-4666-8666-666666666666";
/** A record that says of what, and not where. */
const url = Buffer.from(JSON.stringify({ id: importedId, size: 1 })).toString("base64");
const body = { backup: { volume_id: "{v}", name: "b", description: "d" } };
/** What came with a microversion. */
const variants = [
  ["3.43", { metadata: { a: "b" } }],
  ["3.51", { availability_zone: null }],
] as const;

function creating(): Step[] {
  const incremental = { backup: { volume_id: "{v}", incremental: true } };
  return [
    wrongState("POST /backups", incremental),
    reset("v", "error"),
    wrongState("POST /backups", body),
    ...variants.map(([at]) => wrongState("POST /backups", body, { at })),
    reset("v", "available"),
    missing("POST /backups", { backup: { volume_id: absentId } }),
    missing("POST /backups", { backup: { volume_id: "{v}", snapshot_id: absentId } }),
    badBody("POST /backups", { backup: {} }),
    badBody("POST /backups", { backup: { volume_id: "nothing" } }),
    badBody("POST /backups", { backup: { volume_id: "{v}", force: "maybe" } }),
    badBody("POST /backups", { backup: { volume_id: "{v}", container: "c".repeat(256) } }),
    badBody("POST /backups", { backup: { volume_id: "{v}", name: "n".repeat(256) } }),
    good("POST /backups", body, { save: { b: "backup.id" } }),
    settled("/backups/{b}"),
    settled("/volumes/{v}"),
    good("POST /backups", incremental, { save: { i: "backup.id" }, derive: false, pauseMs: 1100 }),
    settled("/backups/{i}"),
    ...variants.flatMap(([at, given]) => [
      good("POST /backups", { backup: { volume_id: "{v}", ...given } }, { save: { m: "backup.id" }, at }),
      { ...settled("/backups/{m}"), at },
      good("GET /backups/{m}", undefined, { at, derive: false }),
      adminPrepare("DELETE /backups/{m}", undefined, { at }),
      { ...gone("/backups/{m}"), at },
    ]),
    badBody("POST /backups", { backup: { volume_id: "{v}", metadata: { a: 1 } } }, { at: "3.43" }),
    badBody("POST /backups", { backup: { volume_id: "{v}", availability_zone: 1 } }, { at: "3.51" }),
  ];
}

const showing: readonly Step[] = [
  good("GET /backups"),
  good("GET /backups/detail"),
  good("GET /backups/{b}"),
  adminGood("GET /backups/{b}", undefined, { at: "3.18", derive: false }),
  adminGood("GET /backups/{b}", undefined, { at: "3.56", derive: false }),
  good("GET /backups?limit=1&sort=created_at:asc", undefined, { derive: false }),
  good("GET /backups/detail?name=b&with_count=true", undefined, { at: "3.45", derive: false }),
  good("GET /backups?sort_key=name", undefined, { at: "3.37", derive: false }),
  good("PUT /backups/{b}", { backup: { name: "n", description: "e" } }),
  good("PUT /backups/{b}", { backup: { name: "b", metadata: { a: "c" } } }, { at: "3.43" }),
  badBody("PUT /backups/{b}", { backup: { nothing: 1 } }),
  badBody("PUT /backups/{b}", { backup: { metadata: { a: 1 } } }, { at: "3.43" }),
  good("GET /backups/{b}", undefined, { at: "3.43", derive: false }),
];

const restore = "POST /backups/{b}/restore";
const into = { restore: { volume_id: "{v}" } };

const restoring: readonly Step[] = [
  reset("v", "error"),
  wrongState(restore, into),
  reset("v", "available"),
  missing(restore, { restore: { volume_id: absentId } }),
  badBody(restore, { restore: { volume_id: "nothing" } }),
  badBody(restore, { restore: { nothing: 1 } }),
  // Bodies that lack something would restore to a new volume.
  missing(`POST /backups/${absentId}/restore`, into),
  { call: restore, as: "stranger", cell: "foreign", body: into },
  { call: restore, as: "reader", cell: "foreign", body: into },
  good(restore, into, { derive: false }),
  settled("/volumes/{v}"),
  settled("/backups/{b}"),
  good(restore, { restore: { name: "fresh" } }, { save: { r: "restore.volume_id" }, derive: false }),
  settled("/volumes/{r}"),
  settled("/backups/{b}"),
  good("GET /volumes/{r}", undefined, { derive: false }),
  good("POST /volumes", { volume: { backup_id: "{b}", name: "of it" } }, { save: { n: "volume.id" }, at: "3.47", derive: false }),
  { ...settled("/volumes/{n}"), at: "3.47" },
  { ...settled("/backups/{b}"), at: "3.47" },
  badBody("POST /volumes", { volume: { backup_id: absentId, name: "of nothing" } }, { at: "3.47" }),
];

const records: readonly Step[] = [
  adminGood("GET /backups/{b}/export_record", undefined, { save: { service: "backup-record.backup_service" } }),
  adminBadBody("POST /backups/import_record", { "backup-record": { backup_service: "{service}" } }),
  adminBadBody("POST /backups/import_record", { "backup-record": { backup_service: "{service}", backup_url: "" } }),
  adminBadBody("POST /backups/import_record", { "backup-record": { backup_service: "{service}", backup_url: "eyJ9" } }),
  adminBadBody("POST /backups/import_record", { "backup-record": { backup_service: "{service}", backup_url: "e30=" } }),
  adminGood("POST /backups/import_record", { "backup-record": { backup_service: "{service}", backup_url: url } }),
  settled(`/backups/${importedId}`, "error"),
  adminWrongState("POST /backups/import_record", { "backup-record": { backup_service: "{service}", backup_url: url } }),
  adminPrepare(`DELETE /backups/${importedId}`),
  gone(`/backups/${importedId}`),
];

const ending: readonly Step[] = [
  wrongState("DELETE /backups/{b}"),
  adminBadBody("POST /backups/{i}/action", { "os-reset_status": { status: "creating" } }),
  adminBadBody("POST /backups/{i}/action", { "os-reset_status": {} }),
  adminGood("POST /backups/{i}/action", { "os-reset_status": { status: "error" } }),
  settled("/backups/{i}", "error"),
  adminWrongState("GET /backups/{i}/export_record"),
  wrongState("POST /backups/{i}/restore", { restore: {} }),
  adminGood("POST /backups/{i}/action", { "os-force_delete": {} }),
  gone("/backups/{i}"),
  good("DELETE /backups/{b}"),
  gone("/backups/{b}"),
];

export const backupAreas: readonly Area[] = [
  { name: "backups", steps: [...volume("v"), ...creating(), ...showing, ...restoring, ...records, ...ending] },
  {
    name: "backups of snapshots",
    steps: [
      ...volume("v"),
      ...snapshot("s", "v"),
      ...volume("w"),
      wrongState("POST /backups", { backup: { volume_id: "{w}", snapshot_id: "{s}" } }),
      good("POST /backups", { backup: { volume_id: "{v}", snapshot_id: "{s}" } }, { save: { b: "backup.id" }, derive: false }),
      settled("/backups/{b}"),
      settled("/snapshots/{s}"),
      good("GET /backups/{b}", undefined, { derive: false }),
      good("DELETE /backups/{b}", undefined, { derive: false }),
      gone("/backups/{b}"),
    ],
  },
];
