// What the campaign needs of a Glance beside the service's own use of it: to put images in, and to look at those that came.

import { rm } from "node:fs/promises";
import type { GlanceDouble } from "../../harness/glance-double.ts";

export interface StoredImage {
  readonly id: string;
  readonly name: string;
  readonly status: string;
}

export interface ImageStore {
  /** The bytes of the file, in that format; resolves with the image's id. The file is the store's now. */
  offer(path: string, format: string): Promise<string>;
  list(): Promise<readonly StoredImage[]>;
  /** The file with its bytes. */
  pathOf(id: string): string;
  delete(id: string): Promise<void>;
}

export class DoubleStore implements ImageStore {
  readonly #glance: GlanceDouble;

  constructor(glance: GlanceDouble) {
    this.#glance = glance;
  }

  offer(path: string, format: string): Promise<string> {
    return this.#glance.offer(path, format);
  }

  async list(): Promise<readonly StoredImage[]> {
    return [...this.#glance.images].map(([id, { description }]) => {
      return { id, name: String(description["name"]), status: String(description["status"]) };
    });
  }

  pathOf(id: string): string {
    return this.#glance.images.get(id)!.path;
  }

  async delete(id: string): Promise<void> {
    await rm(this.pathOf(id), { force: true });
    this.#glance.images.delete(id);
  }
}
