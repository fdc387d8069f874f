// A volume that goes to and fro between the pools: by a migration, and by types of the pools.

import assert from "node:assert/strict";
import { type Content, checkVolume, makeContent, writeVolume } from "./content.ts";
import { pools } from "./pools.ts";
import { type ShownVolume, clearError, findVolume, isMoving, poolOf } from "./volumes.ts";
import type { Ending, LongWork, Rig } from "./work.ts";

const pieces = 64;

export class VolumeMove implements LongWork {
  readonly name: "migrate" | "retype";
  readonly tookMs = 2500;
  readonly #rig: Rig;
  #content: Content = new Map();
  #from = "";

  constructor(rig: Rig, name: "migrate" | "retype") {
    this.#rig = rig;
    this.name = name;
  }

  async prepare(): Promise<void> {
    if (this.#content.size === 0) {
      this.#content = makeContent(this.#rig.random.below(2 ** 30), pieces);
      // A type of a pool would forbid the migration.
      const id = await this.#rig.api.createVolume({
        name: this.name,
        ...(this.name === "retype" ? { volume_type: pools[0] } : {}),
      });
      await writeVolume(this.#rig, id, this.#content);
    }
    this.#from = poolOf(await this.#volume());
  }

  async begin(): Promise<void> {
    const volume = await this.#volume();
    const target = pools.find((pool) => pool !== this.#from)!;
    const host = volume["os-vol-host-attr:host"].replace(/@.*/, `@${target}#${target}`);
    const retype = { "os-retype": { new_type: target, migration_policy: "on-demand" } };
    const migrate = { "os-migrate_volume": { host, lock_volume: this.#rig.random.below(2) === 0 } };
    await this.#rig.api.call("POST", `/volumes/${volume.id}/action`, this.name === "retype" ? retype : migrate);
  }

  async isUnderWay(): Promise<boolean> {
    return isMoving(await this.#volume());
  }

  async end(): Promise<Ending> {
    const volume = await this.#volume();
    const hasMoved = poolOf(volume) !== this.#from;
    assert.equal(volume.status, "available");
    if (this.name === "retype") assert.equal(volume.volume_type, poolOf(volume));
    await checkVolume(this.#rig, volume.id, this.#content);
    if (volume.migration_status === "error") return clearError(this.#rig, volume.id);
    return hasMoved ? "done" : "not begun";
  }

  async #volume(): Promise<ShownVolume> {
    const volume = await findVolume(this.#rig, this.name);
    assert.ok(volume !== undefined, `volume ${this.name} is gone`);
    return volume;
  }
}
