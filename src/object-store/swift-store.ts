// ObjectStore over one container of Swift: https://docs.openstack.org/api-ref/object-store/.
//
// Swift is eventually consistent: see the table of promises in docs/design/object-store.md. It looks at If-None-Match when an
// upload begins and not when it ends, so two that overlap both create.

import { AndironError } from "../common/errors.ts";
import { type AdmissionOptions, withAdmission } from "./admission.ts";
import { digestsOf } from "./checksum.ts";
import { HttpClient } from "./http-attempt.ts";
import { type Authorizer, type HttpAsked, HttpExchange, type HttpTiming } from "./http-exchange.ts";
import { type Dialect, HttpStore, pageOf } from "./http-store.ts";
import { checkContainer } from "./names.ts";
import { type ListPage, type ListedObject, type ObjectStore, objectLimits } from "./object-store.ts";
import { AuthV1, type AuthV1Options, KeystoneAuth, type SwiftAuth, type SwiftEndpoint } from "./swift-auth.ts";
import type { ServiceSession } from "../keystone/service-session.ts";

export interface SwiftStoreOptions extends AdmissionOptions {
  readonly auth:
    | ({ readonly kind: "v1" } & AuthV1Options)
    | ({ readonly kind: "keystone"; session: ServiceSession } & SwiftEndpoint);
  readonly container: string;
  /** Makes the container when it is not there. */
  readonly create: boolean;
  readonly caFile: string;
  readonly insecure: boolean;
}

/** Rejects with store_refused when the container is not there. */
export async function openSwiftStore(options: SwiftStoreOptions, timing: HttpTiming): Promise<ObjectStore> {
  const { container, create, caFile, insecure, requestsMax = objectLimits.requestsMax } = options;
  checkContainer(container);
  const { clock, random } = timing;
  const client = new HttpClient({ caFile, insecure, clock, service: "Swift", connectionsMax: requestsMax });
  try {
    const exchange = new HttpExchange(client, authorizerOf(openAuth(options, client, timing), container), timing);
    await findContainer(exchange, create);
    return withAdmission(new HttpStore({ client, exchange, dialect: swiftDialect, random }), options);
  } catch (error) {
    await client.close();
    throw error;
  }
}

function openAuth({ auth }: SwiftStoreOptions, client: HttpClient, { clock }: HttpTiming): SwiftAuth {
  return auth.kind === "v1" ? new AuthV1(auth, client, clock) : new KeystoneAuth(auth.session, auth);
}

function authorizerOf(auth: SwiftAuth, container: string): Authorizer {
  return {
    async authorize({ path, query, headers }: HttpAsked) {
      const { token, accountUrl } = await auth.standing();
      const search = new URLSearchParams(query).toString();
      return {
        url: `${accountUrl}/${container}${path}${search === "" ? "" : `?${search}`}`,
        headers: { ...headers, "x-auth-token": token },
        forget: () => auth.forget(token),
      };
    },
    errorCodeOf: () => undefined,
  };
}

async function findContainer(exchange: HttpExchange, create: boolean): Promise<void> {
  const asked = { path: "", query: {}, headers: {}, answerBytes: 0 };
  const expected = create ? [200, 204, 404] : [200, 204];
  const { status } = await exchange.send({ ...asked, what: "look for the container", method: "HEAD", expected });
  if (status === 404) await exchange.send({ ...asked, what: "creation of the container", method: "PUT", expected: [201, 202] });
}

const swiftDialect: Dialect = {
  metadataPrefix: "x-object-meta-",
  conditionalPut: "early",
  digests: digestsOf,
  putHeaders: ({ md5 = "" }) => ({ etag: md5 }),
  listQuery: (prefix, after, limit) => ({ format: "json", limit: String(limit), prefix, marker: after }),
  parseList: parseSwiftList,
};

/** The JSON of a listing. Throws backend_unavailable when it is none. */
export function parseSwiftList(body: Buffer, limit: number): ListPage {
  let rows: unknown;
  try {
    rows = JSON.parse(body.toString("utf8"));
  } catch (cause) {
    throw new AndironError("backend_unavailable", "what Swift answered is no list", { cause });
  }
  if (!Array.isArray(rows)) throw new AndironError("backend_unavailable", "what Swift answered is no list");
  return pageOf(rows.map(rowOf), rows.length >= limit);
}

function rowOf(row: unknown): ListedObject {
  const { name, bytes } = (typeof row === "object" && row !== null ? row : {}) as Readonly<Record<string, unknown>>;
  if (typeof name !== "string" || typeof bytes !== "number")
    throw new AndironError("backend_unavailable", "a list of Swift has a row without a name or a size");
  return { name, sizeBytes: bytes };
}
