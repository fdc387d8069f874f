// The part of a process that knows Glance: what is asked of it for a request, and how an image's bytes come into a volume.
//
// A request's token goes along as far as the process lives that took the request, in memory. Without it, or when Glance takes
// it no more, the bytes are asked for with our own credentials, and only when the image is still the one that the caller saw.

import { type ImageDescription, type Images, noImages, type CopyTask } from "../cinder/images.ts";
import type { RequestContext } from "../cinder/context.ts";
import { isUuid } from "../cinder/volume-create.ts";
import { systemClock } from "../common/clock.ts";
import type { Config } from "../common/config.ts";
import { AndironError } from "../common/errors.ts";
import type { Service } from "../common/service.ts";
import type { ExportDirectory } from "../engine/device.ts";
import { GlanceClient, type ImageAsker } from "../glance/glance-client.ts";
import { GlanceHttp } from "../glance/glance-http.ts";
import { ImageCopies } from "../images/image-copies.ts";
import { ServiceHttp } from "../keystone/service-http.ts";
import type { ServiceSession } from "../keystone/service-session.ts";

export interface ImagePartOptions {
  readonly config: Config;
  /** Our own standing with Keystone; undefined without Keystone. */
  readonly session: ServiceSession | undefined;
  /** Whose token goes along as X-Service-Token, if any. */
  readonly serviceUser: ServiceSession | undefined;
  readonly directory: ExportDirectory;
}

export interface ImagePart {
  readonly images: Images;
  readonly services: readonly Service[];
}

const gibibyte = 2 ** 30;
/** More than jobs may wait; without the caller's word a job asks with our own. */
const wordsMax = 20_000;

export function makeImagePart(options: ImagePartOptions): ImagePart {
  const { config, session } = options;
  if (config.DEFAULT.glance_api_servers.length === 0 && session === undefined) return { images: noImages, services: [] };
  const { glance_request_timeout, glance_api_insecure, glance_ca_certificates_file, glance_num_retries } = config.DEFAULT;
  const connection = {
    caFile: glance_ca_certificates_file,
    insecure: glance_api_insecure,
    timeoutMs: glance_request_timeout * 1000,
  };
  const naming = { clock: systemClock, service: "Glance", failure: "glance_unavailable", retriesMax: 0 } as const;
  const http = new ServiceHttp({ ...connection, ...naming });
  const bytes = new GlanceHttp(connection);
  const servers = serversOf(options);
  const glance = new GlanceClient({ http, bytes, servers, retriesMax: glance_num_retries, clock: systemClock });
  const asking = new ImageAsking(glance, options);
  const copies = makeCopies(options, asking);
  const images: Images = {
    find: (context, reference) => asking.find(context, reference),
    vouch: (jobId, context) => asking.vouch(jobId, context),
    copy: (task, run) => copies.step(task, run),
    async endCopy(jobId) {
      asking.forget(jobId);
      await copies.end(jobId);
    },
  };
  const service: Service = {
    id: "images",
    start: () => copies.start(),
    async stop() {
      await copies.stop();
      await Promise.all([http.close(), bytes.close()]);
    },
  };
  return { images, services: [service] };
}

function makeCopies({ config, directory }: ImagePartOptions, asking: ImageAsking): ImageCopies<CopyTask> {
  const { DEFAULT } = config;
  return new ImageCopies<CopyTask>({
    openBytes: (task, offset, signal) => asking.read(task, offset, signal),
    openExport: (exportName) => directory.open(exportName),
    scratch: DEFAULT.image_conversion_dir,
    host: DEFAULT.host,
    vmdkAllowedTypes: DEFAULT.vmdk_allowed_types,
    isConversionDisabled: DEFAULT.image_conversion_disable,
    cpuSecondsMax: DEFAULT.image_conversion_cpu_limit,
    addressSpaceBytesMax: DEFAULT.image_conversion_address_space_limit * gibibyte,
    clock: systemClock,
  });
}

function serversOf({ config, session }: ImagePartOptions): () => Promise<readonly string[]> {
  const { glance_api_servers, glance_catalog_info } = config.DEFAULT;
  if (glance_api_servers.length > 0) {
    const urls = glance_api_servers.map((server) => (server.includes("//") ? server : `http://${server}`));
    return () => Promise.resolve(urls);
  }
  const [type = "image", , endpoint = "publicURL"] = glance_catalog_info.split(":");
  const region = config.keystone_authtoken.region_name;
  return async () => [await session!.endpoint({ serviceTypes: [type], interface: endpoint, region })];
}

class ImageAsking {
  readonly #glance: GlanceClient;
  readonly #options: ImagePartOptions;
  readonly #words = new Map<string, () => string>();

  constructor(glance: GlanceClient, options: ImagePartOptions) {
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

  vouch(jobId: string, { userToken }: RequestContext): void {
    if (userToken === undefined) return;
    this.#words.set(jobId, userToken);
    const oldest = this.#words.keys().next();
    if (this.#words.size > wordsMax && oldest.done !== true) this.#words.delete(oldest.value);
  }

  forget(jobId: string): void {
    this.#words.delete(jobId);
  }

  async *read(task: CopyTask, offset: number, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    const { id, sizeBytes } = task.image;
    const wanted = { id, sizeBytes, offset, signal };
    const word = this.#words.get(task.jobId);
    if (word === undefined) return yield* this.#readAsOurselves(task, offset, signal);
    let came = 0;
    try {
      for await (const piece of this.#glance.read(await this.#asker(task.requestId, word()), wanted)) {
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

  async #asker(requestId: string, token: string | undefined): Promise<ImageAsker> {
    const serviceToken = await this.#options.serviceUser?.token();
    return { token, requestId, ...(serviceToken === undefined ? {} : { serviceToken }) };
  }
}

const isRefusal = (error: unknown): boolean =>
  error instanceof AndironError && (error.kind === "not-found" || error.kind === "forbidden" || error.kind === "invalid");
