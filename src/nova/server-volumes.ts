// What Nova knows of a server's volumes, asked with our own credentials (Compute API, GET
// /servers/{server}/os-volume_attachments/{volume}, microversion 2.89, the first that names the attachment). It answers the
// question of CVE-2023-2088: may this attachment be taken away, or is a server using it?

import { AndironError } from "../common/errors.ts";
import type { ServiceHttp, ServiceReply } from "../keystone/service-http.ts";
import type { EndpointChoice, ServiceSession } from "../keystone/service-session.ts";

export interface NovaServerVolumesOptions {
  readonly http: ServiceHttp;
  readonly session: ServiceSession;
  /** interface and region_name of [nova]. */
  readonly compute: Omit<EndpointChoice, "serviceTypes">;
  /** Sends its token as X-Service-Token too ([service_user] send_service_user_token). */
  readonly serviceUser?: ServiceSession;
}

/** The caller's request id goes along, so that the two logs can be joined. */
interface Requester {
  readonly requestId: string;
  readonly globalRequestId?: string;
}

export class NovaServerVolumes {
  readonly #options: NovaServerVolumesOptions;

  constructor(options: NovaServerVolumesOptions) {
    this.#options = options;
  }

  /**
   * Id of the attachment by which the server uses the volume; undefined when it does not, or when there is no such server.
   * Throws nova_unavailable when Nova cannot say, keystone_unavailable when we cannot ask it.
   */
  async attachmentId(requester: Requester, serverId: string, volumeId: string): Promise<string | undefined> {
    const { session } = this.#options;
    const first = await session.token();
    let reply = await this.#send(requester, first, serverId, volumeId);
    if (reply.status === 401) {
      session.forget(first);
      reply = await this.#send(requester, await session.token(), serverId, volumeId);
    }
    if (reply.status === 404) return undefined;
    const id = attachmentOf(reply.body);
    if (reply.status === 200 && id !== undefined) return id;
    throw new AndironError("nova_unavailable", `Nova answers ${reply.status} when asked about volume ${volumeId}`, {
      hint: "the user of [nova] needs the role admin or service, and Nova must know microversion 2.89",
    });
  }

  async #send(requester: Requester, token: string, serverId: string, volumeId: string): Promise<ServiceReply> {
    const { http, session, compute, serviceUser } = this.#options;
    const root = await session.endpoint({ ...compute, serviceTypes: ["compute"] });
    const url = `${root}/servers/${encodeURIComponent(serverId)}/os-volume_attachments/${encodeURIComponent(volumeId)}`;
    const serviceToken = await serviceUser?.token();
    return http.send({
      method: "GET",
      url,
      headers: {
        "x-auth-token": token,
        ...(serviceToken === undefined ? {} : { "x-service-token": serviceToken }),
        "openstack-api-version": "compute 2.89",
        "x-openstack-request-id": requester.globalRequestId ?? requester.requestId,
      },
    });
  }
}

function attachmentOf(body: unknown): string | undefined {
  const attachment = (body as { readonly volumeAttachment?: { readonly attachment_id?: unknown } } | null | undefined)
    ?.volumeAttachment;
  return typeof attachment?.attachment_id === "string" ? attachment.attachment_id : undefined;
}
