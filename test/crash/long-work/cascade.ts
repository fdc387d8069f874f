// A volume that is deleted with all of its snapshots.

import assert from "node:assert/strict";
import { findVolume } from "./volumes.ts";
import type { Ending, LongWork, Rig } from "./work.ts";

const atATime = 16;

export class Cascade implements LongWork {
  readonly name = "cascade";
  readonly #rig: Rig;

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  get tookMs(): number {
    return this.#rig.snapshots * 5;
  }

  async prepare(): Promise<void> {
    const { api, snapshots } = this.#rig;
    const id = (await findVolume(this.#rig, this.name))?.id ?? (await api.createVolume({ name: this.name }));
    let missing = snapshots - (await api.snapshots()).filter(({ volume_id: volumeId }) => volumeId === id).length;
    const makeSome = async (): Promise<void> => {
      while (missing-- > 0) await api.createSnapshot(id);
    };
    await Promise.all(Array.from({ length: atATime }, makeSome));
  }

  async begin(): Promise<void> {
    const volume = await findVolume(this.#rig, this.name);
    await this.#rig.api.call("DELETE", `/volumes/${volume!.id}?cascade=true`);
  }

  async isUnderWay(): Promise<boolean> {
    return (await findVolume(this.#rig, this.name))?.status === "deleting";
  }

  async end(): Promise<Ending> {
    const volume = await findVolume(this.#rig, this.name);
    if (volume === undefined) return "done";
    assert.equal(volume.status, "available");
    return "not begun";
  }
}
