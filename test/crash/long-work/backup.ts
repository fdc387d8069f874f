// Backups: whole ones and such that build on them are made, restored and deleted.

import assert from "node:assert/strict";
import { type Content, checkVolume, makeContent, writeVolume } from "./content.ts";
import { pools } from "./pools.ts";
import { clearError, findVolume } from "./volumes.ts";
import type { Ending, LongWork, Rig } from "./work.ts";

const pieces = 64;
const changedPieces = 16;
/** Whole, and two that build on it. */
const chainMax = 3;
const settleMsMax = 120_000;

interface ShownBackup {
  readonly id: string;
  readonly status: string;
  readonly fail_reason: string | null;
}

/** Backups of one volume, by their names. */
class Chain {
  readonly rig: Rig;
  readonly name: string;
  content: Content = new Map();
  #volumeId = "";

  constructor(rig: Rig, name: string) {
    this.rig = rig;
    this.name = name;
  }

  /** The volume has other bytes than before. */
  async change(): Promise<void> {
    const { random, api } = this.rig;
    const isNew = this.#volumeId === "";
    if (isNew) this.#volumeId = await api.createVolume({ name: this.name, volume_type: pools[0] });
    const changes = makeContent(random.below(2 ** 30), isNew ? pieces : changedPieces);
    await writeVolume(this.rig, this.#volumeId, changes);
    this.content = new Map([...this.content, ...changes]);
  }

  async ask(name: string, incremental: boolean): Promise<void> {
    await this.rig.api.call("POST", "/backups", { backup: { volume_id: this.#volumeId, name, incremental } });
  }

  async make(name: string): Promise<string> {
    await this.ask(name, false);
    return (await this.awaitStatus(name, "available")).id;
  }

  async find(name: string): Promise<ShownBackup | undefined> {
    const { backups } = await this.rig.api.call<{ backups: ShownBackup[] }>("GET", `/backups/detail?name=${name}`);
    assert.ok(backups.length < 2, `there are ${backups.length} backups ${name}`);
    return backups[0];
  }

  async awaitStatus(name: string, status: string): Promise<ShownBackup> {
    for (const deadlineMs = performance.now() + settleMsMax; ;) {
      const backup = await this.find(name);
      if (backup?.status === status) return backup;
      assert.ok(performance.now() < deadlineMs, `backup ${name} is ${backup?.status}, not ${status}`);
    }
  }

  async delete(name: string): Promise<void> {
    const backup = await this.find(name);
    if (backup === undefined) return;
    await this.rig.api.call("DELETE", `/backups/${backup.id}`);
    for (const deadlineMs = performance.now() + settleMsMax; (await this.find(name)) !== undefined;) {
      assert.ok(performance.now() < deadlineMs, `backup ${name} is not deleted`);
    }
  }

  /** A new volume has what the backup had; it is deleted again. */
  async check(name: string, backupId: string): Promise<void> {
    const { api } = this.rig;
    const asked = { restore: { name: `${name}-restored` } };
    const { restore } = await api.call<{ restore: { volume_id: string } }>("POST", `/backups/${backupId}/restore`, asked);
    await this.awaitStatus(name, "available");
    await checkVolume(this.rig, restore.volume_id, this.content);
    await api.delete("volumes", restore.volume_id);
  }
}

export class BackupMaking implements LongWork {
  readonly name = "backup";
  readonly tookMs = 4000;
  readonly #chain: Chain;
  #links: string[] = [];
  #asked = 0;

  constructor(rig: Rig) {
    this.#chain = new Chain(rig, this.name);
  }

  async prepare(): Promise<void> {
    this.#asked++;
    if (this.#links.length >= chainMax) await this.#deleteAll();
    await this.#chain.change();
  }

  begin(): Promise<void> {
    return this.#chain.ask(this.#backupName, this.#links.length > 0);
  }

  async isUnderWay(): Promise<boolean> {
    return (await this.#chain.find(this.#backupName))?.status === "creating";
  }

  async end(): Promise<Ending> {
    const backup = await this.#chain.find(this.#backupName);
    if (backup === undefined) return "not begun";
    if (backup.status === "error") {
      assert.ok(backup.fail_reason !== null && backup.fail_reason !== "", `backup ${backup.id} does not say why it failed`);
      await this.#chain.delete(this.#backupName);
      return "error";
    }
    assert.equal(backup.status, "available");
    await this.#chain.check(this.#backupName, backup.id);
    this.#links.push(this.#backupName);
    return "done";
  }

  get #backupName(): string {
    return `${this.name}-${this.#asked}`;
  }

  async #deleteAll(): Promise<void> {
    for (const name of this.#links.splice(0).reverse()) await this.#chain.delete(name);
  }
}

export class BackupRestoring implements LongWork {
  readonly name = "restore";
  readonly tookMs = 3000;
  readonly #chain: Chain;
  #backupId = "";
  #asked = 0;

  constructor(rig: Rig) {
    this.#chain = new Chain(rig, this.name);
  }

  async prepare(): Promise<void> {
    this.#asked++;
    if (this.#backupId !== "") return;
    await this.#chain.change();
    this.#backupId = await this.#chain.make(this.name);
  }

  async begin(): Promise<void> {
    await this.#chain.rig.api.call("POST", `/backups/${this.#backupId}/restore`, { restore: { name: this.#volumeName } });
  }

  async isUnderWay(): Promise<boolean> {
    return (await this.#chain.find(this.name))?.status === "restoring";
  }

  async end(): Promise<Ending> {
    const { rig, content } = this.#chain;
    assert.equal((await this.#chain.find(this.name))?.status, "available");
    const volume = await findVolume(rig, this.#volumeName);
    if (volume === undefined) return "not begun";
    try {
      if (volume.status === "error_restoring") return await clearError(rig, volume.id);
      assert.equal(volume.status, "available");
      await checkVolume(rig, volume.id, content);
      return "done";
    } finally {
      await rig.api.delete("volumes", volume.id);
    }
  }

  get #volumeName(): string {
    return `${this.name}-${this.#asked}`;
  }
}

export class BackupDeleting implements LongWork {
  readonly name = "backup-delete";
  readonly tookMs = 300;
  readonly #chain: Chain;
  #backupId = "";

  constructor(rig: Rig) {
    this.#chain = new Chain(rig, this.name);
  }

  async prepare(): Promise<void> {
    await this.#chain.change();
    this.#backupId = (await this.#chain.find(this.name))?.id ?? (await this.#chain.make(this.name));
  }

  async begin(): Promise<void> {
    await this.#chain.rig.api.call("DELETE", `/backups/${this.#backupId}`);
  }

  async isUnderWay(): Promise<boolean> {
    return (await this.#chain.find(this.name))?.status === "deleting";
  }

  async end(): Promise<Ending> {
    const backup = await this.#chain.find(this.name);
    if (backup === undefined) return "done";
    if (backup.status === "available") return "not begun";
    assert.equal(backup.status, "error_deleting");
    assert.ok(backup.fail_reason !== null && backup.fail_reason !== "", `backup ${backup.id} does not say why it failed`);
    await this.#chain.delete(this.name);
    return "error";
  }
}
