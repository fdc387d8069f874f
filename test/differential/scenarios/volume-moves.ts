// Another type and another pool for a volume, and an image of it. A migration that succeeds is not asked for: on which back end
// a volume lies is chance, and the reference's drivers have no bytes.

import {
  absentId,
  action,
  adminBadBody,
  adminGood,
  adminMissing,
  adminPrepare,
  adminWrongState,
  type Area,
  badBody,
  good,
  missing,
  refusals,
  reset,
  settled,
  volume,
  wrongState,
} from "../scenario.ts";

const act = action("v");
const elsewhere = "reference@fake2#fake2";
const type = (name: string): ReturnType<typeof adminPrepare> =>
  adminPrepare("POST /types", { volume_type: { name: `${name} of {project}` } }, { save: { [name]: "volume_type.id" } });
const retype = (new_type: string, more = {}): object => ({ "os-retype": { new_type, ...more } });
const upload = (more: object): object => ({ "os-volume_upload_image": more });
const reimage = (more: object): object => ({ "os-reimage": more });
const migrate = (host: string, more = {}): object => ({ "os-migrate_volume": { host, ...more } });

export const volumeMoveAreas: readonly Area[] = [
  {
    name: "another type, another pool",
    steps: [
      type("first kind"),
      type("second kind"),
      ...volume("v", { volume_type: "{first kind}" }),
      ...volume("other", { volume_type: "{first kind}" }),
      good(act, retype("{second kind}", { migration_policy: "on-demand" })),
      settled("/volumes/{v}"),
      wrongState(act, retype("{second kind}")),
      missing(act, retype(absentId)),
      missing(act, retype("no such type")),
      badBody(act, retype("{first kind}", { migration_policy: "always" })),
      badBody(act, { "os-retype": {} }),
      adminBadBody(act, migrate("nowhere@fake1#fake1")),
      adminBadBody(act, migrate("")),
      adminBadBody(act, migrate(elsewhere, { lock_volume: "x" })),
      ...refusals(act, migrate(elsewhere), "POST /volumes/{absent}/action"),
      adminGood(act, { "os-reset_status": { migration_status: "none" } }, { derive: false }),
      adminBadBody(act, { "os-migrate_volume_completion": {} }),
      adminBadBody(act, { "os-migrate_volume_completion": { new_volume: "x" } }),
      adminMissing(act, { "os-migrate_volume_completion": { new_volume: absentId } }),
      adminGood(act, { "os-migrate_volume_completion": { new_volume: "{other}" } }),
      adminPrepare(act, { "os-reset_status": { migration_status: "migrating" } }),
      adminWrongState(act, { "os-migrate_volume_completion": { new_volume: "{other}" } }),
      adminWrongState(act, migrate(elsewhere)),
      wrongState(act, retype("{first kind}")),
      adminPrepare(act, { "os-reset_status": { migration_status: "none" } }),
      reset("v", "error"),
      wrongState(act, retype("{first kind}")),
      adminWrongState(act, migrate(elsewhere)),
      reset("v", "available"),
    ],
  },
  {
    name: "an image of a volume",
    steps: [
      ...volume("v"),
      badBody(act, upload({})),
      badBody(act, upload({ image_name: "" })),
      badBody(act, upload({ image_name: "i", disk_format: "nothing" })),
      badBody(act, upload({ image_name: "i", force: "x" })),
      missing(`POST /volumes/${absentId}/action`, upload({ image_name: "i" })),
      { call: act, body: upload({ image_name: "i" }), as: "stranger", cell: "foreign" },
      reset("v", "error"),
      wrongState(act, upload({ image_name: "i", disk_format: "raw" })),
      reset("v", "available"),
    ],
  },
  {
    name: "another image in a volume",
    steps: [
      ...volume("v"),
      badBody(act, reimage({})),
      badBody(act, reimage({ image_id: "x" })),
      badBody(act, reimage({ image_id: absentId, reimage_reserved: "x" })),
      missing(`POST /volumes/${absentId}/action`, reimage({ image_id: absentId })),
      { call: act, body: reimage({ image_id: absentId }), as: "stranger", cell: "foreign" },
      reset("v", "maintenance"),
      wrongState(act, reimage({ image_id: absentId })),
      reset("v", "reserved"),
      wrongState(act, reimage({ image_id: absentId })),
      reset("v", "available"),
    ],
  },
];
