// A Glance of a test's own, for what a real one does not do at a test's word: break off, stall, forget, lie. It has images whose
// bytes are files, and what of the Image API v2 the service asks for; whoever asks is let in. The real one is in test/cloud.

import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { stat, writeFile } from "node:fs/promises";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

export type Description = Readonly<Record<string, unknown>>;

export interface KeptImage {
  description: Description;
  /** Its bytes. */
  readonly path: string;
}

/** Takes a request away from the double; resolves with false when it does not want it. */
export type Interception = (request: IncomingMessage, response: ServerResponse, image: KeptImage) => Promise<boolean> | boolean;

const letPass: Interception = () => false;

export class GlanceDouble {
  readonly images = new Map<string, KeptImage>();
  /** Where each download began. */
  downloads: number[] = [];
  /** How many uploads began. */
  uploads = 0;
  onDownload: Interception = letPass;
  onUpload: Interception = letPass;
  /** Between the making of an image and the word of it. */
  createPauseMs = 0;
  readonly #folder: string;
  readonly #server = createServer((request, response) => {
    this.#answer(request, response).catch(() => response.destroy());
  });

  /** `folder`: for the bytes. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async start(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  reset(): void {
    this.onDownload = letPass;
    this.onUpload = letPass;
    this.createPauseMs = 0;
    this.downloads = [];
    this.uploads = 0;
  }

  /** An image that has bytes: given, or of a file. */
  async offer(content: Buffer | string, format: string, more: Description = {}): Promise<string> {
    const id = randomUUID();
    const path = typeof content === "string" ? content : this.#pathOf(id);
    if (typeof content !== "string") await writeFile(path, content);
    const description = {
      id,
      name: `image ${id}`,
      status: "active",
      disk_format: format,
      container_format: "bare",
      min_disk: 0,
      min_ram: 64,
      visibility: "public",
      owner: "somebody",
      ...(await described(path)),
      ...more,
    };
    this.images.set(id, { path, description });
    return id;
  }

  change(id: string, more: Description): void {
    const image = this.images.get(id);
    if (image !== undefined) image.description = { ...image.description, ...more };
  }

  #pathOf(id: string): string {
    return join(this.#folder, `glance-${id}`);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "" } = request;
    const [, id = "", file] = /^\/v2\/images\/([^/?]+)(\/file)?$/.exec(url) ?? [];
    const image = this.images.get(id);
    if (method === "POST" && url === "/v2/images") return this.#create(response, await readJson(request));
    if (method === "GET" && url.startsWith("/v2/images?")) {
      const name = new URL(url, "http://glance").searchParams.get("name");
      const found = [...this.images.values()].filter(({ description }) => description["name"] === name);
      return send(response, 200, { images: found.map(({ description }) => description) });
    }
    if (image === undefined) return send(response, 404);
    if (file === undefined) return this.#answerImage(method, request, response, image);
    if (method === "PUT") return this.#upload(request, response, image);
    return this.#download(request, response, image);
  }

  async #answerImage(method: string, request: IncomingMessage, response: ServerResponse, image: KeptImage): Promise<void> {
    if (method === "GET") return send(response, 200, image.description);
    if (method === "PATCH") {
      await readJson(request);
      image.description = { ...image.description, protected: false };
      return send(response, 200, image.description);
    }
    if (image.description["protected"] === true) return send(response, 403);
    this.images.delete(String(image.description["id"]));
    send(response, 204);
  }

  async #create(response: ServerResponse, body: Description): Promise<void> {
    const id = String(body["id"]);
    const description = { visibility: "shared", protected: false, owner: "demo", ...body, status: "queued", size: null };
    this.images.set(id, { path: this.#pathOf(id), description });
    if (this.createPauseMs > 0) await sleep(this.createPauseMs);
    send(response, 201, description);
  }

  /** As the real one: `saving` until all of it is there, and `queued` again when that breaks off. */
  async #upload(request: IncomingMessage, response: ServerResponse, image: KeptImage): Promise<void> {
    if (image.description["status"] !== "queued") return send(response, 409);
    this.uploads++;
    image.description = { ...image.description, status: "saving" };
    if (await this.onUpload(request, response, image)) return;
    const sha512 = createHash("sha512");
    let size = 0;
    const measure = new Transform({
      transform(piece: Buffer, _encoding, done) {
        sha512.update(piece);
        size += piece.length;
        done(null, piece);
      },
    });
    try {
      await pipeline(request, measure, createWriteStream(image.path));
    } catch (error) {
      image.description = { ...image.description, status: "queued" };
      throw error;
    }
    const facts = { size, os_hash_algo: "sha512", os_hash_value: sha512.digest("hex") };
    image.description = { ...image.description, status: "active", ...facts };
    send(response, 204);
  }

  async #download(request: IncomingMessage, response: ServerResponse, image: KeptImage): Promise<void> {
    const offset = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    this.downloads.push(offset);
    if (await this.onDownload(request, response, image)) return;
    const { size } = await stat(image.path);
    response.writeHead(offset === 0 ? 200 : 206, { "content-range": `bytes ${offset}-${size - 1}/${size}` });
    await pipeline(createReadStream(image.path, { start: offset }), response);
  }
}

async function described(path: string): Promise<Description> {
  const [md5, sha512] = [createHash("md5"), createHash("sha512")];
  let size = 0;
  for await (const piece of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
    md5.update(piece);
    sha512.update(piece);
    size += piece.length;
  }
  return { size, checksum: md5.digest("hex"), os_hash_algo: "sha512", os_hash_value: sha512.digest("hex") };
}

async function readJson(request: IncomingMessage): Promise<Description> {
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  return JSON.parse(Buffer.concat(pieces).toString("utf8")) as Description;
}

function send(response: ServerResponse, status: number, body?: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(body === undefined ? undefined : JSON.stringify(body));
}
