// Records in the states that the requests of all operations (src/api/operation-requests.fixture.ts) need to succeed: each is
// made when its name is asked for, through the API, by an administrator of the project.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

type Json = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** One request of the administrator below /v3, at a microversion that has everything; fails unless it succeeds. */
export type Send = (method: string, path: string, body?: unknown) => Promise<Json>;

/** What does not follow from the name of a record alone: the state in which an operation wants its record. */
const states: Readonly<Record<string, string>> = {
  unreserveVolume: "reserved",
  beginDetachingVolume: "attached",
  rollDetachingVolume: "detaching",
  detachVolume: "attached",
  forceDetachVolume: "attached",
  showImageMetadata: "described",
  unsetImageMetadata: "described",
  updateSnapshotStatus: "creating",
  manageSnapshot: "unmanaged snapshot",
  manageOldSnapshot: "unmanaged snapshot",
  completeAttachment: "connected",
  listTypeAccess: "private",
  addTypeAccess: "private",
  removeTypeAccess: "shared",
  showTypeEncryptionItem: "encrypted",
  updateTypeEncryption: "encrypted",
  deleteTypeEncryption: "encrypted",
  showProjectDefaultType: "default",
  unsetProjectDefaultType: "default",
  disassociateQosSpecs: "associated",
  thawService: "frozen",
  createGroupFromSource: "filled",
  deleteGroup: "filled",
  createConsistencyGroupFromSource: "filled",
  listGroupReplicationTargets: "replicated",
};

/** Keys that are there for everybody to see. */
const keys: Readonly<Record<string, string>> = { showVolumeEncryptionItem: "encryption_key_id", showExtraSpec: "multiattach" };

type Names = Map<string, string>;

export class OperationRecords {
  readonly #send: Send;
  readonly #projectId: string;
  /** An image that everybody may have. */
  readonly #imageId: string;
  #host = "";
  #pool = "";
  #otherPool = "";
  #otherTypeId = "";
  #badTypeId = "";

  constructor(send: Send, projectId: string, imageId: string) {
    this.#send = send;
    this.#projectId = projectId;
    this.#imageId = imageId;
  }

  async start(): Promise<void> {
    const { pools } = await this.#send("GET", "/scheduler-stats/get_pools");
    const names = (pools as unknown as { name: string }[]).map(({ name }) => name);
    [this.#pool = "", this.#otherPool = ""] = names;
    this.#host = this.#pool.split("#")[0]!;
    const volume_type = { name: "odd", extra_specs: { volume_backend_name: "nowhere" } };
    this.#badTypeId = idOf(await this.#send("POST", "/types", { volume_type }), "volume_type");
    this.#otherTypeId = idOf(await this.#send("POST", "/types", { volume_type: { name: "another" } }), "volume_type");
  }

  /** What stands for `names`, made anew. */
  async make(operationId: string, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const state = states[operationId] ?? "";
    const made: Names = new Map([
      ["host", this.#host],
      ["host_name", this.#host],
      ["pool", this.#pool],
      ["other_type_id", this.#otherTypeId],
      ["target_project_id", this.#projectId],
      ["image_id", this.#imageId],
      ["class_name", "default"],
      ["alias", "os-services"],
      ["cluster_name", "c"],
      ["action", "unknown"],
      ["key", keys[operationId] ?? "key"],
      ["unique", randomUUID()],
      ["backup_url", Buffer.from(JSON.stringify({ id: randomUUID(), size: 1 })).toString("base64")],
    ]);
    const needs = (...some: readonly string[]): boolean => some.some((name) => names.includes(name));
    if (state === "frozen") await this.#send("PUT", "/os-services/freeze", { host: this.#host });
    if (needs("snapshot_id") || state === "unmanaged snapshot") await this.#makeSnapshot(made, state);
    else if (needs("volume_id", "source_name", "attachment_id", "transfer_id", "message_id")) {
      await this.#makeVolume(made, state, names);
    }
    if (needs("backup_id")) await this.#makeBackup(made);
    if (needs("other_volume_id")) {
      const other = new Map(made);
      made.set("other_volume_id", await this.#makeVolume(other, "", []));
    }
    if (needs("other_pool")) made.set("other_pool", await this.#poolBeside(made.get("volume_id")!));
    if (needs("type_id") || state === "default") await this.#makeType(made, state, operationId);
    if (needs("qos_id")) await this.#makeQos(made, state);
    if (needs("group_type_id", "group_id", "group_snapshot_id")) await this.#makeGroupType(made, state);
    if (needs("group_id", "group_snapshot_id")) await this.#makeGroup(made, state);
    if (needs("group_snapshot_id")) await this.#makeGroupSnapshot(made);
    return made;
  }

  /** The pool that the volume is not in. */
  async #poolBeside(volumeId: string): Promise<string> {
    return (await this.#poolOf(volumeId)) === this.#pool ? this.#otherPool : this.#pool;
  }

  async #poolOf(volumeId: string): Promise<string> {
    return String((await this.#send("GET", `/volumes/${volumeId}`))["volume"]!["os-vol-host-attr:host"]);
  }

  /** After an operation that may have taken the service out of service. */
  async serveAgain(operationId: string): Promise<void> {
    if (operationId === "freezeService") await this.#send("PUT", "/os-services/thaw", { host: this.#host });
    await this.#send("PUT", "/os-services/enable", { host: this.#host, binary: "cinder-volume" });
  }

  async #makeVolume(made: Names, state: string, names: readonly string[]): Promise<string> {
    const isFailing = names.includes("message_id");
    const volume = { size: 1, metadata: { key: "b" }, ...(isFailing ? { volume_type: this.#badTypeId } : {}) };
    const id = idOf(await this.#send("POST", "/volumes", { volume }), "volume");
    await this.#settle(`/volumes/${id}`, "volume", isFailing ? "error" : "available");
    made.set("volume_id", id);
    const act = (action: object): Promise<Json> => this.#send("POST", `/volumes/${id}/action`, action);
    if (state === "reserved") await act({ "os-reserve": null });
    if (state === "attached" || state === "detaching") await act({ "os-attach": { host_name: "h", mountpoint: "/dev/vdb" } });
    if (state === "detaching") await act({ "os-begin_detaching": null });
    if (state === "described") await act({ "os-set_image_metadata": { metadata: { key: "b" } } });
    if (names.includes("source_name")) {
      made.set("pool", await this.#poolOf(id));
      await act({ "os-unmanage": null });
      made.set("source_name", `volume-${id}`);
    }
    if (isFailing) {
      const { messages } = await this.#send("GET", `/messages?resource_uuid=${id}`);
      made.set("message_id", (messages as unknown as { id: string }[])[0]!.id);
    }
    if (names.includes("attachment_id")) {
      const connector = state === "connected" ? { connector: { host: "compute1" } } : {};
      const given = { attachment: { volume_uuid: id, ...connector } };
      made.set("attachment_id", idOf(await this.#send("POST", "/attachments", given), "attachment"));
    }
    if (names.includes("transfer_id")) {
      const { transfer } = await this.#send("POST", "/volume-transfers", { transfer: { volume_id: id } });
      made.set("transfer_id", String(transfer!["id"]));
      made.set("auth_key", String(transfer!["auth_key"]));
    }
    return id;
  }

  async #makeSnapshot(made: Names, state: string): Promise<void> {
    const volumeId = await this.#makeVolume(made, "", []);
    const snapshot = { volume_id: volumeId, metadata: { key: "b" } };
    const id = idOf(await this.#send("POST", "/snapshots", { snapshot }), "snapshot");
    await this.#settle(`/snapshots/${id}`, "snapshot", "available");
    made.set("snapshot_id", id);
    if (state === "creating") await this.#send("POST", `/snapshots/${id}/action`, { "os-reset_status": { status: "creating" } });
    if (state !== "unmanaged snapshot") return;
    await this.#send("POST", `/snapshots/${id}/action`, { "os-unmanage": null });
    made.set("source_name", `_snapshot-${id}`);
  }

  async #makeBackup(made: Names): Promise<void> {
    const volumeId = await this.#makeVolume(made, "", []);
    const id = idOf(await this.#send("POST", "/backups", { backup: { volume_id: volumeId } }), "backup");
    await this.#settle(`/backups/${id}`, "backup", "available");
    made.set("backup_id", id);
  }

  async #makeType(made: Names, state: string, operationId: string): Promise<void> {
    const isPrivate = state === "private" || state === "shared";
    const extra_specs = { key: "b", multiattach: "<is> False" };
    const given = { name: randomUUID(), extra_specs, "os-volume-type-access:is_public": !isPrivate };
    const id = idOf(await this.#send("POST", "/types", { volume_type: given }), "volume_type");
    made.set("type_id", id);
    if (state === "shared") await this.#send("POST", `/types/${id}/action`, { addProjectAccess: { project: "p" } });
    if (state === "default") {
      await this.#send("PUT", `/default-types/${this.#projectId}`, { default_type: { volume_type: id } });
    }
    if (state !== "encrypted") return;
    const encryption = { provider: "luks", control_location: "front-end", cipher: "aes-xts-plain64", key_size: 256 };
    const { encryption: saved } = await this.#send("POST", `/types/${id}/encryption`, { encryption });
    made.set("encryption_id", operationId.endsWith("Item") ? "cipher" : String(saved!["encryption_id"]));
  }

  async #makeQos(made: Names, state: string): Promise<void> {
    const given = { qos_specs: { name: randomUUID(), key: "b" } };
    const id = idOf(await this.#send("POST", "/qos-specs", given), "qos_specs");
    made.set("qos_id", id);
    if (state === "associated") await this.#send("GET", `/qos-specs/${id}/associate?vol_type_id=${made.get("type_id")}`);
  }

  async #makeGroupType(made: Names, state: string): Promise<void> {
    const group_specs = state === "replicated" ? { group_replication_enabled: "<is> True" } : { key: "b" };
    const given = { group_type: { name: randomUUID(), group_specs } };
    made.set("group_type_id", idOf(await this.#send("POST", "/group_types", given), "group_type"));
  }

  async #makeGroup(made: Names, state: string): Promise<void> {
    if (state === "replicated") {
      const extra_specs = { replication_enabled: "<is> True" };
      const volume_type = { name: randomUUID(), extra_specs };
      made.set("type_id", idOf(await this.#send("POST", "/types", { volume_type }), "volume_type"));
    }
    const type = made.get("type_id") ?? "__DEFAULT__";
    const group = { group_type: made.get("group_type_id"), volume_types: [type] };
    const id = idOf(await this.#send("POST", "/groups", { group }), "group");
    made.set("group_id", id);
    if (state !== "filled") return;
    const volume = { size: 1, volume_type: type, group_id: id };
    await this.#settle(`/volumes/${idOf(await this.#send("POST", "/volumes", { volume }), "volume")}`, "volume", "available");
  }

  async #makeGroupSnapshot(made: Names): Promise<void> {
    const given = { group_snapshot: { group_id: made.get("group_id") } };
    made.set("group_snapshot_id", idOf(await this.#send("POST", "/group_snapshots", given), "group_snapshot"));
  }

  async #settle(path: string, key: string, status: string): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      const shown = (await this.#send("GET", path))[key]!["status"];
      if (shown === status) return;
      assert.ok(tries < 1000 && /^(creating|available)$/.test(String(shown)), `${path} is ${String(shown)}, not ${status}`);
    }
  }
}

function idOf(body: Json, key: string): string {
  return String(body[key]!["id"]);
}
