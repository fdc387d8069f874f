// Which notifications each verb sends: Cinder's, in Cinder's order. A verb that is one transaction sends its start and its end
// together; where a job or the engine ends what a request began, `...Begins` and `...Ends` are apart.
//
// - `shows` the resource as it was before the change or as it is after it, with `status` instead of its own where Cinder has
//   one that is passed through in no time here.
// - `from`: who publishes: the API's host, the backend ("host@vpool"), or the pool ("host@vpool#vpool").
//
// A new verb is a row here and a call of notices.ts. What Cinder sends is seen by test/notifications.peer.test.ts.

export interface NotificationEvent {
  /** After "volume.", "snapshot.", "backup.". */
  readonly name: string;
  readonly shows: "before" | "after";
  readonly from: "api" | "backend" | "pool";
  readonly status?: string;
  /** Whoever asked, it is told with an administrator's rights, as Cinder works on it. */
  readonly elevated?: true;
}

type From = NotificationEvent["from"];

const start = (verb: string, from: From, status?: string): NotificationEvent => ({
  name: `${verb}.start`,
  shows: "before",
  from,
  ...(status === undefined ? {} : { status }),
});
const end = (verb: string, from: From, status?: string): NotificationEvent => ({
  name: `${verb}.end`,
  shows: "after",
  from,
  ...(status === undefined ? {} : { status }),
});
const both = (verb: string, from: From, status?: string): readonly NotificationEvent[] => [
  start(verb, from, status),
  end(verb, from),
];
const elevated = (...events: readonly NotificationEvent[]): readonly NotificationEvent[] =>
  events.map((event) => ({ ...event, elevated: true }));

export const volumeEvents = {
  create: elevated(...both("create", "pool", "creating")),
  createBegins: elevated(start("create", "pool", "creating")),
  createEnds: elevated(end("create", "pool")),
  update: both("update", "api"),
  delete: elevated(start("delete", "backend", "deleting"), end("delete", "backend", "deleted")),
  /** Of a volume for which there was no pool. */
  deleteUnplaced: [start("delete", "api"), end("delete", "api", "deleted")],
  unmanage: elevated(start("unmanage", "backend", "unmanaging"), end("unmanage", "backend", "deleted")),
  manage: both("manage_existing", "pool", "managing"),
  extend: both("resize", "backend", "extending"),
  revert: both("revert", "backend", "reverting"),
  resetStatusBegins: [start("reset_status", "api")],
  resetStatusEnds: [end("reset_status", "api")],
  attachBegins: [start("attach", "backend")],
  /** os-attach of the old family. */
  attachEnds: [end("attach", "backend")],
  /** os-complete of an attachment. */
  attachCompletes: [end("attach", "api")],
  detachBegins: [start("detach", "backend")],
  /** os-detach and os-force_detach of the old family. */
  detachEnds: [end("detach", "backend")],
  /** The delete of an attachment that has no connection. */
  releaseBegins: [start("detach", "api")],
  /** The delete of any attachment. */
  releaseEnds: [end("detach", "api")],
  // Told as it was when it was asked for, the end too.
  transferCreate: [start("transfer.create", "api"), { ...end("transfer.create", "api"), shows: "before" }],
  transferAccept: both("transfer.accept", "api"),
  transferDelete: [start("transfer.delete", "api"), { ...end("transfer.delete", "api"), shows: "before" }],
  retype: [{ name: "retype", shows: "after", from: "backend" }],
} as const satisfies Record<string, readonly NotificationEvent[]>;

export const snapshotEvents = {
  create: elevated(...both("create", "backend", "creating")),
  createBegins: elevated(start("create", "backend", "creating")),
  createEnds: elevated(end("create", "backend")),
  update: both("update", "api"),
  delete: elevated(start("delete", "backend", "deleting"), end("delete", "backend", "deleted")),
  unmanage: elevated(start("delete", "backend", "unmanaging"), end("delete", "backend", "deleted")),
  manage: both("manage_existing_snapshot", "backend", "creating"),
  revert: both("revert", "backend", "restoring"),
  resetStatus: both("reset_status", "api"),
} as const satisfies Record<string, readonly NotificationEvent[]>;

export const backupEvents = {
  createBegins: [start("create", "api")],
  createGoesOn: [{ name: "createprogress", shows: "before", from: "api" }],
  createEnds: [end("create", "api")],
  deleteBegins: [start("delete", "api")],
  deleteEnds: [end("delete", "api", "deleted")],
  restoreBegins: [start("restore", "api")],
  restoreEnds: [end("restore", "api")],
  resetStatus: both("reset_status", "api"),
} as const satisfies Record<string, readonly NotificationEvent[]>;

/** The volumes that the group has at that moment are told of under the same name. */
export const groupEvents = {
  create: elevated(...both("create", "backend", "creating")),
  copyBegins: [start("create", "backend")],
  copyEnds: [end("create", "backend")],
  updateBegins: [start("update", "backend", "updating")],
  updateEnds: [end("update", "backend")],
  deleteBegins: elevated(start("delete", "backend", "deleting")),
  deleteEnds: elevated(end("delete", "backend", "deleting")),
} as const satisfies Record<string, readonly NotificationEvent[]>;

/** With each its members, in the same status. */
export const groupSnapshotEvents = {
  create: elevated(...both("create", "backend", "creating")),
  createBegins: elevated(start("create", "backend", "creating")),
  createEnds: elevated(end("create", "backend")),
  delete: elevated(start("delete", "backend", "deleting"), end("delete", "backend", "deleted")),
} as const satisfies Record<string, readonly NotificationEvent[]>;

/** What is told of itself, once: by which name, and by which publisher. Payloads are of the caller. */
export const plainEvents = {
  "volume_type.create": "volumeType",
  "volume_type.update": "volumeType",
  "volume_type.delete": "volumeType",
  "volume_type_extra_specs.create": "volumeTypeExtraSpecs",
  "volume_type_extra_specs.update": "volumeTypeExtraSpecs",
  "volume_type_extra_specs.delete": "volumeTypeExtraSpecs",
  "volume_type_project.access.add": "volume_type_project",
  "volume_type_project.access.remove": "volume_type_project",
  "volume_type_encryption.create": "volumeTypeEncryption",
  "volume_type_encryption.update": "volumeTypeEncryption",
  "qos_specs.create": "QoSSpecs",
  "qos_specs.update": "QoSSpecs",
  "qos_specs.delete": "QoSSpecs",
  "qos_specs.delete_keys": "QoSSpecs",
  "qos_specs.associate": "QoSSpecs",
  "qos_specs.disassociate": "QoSSpecs",
  "qos_specs.disassociate_all": "QoSSpecs",
  "group_type.create": "groupType",
  "group_type.update": "groupType",
  "group_type.delete": "groupType",
  "group_type_specs.create": "groupTypeSpecs",
  "group_type_specs.update": "groupTypeSpecs",
  "group_type_specs.delete": "groupTypeSpecs",
  "groups.reset_status.start": "groupStatusUpdate",
  "groups.reset_status.end": "groupStatusUpdate",
  "groupsnapshots.reset_status.start": "groupSnapshotStatusUpdate",
  "groupsnapshots.reset_status.end": "groupSnapshotStatusUpdate",
  "scheduler.create_volume": "scheduler",
} as const;
export type PlainEvent = keyof typeof plainEvents;
