// One volume under the campaign: its model, its attachment, and the snapshots and clones that were asked for. All it does
// goes through the API and NBD, and it may be interrupted by the death of the service at any await: what was under way is
// then found out from the API after the restart (settleImages).
//
// An image:   asked for ──► answered with an id ──► available (window closed) ──► verified, any number of times ──► deleted
//                 └─ dead before the answer: found by its name, or it never was

import { systemClock } from "../../src/common/clock.ts";
import type { Random } from "../../src/common/random.ts";
import { NbdClient } from "../../src/nbd/client.ts";
import type { BlockStorage } from "../harness/block-storage.ts";
import type { AndironProcess } from "../harness/service.ts";
import { readStamps } from "./disk.ts";
import { checkImage } from "./image-check.ts";
import { SectorModel, type Image } from "./sector-model.ts";

export interface TakenImage {
  readonly kind: "snapshot" | "clone";
  readonly name: string;
  readonly image: Image;
  /** Undefined until the answer was seen. */
  id: string | undefined;
  /** A delete was asked for: it may be gone. */
  doomed: boolean;
}

export interface VictimOptions {
  readonly api: BlockStorage;
  readonly service: AndironProcess;
  readonly random: Random;
  readonly volumeId: string;
  readonly firstByte: number;
  readonly sectorCount: number;
}

const imagesMax = 5;

export class Victim {
  readonly volumeId: string;
  readonly firstByte: number;
  readonly model: SectorModel;
  images: TakenImage[] = [];
  readonly #options: VictimOptions;
  #attachment: { readonly id: string; readonly exportName: string } | undefined;
  #imagesTaken = 0;

  constructor(options: VictimOptions, content: Int32Array) {
    this.#options = options;
    this.volumeId = options.volumeId;
    this.firstByte = options.firstByte;
    this.model = new SectorModel(content, "acknowledged");
  }

  /** An NBD connection to the volume, attached once and for all: the attachment must outlive the service's deaths. */
  async connect(): Promise<NbdClient> {
    const { api, volumeId } = this.#options;
    if (this.#attachment === undefined) {
      const { id, connection_info } = await api.attach(volumeId);
      this.#attachment = { id, exportName: connection_info.name };
    }
    return this.#connectTo(this.#attachment.exportName);
  }

  /** After a restart: each sector must be one of those the model allows. Returns what is wrong. */
  async verifyContent(): Promise<string[]> {
    const client = await this.connect();
    try {
      const found = await readStamps(client, this.#options.firstByte, this.#options.sectorCount);
      return this.model.recover(found).map((line) => `volume ${this.volumeId}: ${line}`);
    } finally {
      await client.disconnect();
    }
  }

  /** Takes or deletes a snapshot or clone, at random. Rejects when the service dies meanwhile. */
  async disturb(): Promise<void> {
    const { random } = this.#options;
    const idle = this.images.filter(({ doomed }) => !doomed);
    if (idle.length >= imagesMax) await this.#delete(idle[random.below(idle.length)]!);
    else await this.#take(random.below(3) === 0 ? "clone" : "snapshot");
  }

  /** After a restart: finds out which of the images that were under way are there, and waits for them. Returns what is wrong. */
  async settleImages(): Promise<string[]> {
    const { api } = this.#options;
    const wrong: string[] = [];
    const present = [...(await api.snapshots()), ...(await api.volumes())];
    for (const taken of [...this.images]) {
      const found = present.find(({ id, name }) => id === taken.id || name === taken.name);
      if (found !== undefined && found.status !== "deleting") {
        taken.id = found.id;
        if (taken.doomed) await this.#delete(taken);
        else await this.#finish(taken);
        continue;
      }
      if (found !== undefined) await api.delete(collectionOf(taken), found.id);
      if (taken.id !== undefined && !taken.doomed) wrong.push(`${taken.kind} ${taken.id} was acknowledged and is gone`);
      this.#forget(taken);
    }
    return wrong;
  }

  /** Reads the image through a clone (a clone: itself) and compares. Returns what is wrong. */
  async verifyImage(taken: TakenImage): Promise<string[]> {
    const { api } = this.#options;
    if (taken.id === undefined) return [`${taken.kind} ${taken.name} has no id`];
    const found =
      taken.kind === "clone" ? await this.#readVolume(taken.id) : await this.#readThroughClone(`verify-${taken.name}`, taken.id);
    await api.waitForStatus(collectionOf(taken), taken.id, "available");
    return checkImage(taken.image, found).map((line) => `${taken.kind} ${taken.id}: ${line}`);
  }

  /** A new volume with the content of this one as it is now; resolves with it and what is wrong with it. */
  async fork(name: string): Promise<{ readonly victim: Victim; readonly wrong: string[] }> {
    const { api, volumeId } = this.#options;
    const image = this.model.openImage();
    const forkId = await api.createVolume({ name, source_volid: volumeId });
    this.model.closeImage(image);
    const found = await this.#readVolume(forkId);
    return { victim: new Victim({ ...this.#options, volumeId: forkId }, found), wrong: checkImage(image, found) };
  }

  async #take(kind: TakenImage["kind"]): Promise<void> {
    const { api, volumeId } = this.#options;
    const name = `${kind}-${volumeId}-${this.#imagesTaken++}`;
    const taken: TakenImage = { kind, name, image: this.model.openImage(), id: undefined, doomed: false };
    this.images.push(taken);
    if (kind === "snapshot") {
      const body = { snapshot: { volume_id: volumeId, name, force: true } };
      taken.id = (await api.call<{ snapshot: { id: string } }>("POST", "/snapshots", body)).snapshot.id;
    } else {
      const body = { volume: { source_volid: volumeId, name } };
      taken.id = (await api.call<{ volume: { id: string } }>("POST", "/volumes", body)).volume.id;
    }
    await this.#finish(taken);
  }

  async #finish(taken: TakenImage): Promise<void> {
    if (taken.id === undefined) return;
    await this.#options.api.waitForStatus(collectionOf(taken), taken.id, "available");
    this.model.closeImage(taken.image);
  }

  async #delete(taken: TakenImage): Promise<void> {
    taken.doomed = true;
    if (taken.id !== undefined) await this.#options.api.delete(collectionOf(taken), taken.id);
    this.#forget(taken);
  }

  #forget(taken: TakenImage): void {
    this.model.closeImage(taken.image);
    this.images = this.images.filter((other) => other !== taken);
  }

  async #readThroughClone(name: string, snapshotId: string): Promise<Int32Array> {
    const cloneId = await this.#options.api.createVolume({ name, snapshot_id: snapshotId });
    const found = await this.#readVolume(cloneId);
    await this.#options.api.delete("volumes", cloneId);
    return found;
  }

  #readVolume(volumeId: string): Promise<Int32Array> {
    const { api, firstByte, sectorCount } = this.#options;
    return api.whileAttached(volumeId, async (_uri, { connection_info }) => {
      const client = await this.#connectTo(connection_info.name);
      try {
        return await readStamps(client, firstByte, sectorCount);
      } finally {
        await client.disconnect();
      }
    });
  }

  async #connectTo(exportName: string): Promise<NbdClient> {
    const { host, port } = this.#options.service.endpoints.nbd;
    for (let attempt = 1; ; attempt++) {
      try {
        return await NbdClient.connect({ address: { host, port }, exportName, clock: systemClock });
      } catch (error) {
        // A router that has just started may still be claiming the disk of its dead self.
        if (attempt >= 50) throw error;
        await systemClock.sleep(100);
      }
    }
  }
}

function collectionOf({ kind }: TakenImage): "snapshots" | "volumes" {
  return kind === "snapshot" ? "snapshots" : "volumes";
}
