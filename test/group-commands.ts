// The part of the script of volume-commands.peer.test.ts that concerns groups, group snapshots and their older form.

import type { Row } from "./volume-commands.ts";

/** Before it asks anything the client (6.0) calls a method that its library has under another name (`get`). */
const missingMethod = /^'GroupManager' object has no attribute 'show'$/m;

export const groupCommands: readonly Row[] = [
  // A member finds volume types by their ids: from 3.52 on a list is not filtered by name for him, with Cinder too.
  { command: "volume group type create", by: "admin", args: "pair", shows: { Name: "pair" } },
  {
    command: "volume group create",
    args: "--name duo --description d pair {type}",
    shows: { Status: "available", Name: "duo", Description: "d", "Source Group ID": null },
    keeps: { group: "ID" },
  },
  { command: "volume group list", lists: [{ ID: "{group}", Status: "available", Name: "duo" }] },
  { command: "volume group show", args: "--volumes duo", fails: missingMethod },
  // The client shows what a change answers, which is nothing.
  { command: "volume group set", args: "--description e duo", shows: {} },
  { command: "volume group set", args: "--enable-replication duo", fails: /is not a replication group type\. \(HTTP 400\)/ },
  { command: "volume group failover", args: "duo", fails: /is not a replication group type\. \(HTTP 400\)/ },
  { command: "volume group snapshot create", args: "--name both duo", shows: { Name: "both" }, keeps: { groupSnapshot: "ID" } },
  { command: "volume group snapshot list", lists: [{ ID: "{groupSnapshot}", Status: "available", Name: "both" }] },
  { command: "volume group snapshot show", args: "both", fails: missingMethod },
  { command: "volume group delete", args: "duo", fails: /Group has existing snapshots\. \(HTTP 400\)/ },
  { command: "volume group snapshot delete", args: "both" },
  { command: "volume group delete", args: "--force duo" },
  { command: "volume group list", lists: [] },
  { command: "volume group type delete", by: "admin", args: "pair" },
  {
    command: "volume create",
    args: "--size 1 --type fast piece",
    shows: { name: "piece" },
  },
  { command: "volume show", args: "piece", shows: { status: "available" }, waits: true },
  {
    command: "consistency group create",
    args: "--volume-type {type} --description d old",
    shows: { name: "old" },
    keeps: { old: "id" },
  },
  { command: "consistency group add volume", args: "old piece" },
  { command: "volume show", args: "piece", shows: { consistencygroup_id: "{old}" } },
  {
    command: "consistency group list",
    args: "--long",
    lists: [{ ID: "{old}", Status: "available", Name: "old", Description: "d" }],
  },
  { command: "consistency group set", args: "--description e old" },
  { command: "consistency group show", args: "old", shows: { id: "{old}", status: "available", description: "e" } },
  {
    command: "consistency group snapshot create",
    args: "--consistency-group old kept",
    shows: { name: "kept" },
    keeps: { kept: "id" },
  },
  {
    command: "consistency group snapshot list",
    args: "--long",
    lists: [{ ID: "{kept}", Status: "available", Name: "kept" }],
  },
  { command: "consistency group snapshot show", args: "kept", shows: { id: "{kept}", consistencygroup_id: "{old}" } },
  // It is made, and then the client (6.0) stumbles over the answer, in which it looks for a field of its other classes.
  { command: "consistency group create", args: "--consistency-group-snapshot kept copy", fails: /has no attribute '_info'/ },
  { command: "consistency group list", listsToo: [{ Name: "copy", Status: "available" }], waits: true },
  { command: "consistency group snapshot delete", args: "kept" },
  { command: "consistency group remove volume", args: "old piece" },
  { command: "consistency group delete", args: "--force copy old" },
  { command: "consistency group list", lists: [], waits: true },
  { command: "volume delete", args: "piece" },
];
