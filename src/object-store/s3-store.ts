// ObjectStore over one bucket of S3, or of what speaks its API: path-style requests, signed (s3-signature.ts).
//
// With If-None-Match: * on a put one creator wins: AWS has it, Debian's Swift answers 501. For a service without it
// `conditionalPut` is "look-first", which the operator has to choose: of creators that overlap several may then win.

import { type AdmissionOptions, withAdmission } from "./admission.ts";
import { sha256Of } from "./checksum.ts";
import { type HttpAnswer, HttpClient } from "./http-attempt.ts";
import { type Authorizer, type HttpAsked, HttpExchange, type HttpTiming } from "./http-exchange.ts";
import { refusalOf } from "./http-refusal.ts";
import { type Dialect, HttpStore } from "./http-store.ts";
import { checkContainer } from "./names.ts";
import { type ObjectStore, objectLimits } from "./object-store.ts";
import { parseS3List, s3ErrorCode } from "./s3-list.ts";
import { type S3Credentials, canonicalQuery, emptySha256, signedHeaders } from "./s3-signature.ts";

export interface S3StoreOptions extends AdmissionOptions {
  /** "https://s3.eu-central-1.amazonaws.com"; with or without a path. */
  readonly endpoint: string;
  readonly credentials: S3Credentials;
  readonly bucket: string;
  /** Makes the bucket when it is not there. */
  readonly create: boolean;
  readonly conditionalPut: "server" | "look-first";
  readonly caFile: string;
  readonly insecure: boolean;
}

const defaultRegion = "us-east-1";

/** Rejects with store_refused when the bucket is not there. */
export async function openS3Store(options: S3StoreOptions, timing: HttpTiming): Promise<ObjectStore> {
  const { bucket, caFile, insecure, requestsMax = objectLimits.requestsMax } = options;
  checkContainer(bucket);
  const { clock, random } = timing;
  const client = new HttpClient({ caFile, insecure, clock, service: "S3", connectionsMax: requestsMax });
  try {
    const exchange = new HttpExchange(client, authorizerOf(options, timing), timing);
    await findBucket(exchange, options);
    const conditionalPut = options.conditionalPut === "server" ? "atomic" : "none";
    return withAdmission(new HttpStore({ client, exchange, dialect: { ...s3Dialect, conditionalPut }, random }), options);
  } catch (error) {
    await client.close();
    throw error;
  }
}

function authorizerOf({ endpoint, credentials, bucket }: S3StoreOptions, { clock }: HttpTiming): Authorizer {
  const { origin, host, pathname } = new URL(endpoint);
  const root = `${pathname.replace(/\/+$/, "")}/${bucket}`;
  return {
    authorize({ method, path: below, query, headers, sha256 = emptySha256 }: HttpAsked) {
      const path = root + below;
      const request = { method, host, path, query, headers, sha256, wallMs: clock.wallMs() };
      const search = canonicalQuery(query);
      const url = `${origin}${path}${search === "" ? "" : `?${search}`}`;
      return Promise.resolve({ url, headers: signedHeaders(request, credentials) });
    },
    errorCodeOf: ({ status, body }: HttpAnswer) => (status < 300 ? undefined : s3ErrorCode(body)),
  };
}

async function findBucket(exchange: HttpExchange, { create, credentials }: S3StoreOptions): Promise<void> {
  const asked = { path: "", query: {}, headers: {}, answerBytes: 0 };
  const expected = create ? [200, 404] : [200];
  const { status } = await exchange.send({ ...asked, what: "look for the bucket", method: "HEAD", expected });
  if (status !== 404) return;
  const what = "creation of the bucket";
  const body = Buffer.from(locationOf(credentials.region));
  const sent = { ...asked, what, method: "PUT", body, sha256: await sha256Of(body), expected: [200, 409] } as const;
  const answer = await exchange.send(sent);
  const code = s3ErrorCode(answer.body);
  if (answer.status === 409 && code !== "BucketAlreadyOwnedByYou") throw refusalOf("S3", what, 403, code);
}

/** The first region is the one that may not be named. */
function locationOf(region: string): string {
  if (region === defaultRegion) return "";
  const namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
  const location = `<LocationConstraint>${region.replaceAll(/[^A-Za-z0-9-]/g, "")}</LocationConstraint>`;
  return `<CreateBucketConfiguration xmlns="${namespace}">${location}</CreateBucketConfiguration>`;
}

const s3Dialect: Omit<Dialect, "conditionalPut"> = {
  metadataPrefix: "x-amz-meta-",
  digests: async (bytes) => ({ sha256: await sha256Of(bytes) }),
  putHeaders: () => ({}), // the signed x-amz-content-sha256 is what the server compares with
  listQuery: (prefix, after, limit) => ({
    "encoding-type": "url",
    "list-type": "2",
    "max-keys": String(limit),
    prefix,
    ...(after === "" ? {} : { "start-after": after }),
  }),
  parseList: (body) => parseS3List(body),
};
