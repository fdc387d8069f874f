// What we ask and tell Nova about a server's volumes, with our own credentials (Compute API):
//
// - GET /servers/{server}/os-volume_attachments/{volume}, microversion 2.89, the first that names the attachment. It answers
//   the question of CVE-2023-2088: may this attachment be taken away, or is a server using it?
// - POST /os-server-external-events, microversion 2.51, the first with "volume-extended". Nova then has the hypervisor look at
//   the volume's size; its answer comes before that, so it does not say that the guest has seen it. With 2.93 came
//   "volume-reimaged", for which the rebuild of a server that starts from the volume waits.

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

interface Ask {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly microversion: string;
  readonly body?: unknown;
}

interface VolumeEvent {
  readonly name: string;
  /** The first that has it. */
  readonly microversion: string;
  readonly what: string;
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
    const path = `/servers/${encodeURIComponent(serverId)}/os-volume_attachments/${encodeURIComponent(volumeId)}`;
    const reply = await this.#send(requester, { method: "GET", path, microversion: "2.89" });
    if (reply.status === 404) return undefined;
    const id = attachmentOf(reply.body);
    if (reply.status === 200 && id !== undefined) return id;
    throw new AndironError("nova_unavailable", `Nova answers ${reply.status} when asked about volume ${volumeId}`, {
      hint: "the user of [nova] needs the role admin or service, and Nova must know microversion 2.89",
    });
  }

  /**
   * Tells Nova that a volume of these servers has a new size. A server that is gone, or that no host runs, is nobody to tell.
   * Throws nova_unavailable when Nova does not take it, keystone_unavailable when we cannot ask.
   */
  volumeExtended(requester: Requester, serverIds: readonly string[], volumeId: string): Promise<void> {
    return this.#tell(requester, serverIds, volumeId, { name: "volume-extended", microversion: "2.51", what: "has grown" });
  }

  /** The same for a volume that has the bytes of another image. */
  volumeReimaged(requester: Requester, serverIds: readonly string[], volumeId: string): Promise<void> {
    return this.#tell(requester, serverIds, volumeId, { name: "volume-reimaged", microversion: "2.93", what: "has a new image" });
  }

  async #tell(requester: Requester, serverIds: readonly string[], volumeId: string, event: VolumeEvent): Promise<void> {
    const { name, microversion, what } = event;
    const events = serverIds.map((id) => ({ name, server_uuid: id, tag: volumeId }));
    const path = "/os-server-external-events";
    const reply = await this.#send(requester, { method: "POST", path, microversion, body: { events } });
    if (reply.status === 404) return;
    const refused = reply.status === 200 || reply.status === 207 ? refusedEvents(reply.body) : [reply.status];
    if (refused.length === 0) return;
    throw new AndironError("nova_unavailable", `Nova answers ${refused.join(", ")} when told that volume ${volumeId} ${what}`, {
      hint: "the user of [nova] needs the role admin",
    });
  }

  /** A token that is refused is replaced once. */
  async #send(requester: Requester, ask: Ask): Promise<ServiceReply> {
    const { session } = this.#options;
    const first = await session.token();
    const reply = await this.#sendOnce(requester, first, ask);
    if (reply.status !== 401) return reply;
    session.forget(first);
    return this.#sendOnce(requester, await session.token(), ask);
  }

  async #sendOnce(requester: Requester, token: string, { method, path, microversion, body }: Ask): Promise<ServiceReply> {
    const { http, session, compute, serviceUser } = this.#options;
    const root = await session.endpoint({ ...compute, serviceTypes: ["compute"] });
    const serviceToken = await serviceUser?.token();
    return http.send({
      method,
      url: root + path,
      headers: {
        "x-auth-token": token,
        ...(serviceToken === undefined ? {} : { "x-service-token": serviceToken }),
        "openstack-api-version": `compute ${microversion}`,
        "x-openstack-request-id": requester.globalRequestId ?? requester.requestId,
      },
      ...(body === undefined ? {} : { body }),
    });
  }
}

/** Codes of the events that Nova did not take, but for those of servers that are gone (404) or on no host (422). */
function refusedEvents(body: unknown): number[] {
  const { events } = (body ?? {}) as { readonly events?: unknown };
  if (!Array.isArray(events)) return [];
  const codes = events.map((event: { readonly code?: unknown } | null) => Number(event?.code ?? 200));
  return codes.filter((code) => ![200, 404, 422].includes(code));
}

function attachmentOf(body: unknown): string | undefined {
  const attachment = (body as { readonly volumeAttachment?: { readonly attachment_id?: unknown } } | null | undefined)
    ?.volumeAttachment;
  return typeof attachment?.attachment_id === "string" ? attachment.attachment_id : undefined;
}
