// What lists may be filtered by: Cinder's resource_filters.json (the answer of GET /resource_filters, and the rule for users
// who are not administrators), and from which microversion each list can do what.

export const resourceFilters = {
  volume: [
    "name",
    "status",
    "metadata",
    "bootable",
    "migration_status",
    "availability_zone",
    "group_id",
    "size",
    "created_at",
    "updated_at",
    "consumes_quota",
  ],
  backup: ["name", "status", "volume_id"],
  snapshot: ["name", "status", "volume_id", "metadata", "availability_zone", "consumes_quota"],
  group: ["name"],
  group_snapshot: ["name", "status", "group_id"],
  attachment: ["volume_id", "status", "instance_id", "attach_status"],
  message: ["resource_uuid", "resource_type", "event_id", "request_id", "message_level"],
  pool: ["name", "volume_type"],
  volume_type: ["is_public", "extra_specs"],
} as const satisfies Record<string, readonly string[]>;

export interface ListRules {
  /** Filters that a user who is no administrator may give. */
  readonly filters: ReadonlySet<string>;
  /** Sort keys that came later than the list. */
  readonly sortSinceMinor: Readonly<Record<string, number>>;
  /** First microversion with limit, marker, sort and filters. */
  readonly pagedSinceMinor: number;
  readonly likeSinceMinor: number;
  readonly countSinceMinor: number;
  /** created_at and updated_at as filters. */
  readonly timesSinceMinor: number;
  /** Parameters that are no filters. */
  readonly others?: ReadonlySet<string>;
}

const never = 1000;
const rules = { sortSinceMinor: {}, pagedSinceMinor: 0, likeSinceMinor: 34, countSinceMinor: never, timesSinceMinor: never };

export const volumeListRules: ListRules = {
  ...rules,
  filters: new Set(resourceFilters.volume),
  countSinceMinor: 45,
  timesSinceMinor: 60,
};

export const snapshotListRules: ListRules = {
  ...rules,
  filters: new Set(resourceFilters.snapshot),
  sortSinceMinor: { name: 30 },
  countSinceMinor: 45,
};

export const backupListRules: ListRules = {
  ...rules,
  filters: new Set(resourceFilters.backup),
  sortSinceMinor: { name: 37 },
  countSinceMinor: 45,
};

export const attachmentListRules: ListRules = { ...rules, filters: new Set(resourceFilters.attachment) };

export const messageListRules: ListRules = { ...rules, filters: new Set(resourceFilters.message), pagedSinceMinor: 5 };

/** Lists without filters of their own. */
export const unfilteredListRules: ListRules = { ...rules, filters: new Set(["host", "is_public"]), likeSinceMinor: never };

/** Cinder has no list of allowed filters for transfers: clients find them by name. */
export const transferListRules: ListRules = { ...unfilteredListRules, filters: new Set(["id", "name", "volume_id"]) };

export const typeListRules: ListRules = { ...rules, filters: new Set(resourceFilters.volume_type), likeSinceMinor: never };

export const groupListRules: ListRules = {
  ...rules,
  filters: new Set(resourceFilters.group),
  others: new Set(["list_volume"]),
};

export const groupSnapshotListRules: ListRules = {
  ...rules,
  filters: new Set(resourceFilters.group_snapshot),
  pagedSinceMinor: 29,
};

/** Of the older API, which knows nothing of allowed filters. */
export const consistencyGroupListRules: ListRules = { ...unfilteredListRules, filters: new Set(["name", "status"]) };
