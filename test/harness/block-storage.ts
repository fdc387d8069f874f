// A small client of the Block Storage API for tests: JSON over HTTP at a fixed microversion, and the few steps that every
// test needs (create and wait, attach, detach, delete and wait). It knows the API only as documented.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { AndironProcess } from "./service.ts";

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

export interface Volume {
  readonly id: string;
  readonly name: string | null;
  readonly status: string;
  readonly size: number;
}

export interface Snapshot {
  readonly id: string;
  readonly name: string | null;
  readonly status: string;
  readonly volume_id: string;
}

export interface ConnectionInfo {
  readonly driver_volume_type: string;
  readonly hosts: readonly string[];
  readonly ports: readonly string[];
  readonly name: string;
}

export interface Attachment {
  readonly id: string;
  readonly connection_info: ConnectionInfo;
}

export interface VolumeRequest {
  readonly name?: string;
  readonly size?: number;
  readonly snapshot_id?: string;
  readonly source_volid?: string;
  readonly volume_type?: string;
  readonly group_id?: string;
}

export interface Caller {
  /** Its id. */
  readonly project: string;
  readonly token?: string;
}

type Collection = "volumes" | "snapshots" | "attachments";

const microversion = "3.71";
const connector = { platform: "x86_64", os_type: "linux", ip: "127.0.0.1", host: "test", multipath: false };

export class BlockStorage {
  readonly #service: AndironProcess;
  readonly #caller: Caller;

  /** Without Keystone anybody may be anybody. */
  constructor(service: AndironProcess, caller: Caller = { project: "demo" }) {
    this.#service = service;
    this.#caller = caller;
  }

  /** The caller's project. */
  get project(): string {
    return this.#caller.project;
  }

  get url(): string {
    const { host, port } = this.#service.endpoints.api;
    return `http://${host}:${port}/v3/${this.#caller.project}`;
  }

  /** One request; the body of the answer is undefined when it is empty. Rejects when there is no answer. */
  async request<T>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        "Content-Type": "application/json",
        "OpenStack-API-Version": `volume ${microversion}`,
        ...(this.#caller.token === undefined ? {} : { "X-Auth-Token": this.#caller.token }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    });
    const text = await response.text();
    return { status: response.status, body: (text === "" ? undefined : JSON.parse(text)) as T };
  }

  /** One request that must succeed; resolves with the body. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.request<T>(method, path, body);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async volumes(): Promise<Volume[]> {
    return (await this.call<{ volumes: Volume[] }>("GET", "/volumes/detail")).volumes;
  }

  async snapshots(): Promise<Snapshot[]> {
    return (await this.call<{ snapshots: Snapshot[] }>("GET", "/snapshots/detail")).snapshots;
  }

  /** Creates a volume (default size 1 GiB) and waits until it is available. */
  async createVolume(volume: VolumeRequest = {}): Promise<string> {
    const { id } = (await this.call<{ volume: Volume }>("POST", "/volumes", { volume: { size: 1, ...volume } })).volume;
    await this.waitForStatus("volumes", id, "available");
    return id;
  }

  /** Takes a snapshot, also of an attached volume, and waits until it is available. */
  async createSnapshot(volumeId: string, name = "snapshot"): Promise<string> {
    const body = { snapshot: { volume_id: volumeId, name, force: true } };
    const { id } = (await this.call<{ snapshot: Snapshot }>("POST", "/snapshots", body)).snapshot;
    await this.waitForStatus("snapshots", id, "available");
    return id;
  }

  /** Waits until the volume or snapshot has the status; fails at once on a status of error. */
  async waitForStatus(collection: "volumes" | "snapshots", id: string, status: string, timeoutMs = 60_000): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const body = await this.call<Record<string, { status: string }>>("GET", `/${collection}/${id}`);
      const now = body[collection.slice(0, -1)]?.status ?? "(none)";
      if (now === status) return;
      assert.ok(!now.startsWith("error"), `${collection} ${id} is ${now}, not ${status}`);
      assert.ok(performance.now() < deadlineMs, `${collection} ${id} stays ${now} and does not get ${status}`);
      await sleep(20);
    }
  }

  /** Deletes and waits until it is gone; no error when it was. */
  async delete(collection: Collection, id: string): Promise<void> {
    const deadlineMs = performance.now() + 60_000;
    const { status, body } = await this.request("DELETE", `/${collection}/${id}`);
    assert.ok(status < 300 || status === 404, `DELETE ${collection} ${id}: ${status} ${JSON.stringify(body)}`);
    while ((await this.request("GET", `/${collection}/${id}`)).status !== 404) {
      assert.ok(performance.now() < deadlineMs, `${collection} ${id} is not deleted`);
      await sleep(20);
    }
  }

  /** Attaches the volume to this host, without a server. */
  async attach(volumeId: string): Promise<Attachment> {
    const body = { attachment: { volume_uuid: volumeId, connector } };
    const { attachment } = await this.call<{ attachment: Attachment }>("POST", "/attachments", body);
    assert.equal(attachment.connection_info.driver_volume_type, "nbd");
    await this.call("POST", `/attachments/${attachment.id}/action`, { "os-complete": {} });
    return attachment;
  }

  /** Attaches, calls `body` with the export's NBD URI, and detaches whatever happens. */
  async whileAttached<T>(volumeId: string, body: (uri: string, attachment: Attachment) => Promise<T>): Promise<T> {
    const attachment = await this.attach(volumeId);
    try {
      return await body(nbdUri(attachment.connection_info), attachment);
    } finally {
      await this.delete("attachments", attachment.id);
    }
  }
}

/** nbd://host:port/name, as libnbd, QEMU and fio take it; nbds:// for TLS. */
export function nbdUri({ hosts, ports, name }: ConnectionInfo, scheme: "nbd" | "nbds" = "nbd"): string {
  return `${scheme}://${hosts[0]}:${ports[0]}/${name}`;
}
