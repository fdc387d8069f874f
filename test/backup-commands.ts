// The part of volume-commands.ts that is about backups. It makes a volume of its own, and leaves nothing behind.

import type { Row } from "./volume-commands.ts";

export const backupCommands: readonly Row[] = [
  { command: "volume create", args: "--size 1 precious", shows: { name: "precious" }, keeps: { precious: "id" } },
  { command: "volume show", args: "precious", shows: { status: "available" }, waits: true },
  {
    command: "volume backup create",
    args: "--name monday --description d --container vault --property k=v precious",
    shows: { name: "monday" },
    keeps: { monday: "id" },
  },
  {
    command: "volume backup show",
    args: "monday",
    shows: { id: "{monday}", status: "available", volume_id: "{precious}", container: "vault", metadata: { k: "v" } },
    waits: true,
  },
  { command: "volume backup create", args: "--name tuesday --incremental precious", keeps: { tuesday: "id" } },
  { command: "volume backup show", args: "tuesday", shows: { status: "available", is_incremental: true }, waits: true },
  { command: "volume backup delete", args: "monday", fails: /1 of 1 backups failed to delete/ },
  { command: "volume backup set", args: "--name first --description e --property l=w monday" },
  { command: "volume backup unset", args: "--property k first" },
  {
    command: "volume backup show",
    args: "first",
    shows: { metadata: { l: "w" }, description: "e", has_dependent_backups: true },
  },
  {
    command: "volume backup list",
    args: "--long --volume precious --name first --status available",
    lists: [{ ID: "{monday}", Name: "first", Description: "e", Size: 1, Volume: "{precious}", Container: "vault" }],
  },
  { command: "volume backup list", by: "admin", args: "--all-projects --limit 1", lists: [{ ID: "{tuesday}" }] },
  { command: "volume backup set", args: "--state error {tuesday}", fails: /One or more of the set operations failed/ },
  { command: "volume backup set", by: "admin", args: "--state error {tuesday}" },
  { command: "volume backup show", args: "tuesday", shows: { status: "error" } },
  { command: "volume backup delete", args: "--force tuesday", fails: /1 of 1 backups failed to delete/ },
  { command: "volume backup delete", by: "admin", args: "--force {tuesday}" },
  { command: "volume backup list", lists: [{ ID: "{monday}" }], waits: true },
  { command: "volume backup restore", args: "first precious", fails: /already exists; if you want to restore/ },
  // It restores, and then does not know how to print the answer.
  {
    command: "volume backup restore",
    args: "first again",
    fails: /cannot unpack non-iterable VolumeBackupsRestore object/,
  },
  { command: "volume show", args: "again", shows: { status: "available", size: 1 }, waits: true },
  { command: "volume backup record export", args: "first", fails: /Policy doesn't allow backup:export-import/ },
  {
    command: "volume backup record export",
    by: "admin",
    args: "{monday}",
    shows: { backup_service: /^cinder\.backup\.drivers\./ },
    keeps: { service: "backup_service", record: "backup_url" },
  },
  { command: "volume backup record import", by: "admin", args: "{service} {record}", fails: /Backup already exists in database/ },
  { command: "volume backup delete", args: "first" },
  { command: "volume backup list", lists: [], waits: true },
  { command: "volume delete", args: "precious again" },
];
