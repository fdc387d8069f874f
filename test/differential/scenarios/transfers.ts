// Volumes that change hands: transfers by both paths, and managing what a back end has.

import {
  type Area,
  type Step,
  absentId,
  adminBadBody,
  adminGood,
  adminMissing,
  adminWrongState,
  action,
  badBody,
  gone,
  good,
  missing,
  prepare,
  reset,
  settled,
  snapshot,
  volume,
  wrongState,
} from "../scenario.ts";

function transfers(base: string, variants: readonly string[]): Step[] {
  const body = { transfer: { volume_id: "{v}", name: "gift" } };
  const save = { t: "transfer.id", key: "transfer.auth_key" };
  return [
    ...volume("v"),
    good(`GET ${base}`),
    good(`POST ${base}`, body, { save }),
    wrongState(`POST ${base}`, body),
    ...variants.map((at) => wrongState(`POST ${base}`, body, { at })),
    missing(`POST ${base}`, { transfer: { volume_id: absentId } }),
    badBody(`POST ${base}`, { transfer: { volume_id: "nothing" } }),
    badBody(`POST ${base}`, { transfer: {} }),
    badBody(`POST ${base}`, { transfer: { volume_id: "{v}", nothing: 1 } }),
    badBody(`POST ${base}`, { transfer: { volume_id: "{v}", name: "x".repeat(256) } }),
    good(`GET ${base}/{t}`),
    good(`GET ${base}`),
    good(`GET ${base}/detail`),
    good("GET /volumes/{v}", undefined, { derive: false }),
    wrongState("DELETE /volumes/{v}"),
    good(`DELETE ${base}/{t}`),
    missing(`DELETE ${base}/{t}`),
    settled("/volumes/{v}"),
    ...variants.flatMap((at) => [
      good(`POST ${base}`, { transfer: { volume_id: "{v}", name: "gift", no_snapshots: true } }, { save, at }),
      good(`DELETE ${base}/{t}`, undefined, { at, derive: false }),
    ]),
    prepare(`POST ${base}`, body, { save }),
    badBody(`POST ${base}/{t}/accept`, { accept: { auth_key: "wrong" } }, { as: "stranger" }),
    badBody(`POST ${base}/{t}/accept`, { accept: {} }, { as: "stranger" }),
    { call: `POST ${base}/{t}/accept`, as: "reader", cell: "foreign", body: { accept: { auth_key: "{key}" } } },
    { call: `POST ${base}/${absentId}/accept`, as: "stranger", cell: "missing", body: { accept: { auth_key: "{key}" } } },
    good(`POST ${base}/{t}/accept`, { accept: { auth_key: "{key}" } }, { as: "stranger", derive: false }),
    settled("/volumes/{v}"),
    missing("GET /volumes/{v}"),
    good("GET /volumes/{v}", undefined, { as: "stranger", derive: false }),
  ];
}

const pool = "reference@fake1#fake1";
const managed = { host: pool, ref: { "source-name": "nothing" }, name: "m" };

function managing(base: string, versions: readonly string[]): Step[] {
  return [
    adminBadBody(`POST ${base}`, { volume: { host: pool } }),
    adminBadBody(`POST ${base}`, { volume: { ref: managed.ref } }),
    adminBadBody(`POST ${base}`, { volume: {} }),
    adminMissing(`POST ${base}`, { volume: { ...managed, host: "nowhere@fake1#fake1" } }),
    adminMissing(`POST ${base}`, { volume: { ...managed, volume_type: "nothing" } }),
    ...versions.flatMap((at) => [
      adminBadBody(`POST ${base}`, { volume: { ref: managed.ref } }, { at }),
      adminMissing(`POST ${base}`, { volume: { ...managed, host: "nowhere@fake1#fake1" } }, { at }),
      { ...adminWrongState(`POST ${base}`, { volume: managed }, { at }), as: "stranger" as const, cell: "foreign" as const },
    ]),
    { ...adminWrongState(`POST ${base}`, { volume: managed }), as: "stranger", cell: "foreign" },
    adminBadBody(`GET ${base}`),
    adminBadBody(`GET ${base}?host=nowhere@fake1#fake1`),
    adminBadBody(`GET ${base}/detail`),
    { call: `GET ${base}?host=reference@fake1`, as: "stranger", cell: "foreign" },
    { call: `GET ${base}/detail?host=reference@fake1`, as: "stranger", cell: "foreign" },
  ];
}

function managingSnapshots(base: string): Step[] {
  const given = { volume_id: "{v}", ref: { "source-name": "nothing" }, name: "m" };
  return [
    adminBadBody(`POST ${base}`, { snapshot: { volume_id: "{v}" } }),
    adminBadBody(`POST ${base}`, { snapshot: { ref: given.ref } }),
    adminBadBody(`POST ${base}`, { snapshot: {} }),
    adminMissing(`POST ${base}`, { snapshot: { ...given, volume_id: absentId } }),
    { ...adminWrongState(`POST ${base}`, { snapshot: given }), as: "stranger", cell: "foreign" },
    adminBadBody(`GET ${base}`),
    adminBadBody(`GET ${base}/detail`),
    { call: `GET ${base}?host=reference@fake1`, as: "stranger", cell: "foreign" },
    { call: `GET ${base}/detail?host=reference@fake1`, as: "stranger", cell: "foreign" },
  ];
}

export const transferAreas: readonly Area[] = [
  { name: "transfers", steps: transfers("/volume-transfers", ["3.55"]) },
  { name: "transfers by the old path", steps: transfers("/os-volume-transfer", []) },
  {
    name: "managing",
    steps: [
      ...volume("v"),
      ...snapshot("s", "v"),
      ...managing("/manageable_volumes", ["3.16"]),
      ...managing("/os-volume-manage", ["3.16"]),
      ...managingSnapshots("/manageable_snapshots"),
      ...managingSnapshots("/os-snapshot-manage"),
      adminGood("POST /snapshots/{s}/action", { "os-unmanage": {} }),
      gone("/snapshots/{s}"),
      reset("v", "creating"),
      adminWrongState(action("v"), { "os-unmanage": {} }),
      reset("v", "available"),
      adminGood(action("v"), { "os-unmanage": {} }),
      gone("/volumes/{v}"),
    ],
  },
];
