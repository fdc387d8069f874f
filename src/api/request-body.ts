// Reads a request's body: bounded before it is buffered, JSON only. Bodies of methods that take none are left unread.

import type { IncomingMessage } from "node:http";
import { HttpFault, badRequest } from "./http-fault.ts";

const depthMax = 64;

/**
 * The JSON value of the body, or undefined when there is none. Throws HttpFault: 413 beyond `bytesMax`, 415 when the
 * content is not JSON by its own type, 400 when it cannot be parsed.
 */
export async function readJsonBody(request: IncomingMessage, bytesMax: number): Promise<unknown> {
  const bytes = await readBytes(request, bytesMax);
  if (bytes.length === 0) return undefined;
  checkContentType(request.headers["content-type"]);
  const text = bytes.toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new HttpFault(400, "Malformed request body", { cause });
  }
  if (isDeeper(value, depthMax)) throw badRequest("Malformed request body");
  return value;
}

/** Refuses a body that says it is too long, before anything else is done with the request. */
export function checkContentLength(request: IncomingMessage, bytesMax: number): void {
  const length = Number(request.headers["content-length"] ?? 0);
  if (length > bytesMax) throw tooLarge();
}

function checkContentType(header: string | undefined): void {
  if (header === undefined) return;
  const type = header.split(";", 1)[0]!.trim().toLowerCase();
  if (type === "application/json" || type === "application/vnd.openstack.volume+json") return;
  throw new HttpFault(415, "Unsupported Content-Type");
}

function readBytes(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length > bytesMax) {
        request.removeAllListeners("data");
        request.resume();
        reject(tooLarge());
        return;
      }
      chunks.push(chunk);
    });
    request.once("end", () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length)));
    request.once("error", (cause) => reject(new HttpFault(400, "The request body was cut off", { cause })));
    request.once("close", () => reject(new HttpFault(400, "The request body was cut off")));
  });
}

/** The rest of a body that is too long is of no use: the connection ends after the answer (lingering-end.ts). */
function tooLarge(): HttpFault {
  return new HttpFault(413, "Request is too large.", { headers: { connection: "close" } });
}

function isDeeper(value: unknown, depth: number): boolean {
  if (value === null || typeof value !== "object") return false;
  if (depth === 0) return true;
  for (const item of Object.values(value)) if (isDeeper(item, depth - 1)) return true;
  return false;
}
