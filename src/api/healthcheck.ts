// GET and HEAD /healthcheck, as oslo.middleware's: 200 "OK" (HEAD: 204) in service, 503 with a reason out of service, JSON
// when Accept asks for it. A file named by [healthcheck] disable_by_file_path takes the process out of a balancer.

import { access } from "node:fs/promises";

export interface HealthAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface HealthSource {
  /** Empty: no such file. */
  readonly disableByFilePath: string;
  /** Why the process cannot serve now; undefined when it can. */
  reason(): string | undefined;
}

/** `accept` is the Accept header. */
export async function answerHealthcheck(source: HealthSource, method: string, accept: string): Promise<HealthAnswer> {
  const reason = (await exists(source.disableByFilePath)) ? "DISABLED BY FILE" : source.reason();
  const status = reason !== undefined ? 503 : method === "HEAD" ? 204 : 200;
  if (accept.includes("application/json")) {
    const body = JSON.stringify({ detailed: false, reasons: [reason ?? "OK"] });
    return { status, contentType: "application/json", body };
  }
  return { status, contentType: "text/plain; charset=UTF-8", body: reason ?? "OK" };
}

async function exists(path: string): Promise<boolean> {
  if (path === "") return false;
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
