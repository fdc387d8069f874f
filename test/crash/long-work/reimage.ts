// Another image in a volume that exists.

import assert from "node:assert/strict";
import { join } from "node:path";
import { type Content, checkVolume, makeContent, writeImageOf, writeVolume } from "./content.ts";
import { imageMebibytes } from "./image-copy.ts";
import { pools } from "./pools.ts";
import { clearError, findVolume } from "./volumes.ts";
import type { Ending, LongWork, Rig } from "./work.ts";

const pieces = 32;

export class Reimage implements LongWork {
  readonly name = "reimage";
  readonly tookMs = 3000;
  readonly #rig: Rig;
  #before: Content = new Map();
  #after: Content = new Map();
  #imageId = "";

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  async prepare(): Promise<void> {
    const { api, folder, images, random } = this.#rig;
    this.#before = makeContent(random.below(2 ** 30), pieces);
    this.#after = makeContent(random.below(2 ** 30), pieces, imageMebibytes);
    const volumeId = await api.createVolume({ name: this.name, volume_type: pools[0] });
    await writeVolume(this.#rig, volumeId, this.#before);
    const path = join(folder, this.name);
    await writeImageOf(this.#after, path, "qcow2", imageMebibytes);
    this.#imageId = await images.offer(path, "qcow2");
  }

  async begin(): Promise<void> {
    const volume = await findVolume(this.#rig, this.name);
    const asked = { "os-reimage": { image_id: this.#imageId } };
    await this.#rig.api.call("POST", `/volumes/${volume!.id}/action`, asked);
  }

  async isUnderWay(): Promise<boolean> {
    return (await findVolume(this.#rig, this.name))?.status === "downloading";
  }

  async end(): Promise<Ending> {
    const volume = await findVolume(this.#rig, this.name);
    assert.ok(volume !== undefined, `volume ${this.name} is gone`);
    try {
      if (volume.status === "error") return await clearError(this.#rig, volume.id);
      assert.equal(volume.status, "available");
      const isDone = volume.bootable === "true";
      await checkVolume(this.#rig, volume.id, isDone ? this.#after : this.#before);
      return isDone ? "done" : "not begun";
    } finally {
      await this.#rig.api.delete("volumes", volume.id);
      await this.#rig.images.delete(this.#imageId);
    }
  }
}
