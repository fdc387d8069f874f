// Images of volumes: raw and qcow2.

import assert from "node:assert/strict";
import { join } from "node:path";
import { runOk } from "../../harness/command.ts";
import { makeContent, writeImageOf, writeVolume } from "./content.ts";
import { pools } from "./pools.ts";
import { clearError, findVolume } from "./volumes.ts";
import type { Ending, LongWork, Rig } from "./work.ts";

const pieces = 32;

export class ImageUpload implements LongWork {
  readonly name: string;
  readonly tookMs = 3000;
  readonly #rig: Rig;
  readonly #format: "raw" | "qcow2";
  #volumeId = "";
  #asked = 0;

  constructor(rig: Rig, name: string, format: "raw" | "qcow2") {
    this.#rig = rig;
    this.name = name;
    this.#format = format;
  }

  /** One volume serves for all images. */
  async prepare(): Promise<void> {
    this.#asked++;
    if (this.#volumeId !== "") return;
    const content = makeContent(this.#rig.random.below(2 ** 30), pieces);
    this.#volumeId = await this.#rig.api.createVolume({ name: this.name, volume_type: pools[0] });
    await writeVolume(this.#rig, this.#volumeId, content);
    await writeImageOf(content, this.#disk, "raw");
  }

  async begin(): Promise<void> {
    const asked = { image_name: this.#imageName, disk_format: this.#format, container_format: "bare" };
    await this.#rig.api.call("POST", `/volumes/${this.#volumeId}/action`, { "os-volume_upload_image": asked });
  }

  async isUnderWay(): Promise<boolean> {
    return (await findVolume(this.#rig, this.name))?.status === "uploading";
  }

  async end(): Promise<Ending> {
    const { images } = this.#rig;
    assert.equal((await findVolume(this.#rig, this.name))?.status, "available");
    const [image, ...others] = (await images.list()).filter(({ name }) => name === this.#imageName);
    assert.equal(others.length, 0);
    if (image === undefined) {
      const { messages } = await this.#rig.api.call<{ messages: unknown[] }>("GET", `/messages?resource_uuid=${this.#volumeId}`);
      return messages.length === 0 ? "not begun" : clearError(this.#rig, this.#volumeId);
    }
    assert.equal(image.status, "active");
    await runOk("qemu-img", ["compare", "-f", "raw", "-F", this.#format, this.#disk, images.pathOf(image.id)]);
    await images.delete(image.id);
    return "done";
  }

  get #imageName(): string {
    return `${this.name}-${this.#asked}`;
  }

  get #disk(): string {
    return join(this.#rig.folder, `${this.name}-disk`);
  }
}
