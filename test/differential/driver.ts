// Runs an area against one service and keeps a transcript. What differs between any two runs of the same service (ids, times,
// ports) is replaced by names on the way, so that transcripts can be compared as they are.
//
// A step that prepares must succeed: otherwise the area ends there, with an error that says what was answered.

import { setTimeout as sleep } from "node:timers/promises";
import type { Operation } from "../../src/api/operations.ts";
import type { RouteTable } from "../../src/api/route-table.ts";
import { expand } from "./derived-steps.ts";
import { Names } from "./names.ts";
import type { Area, Caller, Cell, Step } from "./scenario.ts";

/** Somebody who calls: his token, and the project in it. */
export interface Account {
  readonly token: string;
  readonly projectId: string;
}

export interface Round {
  readonly label: "oldest" | "newest";
  readonly newestMinor: number;
  readonly accounts: Readonly<Record<Exclude<Caller, "nobody">, Account>>;
  /** Ids that the answers may have, besides those of the accounts' projects, by name. */
  readonly known: Readonly<Record<string, string>>;
}

export interface Entry {
  /** Area, microversion, call and what was wrong with it: the same for both services. */
  readonly key: string;
  readonly cell: Cell;
  readonly operation: string | undefined;
  readonly minor: number;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

const comparedHeaders = ["openstack-api-version", "vary", "content-type", "etag", "retry-after"];
const settleMs = 120_000;

export class Driver {
  readonly #url: string;
  readonly #routes: RouteTable;
  readonly #round: Round;
  readonly #names: Names;
  readonly #entries: Entry[] = [];
  readonly #counts = new Map<string, number>();

  /** `url`: up to and with /v3. */
  constructor(url: string, routes: RouteTable, round: Round) {
    this.#url = url;
    this.#routes = routes;
    this.#round = round;
    this.#names = new Names(url);
    for (const [name, id] of Object.entries(round.known)) this.#names.learn(name, id);
    for (const name of ["member", "stranger", "admin"] as const) {
      this.#names.learn(name === "member" ? "project" : `${name}'s project`, round.accounts[name].projectId);
    }
  }

  async run(area: Area): Promise<readonly Entry[]> {
    for (const given of area.steps) {
      if (given.at !== undefined && given.always !== true && this.#round.label === "newest") continue;
      for (const { label, step } of expand(given, this.#round.label === "oldest")) await this.#take(area.name, label, step);
    }
    return this.#entries;
  }

  /** `value` with the names of this run. */
  hide(value: unknown): unknown {
    return this.#names.hide(value);
  }

  async #take(area: string, label: string, step: Step): Promise<void> {
    const { minor, operation } = this.#choose(step);
    if (step.pauseMs !== undefined) await sleep(step.pauseMs);
    if (step.until !== undefined) return this.#settle(step, minor);
    if (step.cell === "good" && step.derive !== false && operation !== undefined && minor === operation.sinceMinor && minor > 0) {
      await this.#record(area, "before it was there", { ...step, cell: "early", save: {} }, minor - 1, operation);
    }
    await this.#record(area, label, step, minor, operation);
  }

  async #record(area: string, label: string, step: Step, minor: number, operation: Operation | undefined): Promise<void> {
    const { status, headers, json } = await this.#call(step, minor);
    const call = `${operation?.id ?? step.call}${label === "" ? "" : `, ${label}`}`;
    const plain = `${area}: ${call} (${step.cell ?? "prepared"}, 3.${minor})`;
    const count = (this.#counts.get(plain) ?? 0) + 1;
    this.#counts.set(plain, count);
    if (status < 300) this.#learn(step, json, plain);
    else if (step.cell === undefined) throw new Error(`${this.#url}: ${plain}: ${status} ${JSON.stringify(json)}`);
    if (step.cell === undefined) return;
    const kept = comparedHeaders
      .filter((name) => !(name === "content-type" && json === ""))
      .flatMap((name) => {
        const value = headers.get(name);
        return value === null ? [] : [[name, String(this.#names.hide(value))]];
      });
    const requestId = headers.get("x-openstack-request-id") ?? "";
    kept.push(["x-openstack-request-id", requestId.replace(/^req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "req-{uuid}")]);
    if (headers.has("www-authenticate")) kept.push(["www-authenticate", "there"]);
    this.#entries.push({
      key: count === 1 ? plain : `${plain} #${count}`,
      cell: step.cell,
      operation: operation?.id,
      minor,
      status,
      headers: Object.fromEntries(kept) as Record<string, string>,
      body: this.#names.hide(json),
    });
  }

  #learn(step: Step, json: unknown, shown: string): void {
    for (const [name, path] of Object.entries(step.save ?? {})) {
      const value = path.split(".").reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], json);
      if (typeof value !== "string") throw new Error(`${this.#url}: ${shown}: no ${path} in ${JSON.stringify(json)}`);
      this.#names.learn(name, value);
    }
  }

  /** The microversion of a step, and the operation that it calls there. */
  #choose(step: Step): { minor: number; operation: Operation | undefined } {
    const [method, path] = splitCall(step.call);
    const route = this.#routes.match(
      method,
      `/v3${path
        .replace(/^\/\/v3(?=\/)/, "")
        .replace(/\?.*/, "")
        .replaceAll(/[{}' ]/g, "_")}`,
    )?.route;
    const [key] = step.body !== null && typeof step.body === "object" ? Object.keys(step.body) : [];
    const acting = key === undefined ? undefined : route?.actions.get(key);
    const variants = acting === undefined ? (route?.variants ?? []) : [acting];
    const oldest = variants.reduce((least, { sinceMinor }) => Math.min(least, sinceMinor), Number.POSITIVE_INFINITY);
    const since = Number.isFinite(oldest) ? oldest : 0;
    const minor =
      step.at !== undefined ? Number(step.at.slice(2)) : this.#round.label === "oldest" ? since : this.#round.newestMinor;
    return { minor, operation: variants.find(({ sinceMinor }) => sinceMinor <= minor) };
  }

  async #call(step: Step, minor: number): Promise<{ status: number; headers: Headers; json: unknown }> {
    const [method, path] = splitCall(step.call);
    const account = step.as === "nobody" ? undefined : this.#round.accounts[step.as];
    const project = account?.projectId ?? this.#round.accounts.member.projectId;
    const body = step.text ?? (step.body === undefined ? undefined : this.#names.fill(JSON.stringify(step.body)));
    const target = path.startsWith("//") ? this.#url.replace(/\/v3$/, "") + path.slice(1) : `${this.#url}/${project}${path}`;
    const reply = await fetch(this.#names.fill(target), {
      method,
      headers: {
        accept: "application/json",
        "openstack-api-version": `volume 3.${minor}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(account === undefined ? {} : { "x-auth-token": account.token }),
        ...step.headers,
      },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(settleMs),
    });
    const text = await reply.text();
    return { status: reply.status, headers: reply.headers, json: text.startsWith("{") ? JSON.parse(text) : text };
  }

  async #settle(step: Step, minor: number): Promise<void> {
    const deadlineMs = performance.now() + settleMs;
    for (;;) {
      const { status, json } = await this.#call(step, minor);
      const [item] = Object.values(Object(json) as Record<string, { status?: string }>);
      if (step.until === "gone" ? status === 404 : item?.status === step.until) return;
      const shown = `${this.#url}: ${step.call} does not become ${step.until}: ${status} ${JSON.stringify(json)}`;
      if (item?.status?.startsWith("error") === true || performance.now() > deadlineMs) throw new Error(this.#names.fill(shown));
      await sleep(50);
    }
  }
}

function splitCall(call: string): [method: string, path: string] {
  const at = call.indexOf(" ");
  return [call.slice(0, at), call.slice(at + 1)];
}
