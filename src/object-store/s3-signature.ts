// AWS Signature Version 4 in the Authorization header, over the whole payload:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. Pure; the tests are that page's examples. Every
// header given is signed. Paths are sent as they are signed: encoded once, never normalized.

import { createHash, createHmac } from "node:crypto";

export interface S3Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  /** "us-east-1". */
  readonly region: string;
}

export interface UnsignedRequest {
  readonly method: string;
  /** Host with its port, unless that is the scheme's own. */
  readonly host: string;
  /** Already encoded; begins with "/". */
  readonly path: string;
  /** Names and values, not encoded. */
  readonly query: Readonly<Record<string, string>>;
  /** Names in lower case, without "host". */
  readonly headers: Readonly<Record<string, string>>;
  /** Of the payload; hexadecimal. */
  readonly sha256: string;
  readonly wallMs: number;
}

const algorithm = "AWS4-HMAC-SHA256";
export const emptySha256 = createHash("sha256").digest("hex");

/** The headers to send: those given, with x-amz-date, x-amz-content-sha256 and authorization. */
export function signedHeaders(request: UnsignedRequest, credentials: S3Credentials): Record<string, string> {
  const time = new Date(request.wallMs).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const headers = { ...request.headers, "x-amz-content-sha256": request.sha256, "x-amz-date": time };
  const signing = Object.entries<string>({ ...headers, host: request.host }).sort(byName);
  const names = signing.map(([name]) => name).join(";");
  const canonical = [
    request.method,
    request.path,
    canonicalQuery(request.query),
    ...signing.map(([name, value]) => `${name}:${value.trim().replaceAll(/ +/g, " ")}`),
    "",
    names,
    request.sha256,
  ].join("\n");
  const scope = [time.slice(0, 8), credentials.region, "s3", "aws4_request"];
  const text = [algorithm, time, scope.join("/"), createHash("sha256").update(canonical).digest("hex")].join("\n");
  let key: Buffer = Buffer.from(`AWS4${credentials.secretKey}`);
  for (const part of scope) key = hmac(key, part);
  const credential = [credentials.accessKey, ...scope].join("/");
  const signature = hmac(key, text).toString("hex");
  return {
    ...headers,
    authorization: `${algorithm} Credential=${credential},SignedHeaders=${names},Signature=${signature}`,
  };
}

/** The query as it is signed and sent: sorted, everything but A-Z a-z 0-9 - . _ ~ encoded. */
export function canonicalQuery(query: Readonly<Record<string, string>>): string {
  const encoded = Object.entries(query).map(([name, value]): [string, string] => [encode(name), encode(value)]);
  return encoded
    .sort(byName)
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function byName([left]: readonly [string, string], [right]: readonly [string, string]): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
