// What POST /volumes/{id}/action does with images.

import type { VolumeType } from "../../cinder/model.ts";
import type { UploadedVolume, UploadVolume } from "../../cinder/verbs.ts";
import { imageVisibilities } from "../../cinder/images.ts";
import { formatUtcTime } from "../../common/utc-time.ts";
import { readBoolean } from "../booleans.ts";
import { type Call, type Handlers, type JsonObject, bodyObject, bodyText, emptyAnswer, pathParameter } from "../call.ts";
import { badRequest } from "../http-fault.ts";
import { describeSchemaError } from "../schema-errors.ts";
import { formatTimeOrNull } from "../views/time.ts";

const uploadKey = "os-volume_upload_image";
/** What came with 3.1. */
const laterFields = ["visibility", "protected"] as const;

export const volumeImageHandlers: Handlers = {
  async reimageVolume(call) {
    const given = bodyObject(call.body, "os-reimage");
    const imageId = bodyText(given, "image_id") ?? "";
    const reserved = readBoolean(given["reimage_reserved"] ?? false);
    await call.cinder.volumeImages.reimage(call.context, pathParameter(call, "volume_id"), { imageId, reserved });
    return emptyAnswer;
  },
  async uploadVolume(call) {
    const given = bodyObject(call.body, uploadKey);
    checkFields(call, given);
    const uploaded = await call.cinder.volumeImages.upload(call.context, pathParameter(call, "volume_id"), {
      force: readBoolean(given["force"] ?? false),
      imageName: bodyText(given, "image_name") ?? "",
      diskFormat: bodyText(given, "disk_format") ?? "raw",
      containerFormat: bodyText(given, "container_format") ?? "bare",
      ...(call.minor < 1 ? {} : readLaterFields(given)),
    });
    return { body: { [uploadKey]: viewUploaded(uploaded) } };
  },
};

function readLaterFields(given: JsonObject): Pick<UploadVolume, "visibility" | "isProtected"> {
  const visibility = imageVisibilities.find((known) => known === given["visibility"]) ?? "private";
  return { visibility, isProtected: readBoolean(given["protected"] ?? false) };
}

function checkFields({ minor }: Call, given: JsonObject): void {
  const early = minor < 1 ? laterFields.find((name) => Object.hasOwn(given, name)) : undefined;
  if (early === undefined) return;
  const instancePath = `/requestBody/${uploadKey}`;
  const params = { additionalProperty: early };
  throw badRequest(describeSchemaError([{ keyword: "additionalProperties", instancePath, params, data: given }]));
}

function viewUploaded({ volume, type, extraSpecs, image }: UploadedVolume): JsonObject {
  return {
    id: volume.id,
    updated_at: formatTimeOrNull(volume.updatedAtMs),
    status: "uploading",
    display_description: volume.description,
    size: volume.sizeGib,
    volume_type: type === undefined ? null : viewRecord(type, extraSpecs),
    image_id: image.id,
    container_format: image.containerFormat,
    disk_format: image.diskFormat,
    image_name: image.name,
    protected: image.isProtected,
    visibility: image.visibility,
  };
}

/** The type as this one answer has it: all of its record. */
function viewRecord(type: VolumeType, extraSpecs: JsonObject): JsonObject {
  return {
    id: type.id,
    name: type.name,
    description: type.description,
    is_public: type.isPublic,
    extra_specs: extraSpecs,
    qos_specs_id: type.qosSpecsId,
    created_at: formatUtcTime(type.createdAtMs),
    updated_at: formatTimeOrNull(type.updatedAtMs),
    deleted: false,
    deleted_at: null,
  };
}
