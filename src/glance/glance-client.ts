// What we ask Glance (Image API v2), with the token of who asked us, so that who may see which image is Glance's business:
//
// - an image by its id or its name; its bytes (image-stream.ts); a new image, and its bytes; its end.
// - Requests without an image's bytes are repeated, at the next server, while Glance cannot be reached. A new image is given its
//   id by us, so that a repeated request does not make two.
//
// Nothing of a token is kept here or put into an error.

import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { ServiceHttp, ServiceReply, ServiceRequest } from "../keystone/service-http.ts";
import type { GlanceHttp } from "./glance-http.ts";
import { type ImageFacts, parseImage, parseImageList } from "./image.ts";
import { streamImage } from "./image-stream.ts";
import { refusalOf } from "./refusal.ts";

export interface GlanceClientOptions {
  /** Its own retries are those of one server: 0. */
  readonly http: ServiceHttp;
  readonly bytes: GlanceHttp;
  /** URLs without /v2, in the order in which they are tried; at least one. Rejects when they are not known. */
  readonly servers: () => Promise<readonly string[]>;
  /** glance_num_retries. */
  readonly retriesMax: number;
  readonly clock: Clock;
}

/** In whose name a request is made. */
export interface ImageAsker {
  /** undefined: Glance knows no users. */
  readonly token: string | undefined;
  /** Lets an expired token through, where the service has one of its own. */
  readonly serviceToken?: string;
  readonly requestId: string;
}

export interface NewImage {
  /** A UUID of ours. */
  readonly id: string;
  readonly name: string;
  readonly diskFormat: string;
  readonly containerFormat: string;
  /** Absent: as Glance likes it. */
  readonly visibility?: "private" | "shared" | "community" | "public";
  readonly isProtected?: boolean;
  readonly minDiskGib: number;
  readonly minRamMib: number;
  readonly properties: Readonly<Record<string, string>>;
}

const firstPauseMs = 100;
/** As Glance's own client sends. */
const chunkBytesMax = 64 * 1024;
const patchType = "application/openstack-images-v2.1-json-patch";

export class GlanceClient {
  readonly #options: GlanceClientOptions;

  constructor(options: GlanceClientOptions) {
    this.#options = options;
  }

  /** Throws image_not_found, image_forbidden, glance_unavailable. */
  async show(asker: ImageAsker, imageId: string): Promise<ImageFacts> {
    const reply = await this.#send(asker, { method: "GET", path: `/v2/images/${encodeURIComponent(imageId)}` });
    if (reply.status !== 200) throw refusalOf(reply.status, imageId);
    return parseImage(reply.body, imageId);
  }

  /** Those that the asker sees: at most two, since more than one is no answer. */
  async findByName(asker: ImageAsker, name: string): Promise<ImageFacts[]> {
    const query = new URLSearchParams({ name, limit: "2" });
    const reply = await this.#send(asker, { method: "GET", path: `/v2/images?${query.toString()}` });
    if (reply.status !== 200) throw refusalOf(reply.status, `called ${JSON.stringify(name)}`);
    return parseImageList(reply.body);
  }

  /** The image's bytes from `offset` on. Errors come while it is read. */
  read(asker: ImageAsker, image: ReadImage): AsyncGenerator<Buffer, void, undefined> {
    const { clock, retriesMax, bytes } = this.#options;
    const path = `/v2/images/${encodeURIComponent(image.id)}/file`;
    return streamImage({
      imageId: image.id,
      offset: image.offset,
      sizeBytes: image.sizeBytes,
      signal: image.signal,
      retriesMax,
      clock,
      open: async (offset, attempt, signal) => {
        const headers = { ...headersOf(asker), ...(offset === 0 ? {} : { range: `bytes=${offset}-` }) };
        return bytes.send({ method: "GET", url: (await this.#server(attempt)) + path, headers, signal });
      },
    });
  }

  /** Resolves with the new image, which has no bytes yet ("queued"). */
  async create(asker: ImageAsker, image: NewImage): Promise<ImageFacts> {
    const body = {
      ...image.properties,
      id: image.id,
      name: image.name,
      disk_format: image.diskFormat,
      container_format: image.containerFormat,
      ...(image.visibility === undefined ? {} : { visibility: image.visibility }),
      ...(image.isProtected === undefined ? {} : { protected: image.isProtected }),
      min_disk: image.minDiskGib,
      min_ram: image.minRamMib,
    };
    const reply = await this.#send(asker, { method: "POST", path: "/v2/images", body });
    if (reply.status === 201) return parseImage(reply.body, image.id);
    // An answer to this very request was lost, and it was sent again: nobody else has this id.
    if (reply.status === 409) return this.show(asker, image.id);
    throw refusalOf(reply.status, image.id);
  }

  /** Gives a queued image its bytes. Tried once: after a failure the image is to be given up. */
  async upload(asker: ImageAsker, imageId: string, content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const url = `${await this.#server(0)}/v2/images/${encodeURIComponent(imageId)}/file`;
    const headers = { ...headersOf(asker), "content-type": "application/octet-stream" };
    let status: number;
    try {
      const reply = await this.#options.bytes.send({ method: "PUT", url, headers, body: inChunks(content), signal });
      reply.body.destroy();
      status = reply.status;
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof AndironError) throw cause;
      throw new AndironError("glance_unavailable", `Glance at ${new URL(url).origin} did not take the bytes of ${imageId}`, {
        cause,
      });
    }
    if (status !== 204) throw refusalOf(status, imageId);
  }

  /** Resolves when there is no such image. One that is protected goes too: this is for images that came to nothing. */
  async delete(asker: ImageAsker, imageId: string): Promise<void> {
    const path = `/v2/images/${encodeURIComponent(imageId)}`;
    const reply = await this.#send(asker, { method: "DELETE", path });
    if (reply.status === 204 || reply.status === 404) return;
    if (reply.status !== 403) throw refusalOf(reply.status, imageId);
    const body = [{ op: "replace", path: "/protected", value: false }];
    const opened = await this.#send(asker, { method: "PATCH", path, body, contentType: patchType });
    if (opened.status !== 200) throw refusalOf(opened.status, imageId);
    const again = await this.#send(asker, { method: "DELETE", path });
    if (again.status !== 204 && again.status !== 404) throw refusalOf(again.status, imageId);
  }

  async #send(
    asker: ImageAsker,
    asked: Pick<ServiceRequest, "method" | "body"> & { readonly path: string; readonly contentType?: string },
  ): Promise<ServiceReply> {
    const { http, retriesMax, clock } = this.#options;
    const { method, path, body, contentType } = asked;
    for (let attempt = 0; ; attempt++) {
      const url = (await this.#server(attempt)) + path;
      try {
        const headers = { ...headersOf(asker), ...(contentType === undefined ? {} : { "content-type": contentType }) };
        return await http.send({ method, url, headers, ...(body === undefined ? {} : { body }) });
      } catch (error) {
        if (attempt >= retriesMax) throw error;
      }
      await clock.sleep(firstPauseMs * 2 ** Math.min(attempt, 6));
    }
  }

  async #server(attempt: number): Promise<string> {
    const servers = await this.#options.servers();
    const server = servers[attempt % Math.max(servers.length, 1)];
    if (server === undefined) throw new AndironError("glance_unavailable", "there is no Glance to ask");
    return server.replace(/\/+$/, "").replace(/\/v2$/, "");
  }
}

/** Which bytes of which image. */
export interface ReadImage {
  readonly id: string;
  readonly sizeBytes: number;
  readonly offset: number;
  readonly signal: AbortSignal;
}

/** Each is one HTTP chunk; Glance under uWSGI takes none of 1 MiB. */
async function* inChunks(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of content) {
    for (let at = 0; at < piece.length; at += chunkBytesMax) yield piece.subarray(at, at + chunkBytesMax);
  }
}

function headersOf({ token, serviceToken, requestId }: ImageAsker): Record<string, string> {
  return {
    ...(token === undefined ? {} : { "x-auth-token": token }),
    ...(serviceToken === undefined ? {} : { "x-service-token": serviceToken }),
    "x-openstack-request-id": requestId,
  };
}
