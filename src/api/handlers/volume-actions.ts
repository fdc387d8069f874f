// POST /volumes/{id}/action: one handler a body key. The value of the key has been checked by its own schema.

import type { Connector, Metadata } from "../../cinder/model.ts";
import { readBoolean } from "../booleans.ts";
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
import { formatPython } from "../schema-errors.ts";
import { viewConnectionInfo } from "../views/attachment.ts";

const idOf = (call: Call): string => pathParameter(call, "volume_id");
/** Extending a volume in use came with 3.42. */
const extendInUseMinor = 42;

export const volumeActionHandlers: Handlers = {
  async extendVolume(call) {
    const sizeGib = bodyInteger(bodyObject(call.body, "os-extend"), "new_size");
    if (sizeGib === undefined) throw badRequest("'new_size' is a required property");
    await call.cinder.volumeActions.extend(call.context, idOf(call), sizeGib, call.minor >= extendInUseMinor);
    return emptyAnswer;
  },
  async resetVolumeStatus(call) {
    const given = bodyObject(call.body, "os-reset_status");
    const status = bodyText(given, "status");
    const attachStatus = bodyText(given, "attach_status");
    const migrationStatus = bodyText(given, "migration_status");
    await call.cinder.volumeActions.resetStatus(call.context, idOf(call), {
      ...(status === undefined ? {} : { status }),
      ...(attachStatus === undefined ? {} : { attachStatus }),
      ...(migrationStatus === undefined ? {} : { migrationStatus }),
    });
    return emptyAnswer;
  },
  async setVolumeReadOnly(call) {
    const readOnly = readBoolean(bodyObject(call.body, "os-update_readonly_flag")["readonly"]);
    await call.cinder.volumeActions.setReadOnly(call.context, idOf(call), readOnly);
    return emptyAnswer;
  },
  async setVolumeBootable(call) {
    const bootable = readBoolean(bodyObject(call.body, "os-set_bootable")["bootable"]);
    await call.cinder.volumeActions.setBootable(call.context, idOf(call), bootable);
    return emptyAnswer;
  },
  async revertVolume(call) {
    const given = bodyObject(call.body, "revert")["snapshot_id"];
    const snapshotId = typeof given === "string" ? given : formatPython(given);
    await call.cinder.volumeActions.revert(call.context, idOf(call), snapshotId);
    return emptyAnswer;
  },
  async completeVolumeExtension(call) {
    await call.cinder.volumeActions.completeExtension(call.context, idOf(call));
    return emptyAnswer;
  },
  async forceDeleteVolume(call) {
    await call.cinder.volumeActions.forceDelete(call.context, idOf(call));
    return emptyAnswer;
  },
  async setImageMetadata(call) {
    const given = bodyObject(bodyObject(call.body, "os-set_image_metadata"), "metadata") as Metadata;
    return { body: { metadata: await call.cinder.volumeActions.setImageMetadata(call.context, idOf(call), given) } };
  },
  async showImageMetadata(call) {
    return { body: { metadata: await call.cinder.volumeActions.showImageMetadata(call.context, idOf(call)) } };
  },
  async unsetImageMetadata(call) {
    const key = bodyText(bodyObject(call.body, "os-unset_image_metadata"), "key") ?? "";
    await call.cinder.volumeActions.unsetImageMetadata(call.context, idOf(call), key);
    return emptyAnswer;
  },
};

export const legacyAttachHandlers: Handlers = {
  async reserveVolume(call) {
    await call.cinder.legacyAttach.reserve(call.context, idOf(call));
    return emptyAnswer;
  },
  async unreserveVolume(call) {
    await call.cinder.legacyAttach.unreserve(call.context, idOf(call));
    return emptyAnswer;
  },
  async beginDetachingVolume(call) {
    await call.cinder.legacyAttach.beginDetaching(call.context, idOf(call));
    return emptyAnswer;
  },
  async rollDetachingVolume(call) {
    await call.cinder.legacyAttach.rollDetaching(call.context, idOf(call));
    return emptyAnswer;
  },
  async attachVolume(call) {
    const given = bodyObject(call.body, "os-attach");
    const instanceId = bodyText(given, "instance_uuid");
    const hostName = bodyText(given, "host_name");
    const mountpoint = bodyText(given, "mountpoint");
    await call.cinder.legacyAttach.attach(call.context, idOf(call), {
      ...(instanceId === undefined ? {} : { instanceId }),
      ...(hostName === undefined ? {} : { hostName }),
      ...(mountpoint === undefined ? {} : { mountpoint }),
      ...readMode(given),
    });
    return emptyAnswer;
  },
  async detachVolume(call) {
    const attachmentId = bodyText(bodyObject(call.body, "os-detach"), "attachment_id");
    await call.cinder.legacyAttach.detach(call.context, idOf(call), attachmentId);
    return emptyAnswer;
  },
  async forceDetachVolume(call) {
    const given = bodyObject(call.body, "os-force_detach");
    const attachmentId = bodyText(given, "attachment_id");
    await call.cinder.legacyAttach.forceDetach(call.context, idOf(call), {
      ...(attachmentId === undefined ? {} : { attachmentId }),
      ...("connector" in given ? { connector: readConnector(given) } : {}),
    });
    return emptyAnswer;
  },
  async initializeConnection(call) {
    const connector = readConnector(bodyObject(call.body, "os-initialize_connection"));
    if (connector === null) throw badRequest("Must specify 'connector'");
    const info = await call.cinder.legacyAttach.initializeConnection(call.context, idOf(call), connector);
    return { body: { connection_info: viewConnectionInfo(info) } };
  },
  async terminateConnection(call) {
    const connector = readConnector(bodyObject(call.body, "os-terminate_connection"));
    await call.cinder.legacyAttach.terminateConnection(call.context, idOf(call), connector);
    return emptyAnswer;
  },
};

/** The schema lets "rw" and "ro" through only. */
export function readMode(given: JsonObject): { readonly mode?: "rw" | "ro" } {
  const mode = bodyText(given, "mode");
  return mode === "rw" || mode === "ro" ? { mode } : {};
}

/** An object; some clients send text or null, which says nothing. */
function readConnector(given: JsonObject): Connector | null {
  const connector = given["connector"];
  return connector !== null && typeof connector === "object" ? (connector as Connector) : null;
}
