// Which projects there are, asked of Keystone with the caller's own token: who may look at a project is Keystone's to say.
// (Identity API, GET /v3/projects/{id}.) Nothing is kept: it is asked for what an administrator does now and then.

import { AndironError } from "../common/errors.ts";
import { identityRoot } from "./credentials.ts";
import type { ServiceHttp } from "./service-http.ts";
import type { EndpointChoice, ServiceSession } from "./service-session.ts";

export interface KeystoneProjectsOptions {
  readonly http: ServiceHttp;
  readonly session: ServiceSession;
  /** interface and region_name of [keystone_authtoken]. */
  readonly identity: Omit<EndpointChoice, "serviceTypes">;
}

/** "hidden": the caller may not look at it. */
export type ProjectSight = "there" | "missing" | "hidden";

interface Asker {
  readonly requestId: string;
  readonly globalRequestId?: string;
  readonly userToken?: () => string;
}

export class KeystoneProjects {
  readonly #options: KeystoneProjectsOptions;

  constructor(options: KeystoneProjectsOptions) {
    this.#options = options;
  }

  /** Throws keystone_unavailable when Keystone cannot say. */
  async look(asker: Asker, projectId: string): Promise<ProjectSight> {
    const { http, session, identity } = this.#options;
    const root = identityRoot(await session.endpoint({ ...identity, serviceTypes: ["identity"] }));
    const { status } = await http.send({
      method: "GET",
      url: `${root}/projects/${encodeURIComponent(projectId)}`,
      headers: {
        "x-auth-token": asker.userToken?.() ?? "",
        "x-openstack-request-id": asker.globalRequestId ?? asker.requestId,
      },
    });
    if (status === 200) return "there";
    if (status === 404) return "missing";
    if (status === 401 || status === 403) return "hidden";
    throw new AndironError("keystone_unavailable", `Keystone answers ${status} when asked about a project`);
  }
}
