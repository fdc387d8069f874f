// Encryption of volume types, and the default types of projects (3.62).

import type { DefaultType } from "../../cinder/model.ts";
import type { EncryptionChange } from "../../cinder/operator-verbs.ts";
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
import { HttpFault } from "../http-fault.ts";
import { viewEncryption, viewNewEncryption } from "../views/type-parts.ts";

const typeOf = (call: Call): string => pathParameter(call, "type_id");
const encryptionOf = (call: Call): string => pathParameter(call, "encryption_id");
const projectOf = (call: Call): string => pathParameter(call, "target_project_id");

/** A type has one encryption at most, whatever id the path ends with: cinderclient always writes "provider" there. */
export const typeEncryptionHandlers: Handlers = {
  async showTypeEncryption(call) {
    return { body: viewEncryption(typeOf(call), await call.cinder.typeEncryptions.show(call.context, typeOf(call))) };
  },
  async showTypeEncryptionItem(call) {
    const typeId = typeOf(call);
    const key = encryptionOf(call);
    const shown = viewEncryption(typeId, await call.cinder.typeEncryptions.show(call.context, typeId));
    if (!Object.hasOwn(shown, key)) {
      throw new HttpFault(404, `Volume type encryption for type ${typeId} does not exist.`);
    }
    return { body: { [key]: shown[key] } };
  },
  async createTypeEncryption(call) {
    const given = bodyObject(call.body, "encryption");
    const encryption = await call.cinder.typeEncryptions.create(call.context, typeOf(call), {
      ...readEncryption(given),
      provider: bodyText(given, "provider") ?? "",
      controlLocation: given["control_location"] === "back-end" ? "back-end" : "front-end",
    });
    return { body: { encryption: viewNewEncryption(typeOf(call), encryption) } };
  },
  async updateTypeEncryption(call) {
    const given = bodyObject(call.body, "encryption");
    await call.cinder.typeEncryptions.update(call.context, typeOf(call), readEncryption(given));
    return { body: { encryption: given } };
  },
  async deleteTypeEncryption(call) {
    await call.cinder.typeEncryptions.delete(call.context, typeOf(call));
    return emptyAnswer;
  },
};

export const defaultTypeHandlers: Handlers = {
  async listDefaultTypes(call) {
    return { body: { default_types: (await call.cinder.defaultTypes.list(call.context)).map(viewDefaultType) } };
  },
  async showProjectDefaultType(call) {
    return { body: { default_type: viewDefaultType(await call.cinder.defaultTypes.show(call.context, projectOf(call))) } };
  },
  async setProjectDefaultType(call) {
    const type = bodyText(bodyObject(call.body, "default_type"), "volume_type") ?? "";
    return { body: { default_type: viewDefaultType(await call.cinder.defaultTypes.set(call.context, projectOf(call), type)) } };
  },
  async unsetProjectDefaultType(call) {
    await call.cinder.defaultTypes.unset(call.context, projectOf(call));
    return emptyAnswer;
  },
};

function viewDefaultType({ projectId, typeId }: DefaultType): JsonObject {
  return { project_id: projectId, volume_type_id: typeId };
}

/** What is absent stays absent, so that an update leaves it alone. */
function readEncryption(given: JsonObject): EncryptionChange {
  const { provider, control_location, cipher } = given;
  return {
    ...(typeof provider === "string" ? { provider } : {}),
    ...(control_location === "front-end" || control_location === "back-end" ? { controlLocation: control_location } : {}),
    ...(cipher === undefined ? {} : { cipher: typeof cipher === "string" && cipher !== "" ? cipher : null }),
    ...("key_size" in given ? { keySize: bodyInteger(given, "key_size") ?? null } : {}),
  };
}
