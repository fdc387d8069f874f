// Volumes from images: raw and qcow2, and such that are kept in the cache and cloned.

import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Volume } from "../../harness/block-storage.ts";
import type { Interception } from "../../harness/glance-double.ts";
import { type Content, checkVolume, makeContent, writeImageOf } from "./content.ts";
import { cachingPool, pools } from "./pools.ts";
import { clearError, findVolume } from "./volumes.ts";
import type { Ending, LongWork, Rig } from "./work.ts";

export const imageMebibytes = 96;
const pieces = 32;
const sentBytes = 1024 * 1024;
const pauseMs = 15;

/** As over a slow line: a piece at a time, and a pause. */
export const sendSlowly: Interception = async (request, response, { path, description }) => {
  const size = Number(description["size"]);
  const offset = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  response.writeHead(offset === 0 ? 200 : 206, { "content-range": `bytes ${offset}-${size - 1}/${size}` });
  const bytes = createReadStream(path, { start: offset, highWaterMark: sentBytes }) as AsyncIterable<Buffer>;
  for await (const piece of bytes) {
    if (response.destroyed) return true;
    response.write(piece);
    await sleep(pauseMs);
  }
  response.end();
  return true;
};

export class ImageCopy implements LongWork {
  readonly name: string;
  readonly tookMs = 3000;
  protected readonly rig: Rig;
  protected readonly type: string;
  readonly #format: "raw" | "qcow2";
  #pieces = 0;
  protected content: Content = new Map();
  protected imageRef = "";

  constructor(rig: Rig, name: string, format: "raw" | "qcow2", type: string = pools[0]) {
    this.rig = rig;
    this.name = name;
    this.type = type;
    this.#format = format;
  }

  protected get volumeName(): string {
    return `${this.name}-${this.#pieces}`;
  }

  async prepare(): Promise<void> {
    const { rig } = this;
    this.#pieces++;
    this.content = makeContent(rig.random.below(2 ** 30), pieces, imageMebibytes);
    const path = join(rig.folder, this.volumeName);
    await writeImageOf(this.content, path, this.#format, imageMebibytes);
    this.imageRef = await rig.images.offer(path, this.#format);
  }

  async begin(): Promise<void> {
    await this.ask(this.volumeName);
  }

  async isUnderWay(): Promise<boolean> {
    const status = (await findVolume(this.rig, this.volumeName))?.status;
    return status === "creating" || status === "downloading";
  }

  async end(): Promise<Ending> {
    const volume = await findVolume(this.rig, this.volumeName);
    try {
      if (volume === undefined) return "not begun";
      if (volume.status === "error") return await clearError(this.rig, volume.id);
      assert.equal(volume.status, "available");
      await this.check(volume.id);
      return "done";
    } finally {
      if (volume !== undefined) await this.rig.api.delete("volumes", volume.id);
      await this.rig.images.delete(this.imageRef);
    }
  }

  /** The volume as the answer has it. */
  protected async ask(name: string): Promise<Volume> {
    const volume = { name, size: 1, imageRef: this.imageRef, volume_type: this.type };
    return (await this.rig.api.call<{ volume: Volume }>("POST", "/volumes", { volume })).volume;
  }

  protected check(volumeId: string): Promise<void> {
    return checkVolume(this.rig, volumeId, this.content);
  }
}

/** The next volume of the same image has the same bytes at once. */
export class CachedImageCopy extends ImageCopy {
  constructor(rig: Rig, name: string) {
    super(rig, name, "raw", cachingPool);
  }

  protected override async check(volumeId: string): Promise<void> {
    const { rig, content } = this;
    await super.check(volumeId);
    const { id, status } = await this.ask(`${this.volumeName}-again`);
    assert.equal(status, "available", "the image is not in the cache");
    await checkVolume(rig, id, content);
    await rig.api.delete("volumes", id);
  }
}
