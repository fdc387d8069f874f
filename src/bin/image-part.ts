// The part of a process that knows Glance: what is asked of it for a request (image-asking.ts), how an image's bytes come into a
// volume, and how a volume's go into an image.

import { type CopyTask, type Images, type UploadTask, noImages } from "../cinder/images.ts";
import { systemClock } from "../common/clock.ts";
import type { Config } from "../common/config.ts";
import type { Service } from "../common/service.ts";
import type { ExportDirectory } from "../engine/device.ts";
import { GlanceClient } from "../glance/glance-client.ts";
import { GlanceHttp } from "../glance/glance-http.ts";
import { ImageCopies } from "../images/image-copies.ts";
import { Scratch } from "../images/scratch.ts";
import { VolumeUploads } from "../images/volume-uploads.ts";
import { ServiceHttp } from "../keystone/service-http.ts";
import type { ServiceSession } from "../keystone/service-session.ts";
import { ImageAsking } from "./image-asking.ts";

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
  const scratch = new Scratch({ folder: config.DEFAULT.image_conversion_dir, host: config.DEFAULT.host });
  const copies = makeCopies(options, asking, scratch);
  const uploads = makeUploads(options, asking, scratch);
  const images: Images = {
    find: (context, reference) => asking.find(context, reference),
    vouch: (jobId, context) => asking.vouch(jobId, context),
    copy: (task, run) => copies.step(task, run),
    async endCopy(jobId) {
      asking.forget(jobId);
      await copies.end(jobId);
    },
    create: (context, image) => asking.create(context, image),
    upload: (task, run) => uploads.step(task, run),
    async discard(task) {
      await uploads.end(task.jobId);
      await asking.discard(task);
    },
    async endUpload(jobId) {
      await uploads.end(jobId);
      asking.forget(jobId);
    },
  };
  const service: Service = {
    id: "images",
    start: () => scratch.start(),
    async stop() {
      await copies.stop();
      await uploads.stop();
      await Promise.all([http.close(), bytes.close()]);
    },
  };
  return { images, services: [service] };
}

function makeCopies({ config, directory }: ImagePartOptions, asking: ImageAsking, scratch: Scratch): ImageCopies<CopyTask> {
  const { DEFAULT } = config;
  return new ImageCopies<CopyTask>({
    openBytes: (task, offset, signal) => asking.read(task, offset, signal),
    openExport: (exportName) => directory.open(exportName),
    scratch,
    vmdkAllowedTypes: DEFAULT.vmdk_allowed_types,
    isConversionDisabled: DEFAULT.image_conversion_disable,
    cpuSecondsPerGib: DEFAULT.image_conversion_cpu_limit,
    addressSpaceBytesMax: DEFAULT.image_conversion_address_space_limit * gibibyte,
    clock: systemClock,
  });
}

function makeUploads({ config, directory }: ImagePartOptions, asking: ImageAsking, scratch: Scratch): VolumeUploads<UploadTask> {
  const { DEFAULT } = config;
  return new VolumeUploads<UploadTask>({
    look: (task) => asking.look(task),
    put: (task, open, signal) => asking.put(task, open, signal),
    remove: (task) => asking.remove(task),
    openExport: (exportName) => directory.open(exportName),
    scratch,
    isConversionDisabled: DEFAULT.image_conversion_disable,
    isCompressed: DEFAULT.image_compress_on_upload,
    cpuSecondsPerGib: DEFAULT.image_conversion_cpu_limit,
    addressSpaceBytesMax: DEFAULT.image_conversion_address_space_limit * gibibyte,
    stallMsMax: DEFAULT.glance_request_timeout * 1000,
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
