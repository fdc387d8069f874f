// In whose name Glance is asked: for a request, for an image's bytes, for an image that is made of a volume.
//
// - A request's token goes along as far as the process lives that took the request, in memory. Without it, or when Glance takes
//   it no more, our own credentials ask.
// - With them bytes are read only of an image that is still the one that the caller saw; and what is written or deleted is an
//   image that a caller made through us, under an id of ours.

import type { CopyTask, EmptyImage, ImageDescription, NewImage, UploadTask } from "../cinder/images.ts";
import type { RequestContext } from "../cinder/context.ts";
import { isUuid } from "../cinder/type-reference.ts";
import { AndironError } from "../common/errors.ts";
import type { GlanceClient, ImageAsker } from "../glance/glance-client.ts";
import type { ImageFacts } from "../glance/image.ts";
import type { ServiceSession } from "../keystone/service-session.ts";
import { CallerWords } from "./caller-words.ts";

export interface ImageAskingOptions {
  /** Our own standing with Keystone; undefined without Keystone. */
  readonly session: ServiceSession | undefined;
  /** Whose token goes along as X-Service-Token, if any. */
  readonly serviceUser: ServiceSession | undefined;
}

type JobTask = Pick<UploadTask, "jobId" | "requestId" | "image">;

/** An image that has not all of its bytes. */
const emptyStatuses = new Set(["queued", "saving"]);

export class ImageAsking {
  readonly #glance: GlanceClient;
  readonly #options: ImageAskingOptions;
  readonly #words = new CallerWords();

  constructor(glance: GlanceClient, options: ImageAskingOptions) {
    this.#glance = glance;
    this.#options = options;
  }

  async find(context: RequestContext, reference: string): Promise<readonly ImageDescription[]> {
    const asker = await this.#asker(context.requestId, context.userToken?.());
    const id = reference.split("/").at(-1) ?? "";
    if (isUuid(id)) {
      try {
        return [await this.#glance.show(asker, id)];
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
    }
    return this.#glance.findByName(asker, reference);
  }

  vouch(jobId: string, context: RequestContext): void {
    this.#words.vouch(jobId, context);
  }

  forget(jobId: string): void {
    this.#words.forget(jobId);
  }

  async *read(task: CopyTask, offset: number, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    const { id, sizeBytes } = task.image;
    const wanted = { id, sizeBytes, offset, signal };
    const word = this.#words.of(task.jobId);
    if (word === undefined) return yield* this.#readAsOurselves(task, offset, signal);
    let came = 0;
    try {
      for await (const piece of this.#glance.read(await this.#asker(task.requestId, word), wanted)) {
        came += piece.length;
        yield piece;
      }
    } catch (error) {
      if (this.#options.session === undefined || !(error instanceof AndironError) || error.code !== "image_forbidden")
        throw error;
      yield* this.#readAsOurselves(task, offset + came, signal);
    }
  }

  async *#readAsOurselves(task: CopyTask, offset: number, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    const { image, requestId } = task;
    const asker = await this.#asker(requestId, await this.#options.session?.token());
    const present = await this.#glance.show(asker, image.id);
    const isSame =
      present.owner === image.owner && present.checksum === image.checksum && present.hash?.value === image.hash?.value;
    if (present.status !== "active" || !isSame) {
      throw new AndironError("image_forbidden", `image ${image.id} is not what it was when it was asked for`);
    }
    yield* this.#glance.read(asker, { id: image.id, sizeBytes: image.sizeBytes, offset, signal });
  }

  async create(context: RequestContext, image: NewImage): Promise<EmptyImage> {
    const asker = await this.#asker(context.requestId, context.userToken?.());
    return this.#glance.create(asker, { minDiskGib: 0, minRamMib: 0, ...image });
  }

  look(task: JobTask): Promise<ImageFacts> {
    return this.#asCaller(task, (asker) => this.#glance.show(asker, task.image.id));
  }

  put(task: JobTask, open: () => AsyncIterable<Buffer>, signal: AbortSignal): Promise<void> {
    return this.#asCaller(task, (asker) => this.#glance.upload(asker, task.image.id, open(), signal));
  }

  remove(task: JobTask): Promise<void> {
    return this.#asCaller(task, (asker) => this.#glance.delete(asker, task.image.id));
  }

  /** Removes it unless it has all its bytes. */
  async discard(task: JobTask): Promise<void> {
    try {
      const { status } = await this.look(task);
      if (emptyStatuses.has(status)) await this.remove(task);
    } catch (error) {
      if (!(error instanceof AndironError) || error.code !== "image_not_found") throw error;
    }
  }

  /** With the caller's word as long as it is good, then with our own. */
  async #asCaller<R>(task: JobTask, ask: (asker: ImageAsker) => Promise<R>): Promise<R> {
    const word = this.#words.of(task.jobId);
    const { session } = this.#options;
    if (word !== undefined) {
      try {
        return await ask(await this.#asker(task.requestId, word));
      } catch (error) {
        if (session === undefined || !(error instanceof AndironError) || error.code !== "image_forbidden") throw error;
      }
    }
    return ask(await this.#asker(task.requestId, await session?.token()));
  }

  async #asker(requestId: string, token: string | undefined): Promise<ImageAsker> {
    const serviceToken = await this.#options.serviceUser?.token();
    return { token, requestId, ...(serviceToken === undefined ? {} : { serviceToken }) };
  }
}

const isRefusal = (error: unknown): boolean =>
  error instanceof AndironError && (error.kind === "not-found" || error.kind === "forbidden" || error.kind === "invalid");
