// Volumes: create, list, show, update, delete, summary, encryption.

import type { Metadata } from "../../cinder/model.ts";
import { ownTarget } from "../../cinder/policy.ts";
import type { CreateVolume, NameUpdate, VolumeDetail } from "../../cinder/verbs.ts";
import { readBoolean, readBooleanParameter } from "../booleans.ts";
import {
  type Call,
  type Handlers,
  type JsonObject,
  bodyInteger,
  bodyObject,
  bodyText,
  emptyAnswer,
  pathParameter,
} from "../call.ts";
import { badRequest } from "../http-fault.ts";
import { volumeListRules } from "../resource-filters.ts";
import { type ExtendedFields, viewVolume, viewVolumeEntry, viewVolumeSummary } from "../views/volume.ts";
import { answerList, readListQuery } from "./paging.ts";

const hintedVolumesMax = 100;
const idOf = (call: Call): string => pathParameter(call, "volume_id");

function show(call: Call, detail: VolumeDetail, fields: ExtendedFields | undefined): JsonObject {
  return viewVolume(detail, { minor: call.minor, isAdmin: call.context.isAdmin, links: call.links, fields });
}

/** A volume in full, as show has it. */
export function viewVolumeDetail(call: Call, detail: VolumeDetail): JsonObject {
  return show(call, detail, extendedFields(call));
}

/** Which of the extended fields the caller may see: asked once for all volumes of an answer. */
function extendedFields({ cinder: { policy }, context }: Call): ExtendedFields {
  const target = ownTarget(context);
  return {
    host: policy.allows(context, "volume_extension:volume_host_attribute", target),
    project: policy.allows(context, "volume_extension:volume_tenant_attribute", target),
    migration: policy.allows(context, "volume_extension:volume_mig_status_attribute", target),
    imageMetadata: policy.allows(context, "volume_extension:volume_image_metadata:show", target),
  };
}

const listForm = {
  rules: volumeListRules,
  key: "volumes",
  linksKey: "volumes_links",
  idOf: (detail: VolumeDetail) => detail.volume.id,
};

export const volumeHandlers: Handlers = {
  async createVolume(call) {
    const detail = await call.cinder.volumes.create(call.context, {
      ...readCreate(bodyObject(call.body, "volume"), call.minor),
      ...readHints(call.body),
    });
    return { body: { volume: show(call, detail, undefined) } };
  },
  async listVolumes(call) {
    const form = { ...listForm, path: "volumes", view: (detail: VolumeDetail) => viewVolumeEntry(detail, call.links) };
    return answerList(call, form, (query) => call.cinder.volumes.list(call.context, query));
  },
  async listVolumesDetailed(call) {
    const fields = extendedFields(call);
    const form = { ...listForm, path: "volumes/detail", view: (detail: VolumeDetail) => show(call, detail, fields) };
    return answerList(call, form, (query) => call.cinder.volumes.list(call.context, query));
  },
  async summarizeVolumes(call) {
    const summary = await call.cinder.volumes.summary(call.context, readListQuery(call, volumeListRules));
    return { body: { "volume-summary": viewVolumeSummary(summary, call.minor) } };
  },
  async showVolume(call) {
    const detail = await call.cinder.volumes.show(call.context, idOf(call));
    return { body: { volume: show(call, detail, extendedFields(call)) } };
  },
  async updateVolume(call) {
    const update = readNameUpdate(bodyObject(call.body, "volume"));
    return { body: { volume: show(call, await call.cinder.volumes.update(call.context, idOf(call), update), undefined) } };
  },
  async deleteVolume(call) {
    const cascade = readBooleanParameter(call.query, "cascade");
    const force = call.minor >= 23 && readBooleanParameter(call.query, "force");
    await call.cinder.volumes.delete(call.context, idOf(call), { cascade, force });
    return emptyAnswer;
  },
  async showVolumeEncryption(call) {
    return { body: await call.cinder.volumes.encryption(call.context, idOf(call)) };
  },
  async showVolumeEncryptionItem(call) {
    const value = (await call.cinder.volumes.encryption(call.context, idOf(call)))[pathParameter(call, "key")] ?? null;
    if (value === null) return { text: "", headers: { "content-type": "application/json" } };
    return { text: String(value), headers: { "content-type": "text/plain; charset=UTF-8" } };
  },
};

/** Name and description under both of their names; absent stays absent, so that an update leaves it alone. */
export function readNameUpdate(given: JsonObject): NameUpdate {
  const name = given["name"] ?? given["display_name"];
  const description = given["description"] ?? given["display_description"];
  return {
    ...("name" in given || "display_name" in given ? { name: trimmed(name) } : {}),
    ...("description" in given || "display_description" in given ? { description: trimmed(description) } : {}),
    ...(given["metadata"] == null ? {} : { metadata: given["metadata"] as Metadata }),
  };
}

function trimmed(value: unknown): string | null {
  return typeof value === "string" ? value.trim() : null;
}

/** Scheduler hints stand beside the volume or in it; each is an id or a list of ids. */
function readHints(body: JsonObject): Pick<CreateVolume, "sameHost" | "differentHost"> {
  const hints = {
    ...bodyObject(bodyObject(body, "volume"), "scheduler_hints"),
    ...bodyObject(body, "OS-SCH-HNT:scheduler_hints"),
  };
  const read = (name: string): string[] | undefined => {
    const given: unknown = hints[name];
    if (given == null) return undefined;
    return (Array.isArray(given) ? given : [given]).slice(0, hintedVolumesMax).map(String);
  };
  const sameHost = read("same_host");
  const differentHost = read("different_host");
  return { ...(sameHost === undefined ? {} : { sameHost }), ...(differentHost === undefined ? {} : { differentHost }) };
}

/** Images that stand for a snapshot came with 3.46. */
const followingMinor = 46;

/** Refuses what Andiron has not; drops what the microversion has not. */
function readCreate(given: JsonObject, minor: number): CreateVolume {
  if (given["multiattach"] != null && readBoolean(given["multiattach"])) {
    throw badRequest(
      "multiattach parameter has been removed. The default behavior is to use multiattach enabled volume types. " +
        "Contact your administrator to create a multiattach enabled volume type and use it to create multiattach volumes.",
    );
  }
  const imageReference = bodyText(given, "imageRef") ?? bodyText(given, "image_id");
  const backupId = minor >= 47 ? bodyText(given, "backup_id") : undefined;
  const groupId = (minor >= 13 ? bodyText(given, "group_id") : undefined) ?? bodyText(given, "consistencygroup_id");
  const sizeGib = bodyInteger(given, "size");
  const volumeType = bodyText(given, "volume_type");
  const availabilityZone = bodyText(given, "availability_zone");
  const snapshotId = bodyText(given, "snapshot_id");
  const sourceVolumeId = bodyText(given, "source_volid");
  return {
    ...readNameUpdate(given),
    ...(sizeGib === undefined ? {} : { sizeGib }),
    ...(volumeType === undefined ? {} : { volumeType }),
    ...(availabilityZone === undefined ? {} : { availabilityZone }),
    ...(snapshotId === undefined ? {} : { snapshotId }),
    ...(sourceVolumeId === undefined ? {} : { sourceVolumeId }),
    ...(backupId === undefined ? {} : { backupId }),
    ...(imageReference === undefined ? {} : { imageReference, followsSnapshots: minor >= followingMinor }),
    ...(groupId === undefined ? {} : { groupId }),
  };
}
