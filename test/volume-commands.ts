// The script of volume-commands.peer.test.ts: command lines of the openstack client in the order in which they are run, and
// what each must answer. And the commands that are not in it, with the reason.
//
// `{name}` in arguments and expectations stands for what an earlier row kept, or for what the test knows from the start:
// demo (a project's id), host (of the volume service). An argument ends at a blank, unless it is in single quotes.

import { backupCommands } from "./backup-commands.ts";
import { groupCommands } from "./group-commands.ts";

export interface Row {
  /** As `openstack command list` has it. */
  readonly command: string;
  readonly args?: string;
  /** Who calls: the administrator of another project, or (without it) a member of the project demo. */
  readonly by?: "admin";
  /** Where there is a compute service too, without which the client runs some commands not at all. */
  readonly region?: "Newer";
  /** Fields that the one thing shown has. What is in a field is all that is in it; a pattern is for its text. */
  readonly shows?: Fields;
  /** The rows listed, in any order, no more and no fewer. */
  readonly lists?: readonly Fields[];
  /** Rows that are listed among others. */
  readonly listsToo?: readonly Fields[];
  /** What it says when it ends with code 1. */
  readonly fails?: RegExp;
  /** Fields of the answer to be kept under other names. */
  readonly keeps?: Readonly<Record<string, string>>;
  /** What is expected comes after a while: ask again. */
  readonly waits?: true;
}

export type Fields = Readonly<Record<string, unknown>>;

const forbidden = /Policy doesn't allow .* to be performed\. \(HTTP 403\)/;

const types: readonly Row[] = [
  {
    command: "volume type create",
    by: "admin",
    args: "--description 'a quick one' --public --property volume_backend_name=vpool1 quick",
    shows: { name: "quick", description: "a quick one", is_public: true, properties: { volume_backend_name: "vpool1" } },
    keeps: { type: "id" },
  },
  { command: "volume type create", args: "mine", fails: forbidden },
  {
    command: "volume type create",
    by: "admin",
    args: "--private --project {demo} secret",
    shows: { name: "secret", is_public: false },
  },
  { command: "volume type set", by: "admin", args: "--name fast --description fast --property tier=1 quick" },
  {
    command: "volume type show",
    by: "admin",
    args: "fast",
    shows: { id: "{type}", name: "fast", description: "fast", properties: { volume_backend_name: "vpool1", tier: "1" } },
  },
  { command: "volume type unset", by: "admin", args: "--property tier fast" },
  {
    command: "volume type list",
    by: "admin",
    args: "--long --public",
    listsToo: [{ ID: "{type}", Name: "fast", Properties: { volume_backend_name: "vpool1" } }],
  },
  { command: "volume type list", by: "admin", args: "--private", lists: [{ Name: "secret", "Is Public": false }] },
  { command: "volume type list", args: "--default", lists: [{ Name: "__DEFAULT__" }] },
  { command: "volume type list", listsToo: [{ Name: "secret" }, { Name: "fast" }, { Name: "__DEFAULT__" }] },
  { command: "volume type show", by: "admin", args: "secret", shows: { access_project_ids: ["{demo}"] } },
  { command: "volume type unset", by: "admin", args: "--project {demo} secret" },
  // What the client says of a type that it does not find, with Cinder too.
  { command: "volume type show", args: "secret", fails: /Resource\.get\(\) takes 1 positional argument/ },
  {
    command: "volume type set",
    by: "admin",
    args:
      "--encryption-provider luks --encryption-cipher aes-xts-plain64 --encryption-key-size 256 " +
      "--encryption-control-location front-end secret",
  },
  {
    command: "volume type show",
    by: "admin",
    args: "--encryption-type secret",
    shows: { encryption: /aes-xts-plain64.*256|256.*aes-xts-plain64/ },
  },
  { command: "volume type list", by: "admin", args: "--encryption-type --private", lists: [{ Encryption: /luks/ }] },
  { command: "volume type unset", by: "admin", args: "--encryption-type secret" },
  { command: "volume type delete", by: "admin", args: "secret" },
  { command: "volume type list", by: "admin", args: "--private", lists: [] },
];

const qualities: readonly Row[] = [
  {
    command: "volume qos create",
    by: "admin",
    args: "--consumer front-end --property read_iops_sec=100 gold",
    shows: { name: "gold", consumer: "front-end", properties: { read_iops_sec: "100" } },
    keeps: { qos: "id" },
  },
  { command: "volume qos create", args: "mine", fails: forbidden },
  { command: "volume qos associate", by: "admin", args: "gold fast" },
  { command: "volume qos set", by: "admin", args: "--property write_iops_sec=5 gold" },
  {
    command: "volume qos list",
    by: "admin",
    lists: [
      {
        ID: "{qos}",
        Name: "gold",
        Consumer: "front-end",
        Associations: ["fast"],
        Properties: { read_iops_sec: "100", write_iops_sec: "5" },
      },
    ],
  },
  { command: "volume qos unset", by: "admin", args: "--property write_iops_sec gold" },
  {
    command: "volume qos show",
    by: "admin",
    args: "gold",
    shows: { id: "{qos}", associations: ["fast"], properties: { read_iops_sec: "100" } },
  },
  { command: "volume qos disassociate", by: "admin", args: "--volume-type fast gold" },
  { command: "volume qos associate", by: "admin", args: "{qos} {type}" },
  { command: "volume qos disassociate", by: "admin", args: "--all gold" },
  { command: "volume qos list", by: "admin", lists: [{ Name: "gold", Associations: /^(\[\])?$/ }] },
  { command: "volume qos delete", by: "admin", args: "gold" },
  { command: "volume qos list", by: "admin", lists: [] },
];

const volumes: readonly Row[] = [
  {
    command: "volume create",
    args:
      "--size 1 --type fast --description 'to begin with' --property a=b --property c=d --availability-zone nova --bootable " +
      "--read-only first",
    shows: { name: "first", size: 1, type: "fast", description: "to begin with", availability_zone: "nova" },
    keeps: { volume: "id" },
  },
  {
    command: "volume show",
    args: "first",
    shows: { id: "{volume}", status: "available", bootable: "true", properties: { a: "b", c: "d", readonly: "True" } },
    waits: true,
  },
  {
    command: "volume set",
    args: "--name data --size 2 --description changed --property e=f --non-bootable --read-write first",
  },
  {
    command: "volume show",
    args: "data",
    shows: {
      id: "{volume}",
      size: 2,
      status: "available",
      description: "changed",
      bootable: "false",
      properties: { a: "b", c: "d", e: "f", readonly: "False" },
    },
    waits: true,
  },
  { command: "volume unset", args: "--property e --property c data" },
  { command: "volume show", args: "{volume}", shows: { properties: { a: "b", readonly: "False" } } },
  { command: "volume set", args: "--state error data", fails: /One or more of the set operations failed/ },
  { command: "volume set", by: "admin", args: "--state error {volume}" },
  { command: "volume list", args: "--status error", lists: [{ ID: "{volume}", Name: "data", Status: "error", Size: 2 }] },
  { command: "volume set", by: "admin", args: "--state available {volume}" },
  {
    command: "volume create",
    args: "--source data --size 3 --property x=y copy",
    shows: { name: "copy", size: 3, source_volid: "{volume}", type: "fast" },
  },
  { command: "volume show", args: "copy", shows: { status: "available", properties: { x: "y" } }, waits: true },
  { command: "volume set", args: "--no-property --property only=this copy" },
  { command: "volume show", args: "copy", shows: { properties: { only: "this" } } },
  { command: "volume list", args: "--long --name data", lists: [{ ID: "{volume}", Type: "fast", Bootable: "false" }] },
  { command: "volume list", args: "--limit 1", lists: [{ Name: "copy" }] },
  {
    command: "volume list",
    lists: [
      { Name: "data", Size: 2 },
      { Name: "copy", Size: 3 },
    ],
  },
  { command: "volume list", args: "--marker {volume}", lists: [] },
  { command: "volume list", by: "admin", lists: [] },
  { command: "volume list", by: "admin", args: "--project {demo}", lists: [{ Name: "data" }, { Name: "copy" }] },
  { command: "volume create", args: "--size 0 nothing", fails: /\(HTTP 400\)/ },
  { command: "volume create", args: "--size 1 --type nothing-like-it nothing", fails: /nothing-like-it.*\(HTTP 404\)/s },
  { command: "volume show", args: "nothing", fails: /No volume with a name or ID of 'nothing' exists/ },
];

const snapshots: readonly Row[] = [
  {
    command: "volume snapshot create",
    args: "--volume data --description d --property k=v moment",
    shows: { name: "moment", volume_id: "{volume}", size: 2, description: "d", properties: { k: "v" } },
    keeps: { snapshot: "id" },
  },
  { command: "volume snapshot show", args: "moment", shows: { id: "{snapshot}", status: "available" }, waits: true },
  { command: "volume snapshot set", args: "--name instant --description e --property l=w moment" },
  {
    command: "volume snapshot list",
    args: "--long --volume data --name instant --status available",
    lists: [{ ID: "{snapshot}", Name: "instant", Description: "e", Size: 2, Properties: { k: "v", l: "w" } }],
  },
  { command: "volume snapshot unset", args: "--property k instant" },
  { command: "volume snapshot show", args: "instant", shows: { properties: { l: "w" } } },
  { command: "volume snapshot set", args: "--state error instant", fails: /One or more of the set operations failed/ },
  { command: "volume snapshot set", by: "admin", args: "--state error {snapshot}" },
  { command: "volume snapshot list", args: "--status error", lists: [{ ID: "{snapshot}" }] },
  { command: "volume snapshot set", by: "admin", args: "--state available {snapshot}" },
  { command: "volume snapshot list", by: "admin", args: "--all-projects --limit 1", lists: [{ ID: "{snapshot}" }] },
  { command: "volume create", args: "--snapshot instant child", shows: { size: 2, snapshot_id: "{snapshot}" } },
  { command: "volume delete", args: "data", fails: /1 of 1 volumes failed to delete/ },
  {
    command: "volume snapshot create",
    by: "admin",
    args: "--volume {volume} --remote-source source-name=nothing found",
    fails: /\(HTTP 400\)/,
  },
  { command: "volume snapshot delete", args: "instant" },
  { command: "volume snapshot list", lists: [], waits: true },
];

const transfers: readonly Row[] = [
  {
    command: "volume transfer request create",
    args: "--name gift child",
    shows: { name: "gift", auth_key: /^[0-9a-f]{16}$/ },
    keeps: { transfer: "id", key: "auth_key", child: "volume_id" },
  },
  { command: "volume transfer request list", lists: [{ ID: "{transfer}", Name: "gift", Volume: "{child}" }] },
  { command: "volume transfer request show", args: "gift", shows: { id: "{transfer}", volume_id: "{child}" } },
  { command: "volume transfer request accept", by: "admin", args: "--auth-key wrong {transfer}", fails: /\(HTTP 400\)/ },
  {
    command: "volume transfer request accept",
    by: "admin",
    args: "--auth-key {key} {transfer}",
    shows: { name: "gift", volume_id: "{child}" },
  },
  { command: "volume list", by: "admin", lists: [{ ID: "{child}", Name: "child" }] },
  { command: "volume transfer request create", args: "--no-snapshots copy", keeps: { second: "id" } },
  { command: "volume transfer request delete", args: "{second}" },
  { command: "volume transfer request list", by: "admin", args: "--all-projects", lists: [] },
  { command: "volume delete", by: "admin", args: "--purge child" },
];

const attachments: readonly Row[] = [
  {
    command: "volume attachment create",
    region: "Newer",
    args: "data 77777777-7777-4777-8777-777777777777 --connect --host compute1 --ip 127.0.0.1 --platform x86_64 --os-type linux",
    shows: { "Volume ID": "{volume}", "Instance ID": "77777777-7777-4777-8777-777777777777" },
    keeps: { attachment: "ID" },
  },
  { command: "volume attachment complete", args: "{attachment}" },
  {
    command: "volume attachment show",
    args: "{attachment}",
    shows: { ID: "{attachment}", Status: "attached", "Attach Mode": "rw", Properties: /driver_volume_type\W+nbd/ },
  },
  {
    command: "volume attachment list",
    args: "--volume-id {volume}",
    lists: [{ ID: "{attachment}", "Server ID": "77777777-7777-4777-8777-777777777777", Status: "attached" }],
  },
  { command: "volume attachment list", by: "admin", args: "--all-projects --status attached", lists: [{ ID: "{attachment}" }] },
  {
    command: "volume list",
    args: "--status in-use",
    lists: [{ ID: "{volume}", "Attached to": /77777777-7777-4777-8777-777777777777/ }],
  },
  { command: "volume attachment delete", args: "{attachment}" },
  { command: "volume show", args: "data", shows: { status: "available" }, waits: true },
  {
    command: "volume attachment create",
    region: "Newer",
    args: "data 77777777-7777-4777-8777-777777777777 --mode ro",
    keeps: { reserved: "ID" },
  },
  {
    command: "volume attachment set",
    args: "--host compute2 --ip 127.0.0.1 --platform x86_64 --os-type linux {reserved}",
    shows: { ID: "{reserved}", Properties: /access_mode\W+ro/ },
  },
  { command: "volume attachment delete", args: "{reserved}" },
];

const messages: readonly Row[] = [
  { command: "volume create", args: "--size 1 --hint different_host={volume} lonely", keeps: { lonely: "id" } },
  { command: "volume show", args: "lonely", shows: { status: "error" }, waits: true },
  {
    command: "volume message list",
    lists: [{ "Resource UUID": "{lonely}", "Resource Type": "VOLUME", "Message Level": "ERROR" }],
    keeps: { message: "ID" },
  },
  { command: "volume message show", args: "{message}", shows: { id: "{message}", resource_uuid: "{lonely}" } },
  { command: "volume message list", by: "admin", lists: [] },
  { command: "volume message delete", args: "{message}" },
  { command: "volume message list", lists: [] },
  { command: "volume delete", args: "lonely" },
];

const services: readonly Row[] = [
  { command: "volume service list", fails: forbidden },
  {
    command: "volume service list",
    by: "admin",
    args: "--long --service cinder-volume",
    lists: [{ Binary: "cinder-volume", Zone: "nova", Status: "enabled", State: "up", "Disabled Reason": null }],
    keeps: { host: "Host" },
  },
  { command: "volume service set", by: "admin", args: "--disable --disable-reason repair {host} cinder-volume" },
  {
    command: "volume service list",
    by: "admin",
    args: "--long --host {host}",
    lists: [{ Host: "{host}", Status: "disabled", "Disabled Reason": "repair" }],
  },
  { command: "volume service set", by: "admin", args: "--enable {host} cinder-volume" },
  {
    command: "volume service list",
    by: "admin",
    listsToo: [{ Binary: "cinder-scheduler" }, { Host: "{host}", Status: "enabled" }],
  },
  { command: "volume host set", by: "admin", args: "--disable {host}" },
  { command: "volume service list", by: "admin", args: "--long --host {host}", lists: [{ "Disabled Reason": "frozen" }] },
  { command: "volume host set", by: "admin", args: "--enable {host}" },
  { command: "block storage cluster list", by: "admin", lists: [] },
  { command: "block storage cluster show", by: "admin", args: "none", fails: /\(HTTP 404\)/ },
  { command: "block storage cluster set", by: "admin", args: "--disable none", fails: /\(HTTP 404\)/ },
  { command: "block storage resource filter list", listsToo: [{ Resource: "volume" }, { Resource: "snapshot" }] },
  // The client's own mistake, whatever it is answered.
  { command: "block storage resource filter show", args: "volume", fails: /object is not an iterator/ },
];

const groupTypes: readonly Row[] = [
  {
    command: "volume group type create",
    by: "admin",
    args: "--description d --private together",
    shows: { Name: "together", Description: "d", "Is Public": false },
    keeps: { groupType: "ID" },
  },
  {
    command: "volume group type set",
    by: "admin",
    args: "--name bound --description e --property k=v together",
    shows: { ID: "{groupType}" },
  },
  { command: "volume group type show", by: "admin", args: "bound", fails: /object has no attribute 'group'/ }, // the same
  {
    command: "volume group type list",
    by: "admin",
    listsToo: [{ ID: "{groupType}", Name: "bound", "Is Public": false, Properties: { k: "v" } }],
  },
  { command: "volume group type delete", by: "admin", args: "bound" },
];

const quotas: readonly Row[] = [
  {
    command: "quota set",
    by: "admin",
    region: "Newer",
    args: "--volumes 20 --gigabytes 100 --snapshots 7 --per-volume-gigabytes 9 {demo}",
  },
  { command: "quota set", by: "admin", region: "Newer", args: "--volume-type fast --volumes 5 {demo}" },
  {
    command: "quota show",
    region: "Newer",
    args: "{demo}",
    shows: { volumes: 20, gigabytes: 100, snapshots: 7, "per-volume-gigabytes": 9, volumes_fast: 5 },
  },
  { command: "quota set", region: "Newer", args: "--volumes 99 {demo}", fails: /Policy doesn't allow|403/ },
  { command: "quota list", by: "admin", args: "--volume", lists: [{ "Project ID": "{demo}", Volumes: 20, Gigabytes: 100 }] },
  { command: "quota set", by: "admin", region: "Newer", args: "--class --volumes 12 default" },
  { command: "quota show", by: "admin", region: "Newer", args: "--default", shows: { volumes: 12 } },
  { command: "volume create", args: "--size 10 huge", fails: /\(HTTP 413\)|\(HTTP 400\)/ },
  {
    command: "limits show",
    region: "Newer",
    args: "--absolute",
    listsToo: [
      { Name: "maxTotalVolumes", Value: 20 },
      { Name: "totalVolumesUsed", Value: 2 },
      { Name: "totalGigabytesUsed", Value: 5 },
    ],
  },
  { command: "limits show", region: "Newer", args: "--rate", lists: [] },
  { command: "availability zone list", args: "--volume", lists: [{ "Zone Name": "nova", "Zone Status": "available" }] },
  { command: "extension list", args: "--volume", listsToo: [{ Alias: "os-volume-transfer" }, { Alias: "qos-specs" }] },
];

/** Another type; of another pool there is none here (test/crash/migration.test.ts has two). */
const moves: readonly Row[] = [
  { command: "volume type create", by: "admin", args: "slow", shows: { name: "slow" }, keeps: { slow: "id" } },
  { command: "volume create", args: "--size 1 mover", shows: { name: "mover" }, keeps: { mover: "id" } },
  { command: "volume show", args: "mover", shows: { status: "available" }, waits: true },
  // From 3.52 on Cinder refuses a member the filter by name, in which the client's look-up of a type ends; and so do we.
  {
    command: "volume set",
    args: "--type slow --retype-policy on-demand mover",
    fails: /Failed to set volume type: Resource\.get\(\) takes 1 positional argument/,
  },
  { command: "volume set", args: "--type {slow} --retype-policy on-demand mover" },
  { command: "volume show", args: "mover", shows: { type: "slow" }, waits: true },
  { command: "volume migrate", args: "--host {host}@nowhere#nowhere mover", fails: forbidden },
  {
    command: "volume migrate",
    by: "admin",
    args: "--host {host}@nowhere#nowhere --lock-volume {mover}",
    fails: /Invalid host: No available service named '.*@nowhere#nowhere'/,
  },
  { command: "volume delete", args: "mover" },
  { command: "volume type delete", by: "admin", args: "slow", waits: true },
];

const clearing: readonly Row[] = [
  { command: "volume set", by: "admin", args: "--state error {volume}" },
  { command: "volume delete", by: "admin", args: "--force {volume}" },
  { command: "volume delete", args: "copy" },
  { command: "volume list", lists: [], waits: true },
  { command: "volume type delete", by: "admin", args: "fast" },
];

/** In this order: later rows use what earlier ones made. */
export const script: readonly Row[] = [
  ...types,
  ...qualities,
  ...volumes,
  ...snapshots,
  ...transfers,
  ...attachments,
  ...messages,
  ...services,
  ...groupTypes,
  ...groupCommands,
  ...quotas,
  ...moves,
  ...backupCommands,
  ...clearing,
];

/** Commands for what Andiron has not. */
export const leftOut: Readonly<Record<string, readonly string[]>> = {};
