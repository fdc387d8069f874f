// What S3 says in XML: a page of ListObjectsV2, and the code of an error. By pattern, not by a parser: of what may come only a
// few elements matter, names are asked for URL-encoded, and no text of theirs has a "<". Pure.

import { AndironError } from "../common/errors.ts";
import { pageOf } from "./http-store.ts";
import type { ListPage, ListedObject } from "./object-store.ts";

/** Throws backend_unavailable when it is no page of a list. */
export function parseS3List(body: Buffer): ListPage {
  const text = body.toString("utf8");
  const isTruncated = elementIn(text, "IsTruncated");
  if (!/<ListBucketResult[\s>]/.test(text) || (isTruncated !== "true" && isTruncated !== "false"))
    throw new AndironError("backend_unavailable", "what S3 answered is no list");
  const rows = [...text.matchAll(/<Contents>([\s\S]*?)<\/Contents>/g)].map(([, row]) => rowOf(row!));
  if (isTruncated === "true" && rows.length === 0)
    throw new AndironError("backend_unavailable", "a list of S3 goes on behind a page without names");
  return pageOf(rows, isTruncated === "true");
}

function rowOf(row: string): ListedObject {
  const key = elementIn(row, "Key");
  const size = elementIn(row, "Size");
  if (key === undefined || size === undefined || !/^\d{1,15}$/.test(size))
    throw new AndironError("backend_unavailable", "a list of S3 has a row without a name or a size");
  return { name: decoded(key), sizeBytes: Number(size) };
}

/** The name as it is; one that is not encoded as it should be is none of ours. */
function decoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll("+", " "));
  } catch {
    return key;
  }
}

/** S3's word for an error, such as "SlowDown"; undefined for anything that does not look like one. */
export function s3ErrorCode(body: Buffer): string | undefined {
  if (body.length > 64 * 1024) return undefined;
  const code = elementIn(body.toString("utf8"), "Code");
  return code !== undefined && /^[A-Za-z0-9]{1,64}$/.test(code) ? code : undefined;
}

function elementIn(text: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];
}
