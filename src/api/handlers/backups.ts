// Backups: create, list, show, update, delete, restore, their records, status actions.

import type { BackupDetail } from "../../cinder/backups/backup-verbs.ts";
import { ownTarget } from "../../cinder/policy.ts";
import { readBoolean } from "../booleans.ts";
import { type Call, type Handlers, bodyObject, bodyText, emptyAnswer, pathParameter } from "../call.ts";
import { backupListRules } from "../resource-filters.ts";
import { type BackupViewOptions, viewBackup, viewBackupEntry } from "../views/backup.ts";
import { answerList } from "./paging.ts";
import { readNameUpdate } from "./volumes.ts";

const idOf = (call: Call): string => pathParameter(call, "backup_id");
const listForm = {
  rules: backupListRules,
  key: "backups",
  linksKey: "backups_links",
  idOf: ({ backup }: BackupDetail) => backup.id,
};

function viewOptions({ cinder, context, minor, links }: Call): BackupViewOptions {
  const showsOwner = cinder.policy.allows(context, "backup:backup_project_attribute", ownTarget(context));
  return { minor, links, showsOwner };
}

export const backupHandlers: Handlers = {
  async createBackup(call) {
    const given = bodyObject(call.body, "backup");
    const backup = await call.cinder.backups.create(call.context, {
      ...readNameUpdate(given),
      volumeId: bodyText(given, "volume_id") ?? "",
      container: bodyText(given, "container") ?? null,
      incremental: readBoolean(given["incremental"]),
      force: readBoolean(given["force"]),
      snapshotId: bodyText(given, "snapshot_id") ?? null,
    });
    return { body: { backup: viewBackupEntry(backup, call.links) } };
  },
  async listBackups(call) {
    const view = ({ backup }: BackupDetail): unknown => viewBackupEntry(backup, call.links);
    const form = { ...listForm, path: "backups", view };
    return answerList(call, form, (query) => call.cinder.backups.list(call.context, query));
  },
  async listBackupsDetailed(call) {
    const options = viewOptions(call);
    const form = { ...listForm, path: "backups/detail", view: (item: BackupDetail) => viewBackup(item, options) };
    return answerList(call, form, (query) => call.cinder.backups.list(call.context, query));
  },
  async showBackup(call) {
    const detail = await call.cinder.backups.show(call.context, idOf(call));
    return { body: { backup: viewBackup(detail, viewOptions(call)) } };
  },
  async updateBackup(call) {
    const update = readNameUpdate(bodyObject(call.body, "backup"));
    const backup = await call.cinder.backups.update(call.context, idOf(call), update);
    return { body: { backup: viewBackupEntry(backup, call.links) } };
  },
  async deleteBackup(call) {
    await call.cinder.backups.delete(call.context, idOf(call));
    return emptyAnswer;
  },
  async forceDeleteBackup(call) {
    await call.cinder.backups.forceDelete(call.context, idOf(call));
    return emptyAnswer;
  },
  async restoreBackup(call) {
    const given = bodyObject(call.body, "restore");
    const volumeId = bodyText(given, "volume_id") ?? null;
    const name = bodyText(given, "name") ?? null;
    const { backupId, ...volume } = await call.cinder.backups.restore(call.context, idOf(call), { volumeId, name });
    return { body: { restore: { backup_id: backupId, volume_id: volume.volumeId, volume_name: volume.volumeName } } };
  },
  async exportBackup(call) {
    const { service, url } = await call.cinder.backups.exportRecord(call.context, idOf(call));
    return { body: { "backup-record": { backup_service: service, backup_url: url } } };
  },
  async importBackup(call) {
    const { backup_service: service, backup_url: url } = bodyObject(call.body, "backup-record");
    const backup = await call.cinder.backups.importRecord(call.context, { service: String(service), url: String(url) });
    return { body: { backup: viewBackupEntry(backup, call.links) } };
  },
  async resetBackupStatus(call) {
    const status = bodyText(bodyObject(call.body, "os-reset_status"), "status") ?? "";
    await call.cinder.backups.resetStatus(call.context, idOf(call), status);
    return emptyAnswer;
  },
};
