// Volume types, their extra specs and who may use them.

import type { Metadata, VolumeType } from "../../cinder/model.ts";
import { type PolicyRule, ownTarget } from "../../cinder/policy.ts";
import { parseBoolean, readBoolean } from "../booleans.ts";
import { type Call, type Handlers, type JsonObject, bodyObject, bodyText, emptyAnswer, pathParameter } from "../call.ts";
import { badRequest, invalidInput } from "../http-fault.ts";
import { asTextRecord, parsePythonLiteral } from "../python-literal.ts";
import { typeListRules } from "../resource-filters.ts";
import { viewVolumeType } from "../views/volume-type.ts";
import { answerList } from "./paging.ts";

const idOf = (call: Call): string => pathParameter(call, "type_id");
const extraSpecsFilterMinor = 52;

/** The answers to show and list have what policy shows; those to create and update leave out what tempest refuses there. */
function show(call: Call, type: VolumeType, parts = { withAccess: true, withQosSpecs: true }): JsonObject {
  const { cinder, context } = call;
  const shows = (rule: PolicyRule): boolean => cinder.policy.allows(context, rule, ownTarget(context));
  return viewVolumeType(type, {
    withAccess: parts.withAccess && shows("volume_extension:volume_type_access"),
    withQosSpecs: parts.withQosSpecs && shows("volume_extension:access_types_qos_specs_id"),
    extraSpecs: shows("volume_extension:access_types_extra_specs")
      ? cinder.volumeTypes.visibleExtraSpecs(context, type)
      : undefined,
  });
}

export const typeHandlers: Handlers = {
  async listTypes(call) {
    const options = readListOptions(call);
    const form = {
      rules: typeListRules,
      key: "volume_types",
      linksKey: "volume_type_links",
      path: "types",
      idOf: (type: VolumeType) => type.id,
      view: (type: VolumeType) => show(call, type),
    };
    return answerList(call, form, ({ filters, ...query }) => {
      const { is_public: _, extra_specs: __, ...others } = filters;
      return call.cinder.volumeTypes.list(call.context, { ...query, filters: others }, options);
    });
  },
  async createType(call) {
    const given = bodyObject(call.body, "volume_type");
    const isPublic = given["os-volume-type-access:is_public"];
    const type = await call.cinder.volumeTypes.create(call.context, {
      name: (bodyText(given, "name") ?? "").trim(),
      description: typeof given["description"] === "string" ? given["description"] : null,
      ...(isPublic === undefined ? {} : { isPublic: readBoolean(isPublic) }),
      extraSpecs: readExtraSpecs(bodyObject(given, "extra_specs")),
    });
    return { body: { volume_type: show(call, type, { withAccess: true, withQosSpecs: false }) } };
  },
  async showDefaultType(call) {
    return { body: { volume_type: show(call, await call.cinder.volumeTypes.showDefault(call.context)) } };
  },
  async showType(call) {
    return { body: { volume_type: show(call, await call.cinder.volumeTypes.show(call.context, idOf(call))) } };
  },
  async updateType(call) {
    const type = await call.cinder.volumeTypes.update(call.context, idOf(call), readUpdate(bodyObject(call.body, "volume_type")));
    return { body: { volume_type: show(call, type, { withAccess: false, withQosSpecs: false }) } };
  },
  async deleteType(call) {
    await call.cinder.volumeTypes.delete(call.context, idOf(call));
    return emptyAnswer;
  },
};

export const extraSpecHandlers: Handlers = {
  async listExtraSpecs(call) {
    return { body: { extra_specs: await call.cinder.volumeTypes.showExtraSpecs(call.context, idOf(call)) } };
  },
  async setExtraSpecs(call) {
    const given = readExtraSpecs(bodyObject(call.body, "extra_specs"));
    return { body: { extra_specs: await call.cinder.volumeTypes.setExtraSpecs(call.context, idOf(call), given) } };
  },
  async showExtraSpec(call) {
    const key = pathParameter(call, "key");
    return { body: { [key]: await call.cinder.volumeTypes.showExtraSpec(call.context, idOf(call), key) } };
  },
  async setExtraSpec(call) {
    const key = pathParameter(call, "key");
    const value = readExtraSpecs(call.body)[key];
    if (value === undefined) throw badRequest("Request body and URI mismatch");
    await call.cinder.volumeTypes.setExtraSpec(call.context, idOf(call), key, value);
    return { body: { [key]: value } };
  },
  async deleteExtraSpec(call) {
    await call.cinder.volumeTypes.deleteExtraSpec(call.context, idOf(call), pathParameter(call, "key"));
    return emptyAnswer;
  },
};

export const typeAccessHandlers: Handlers = {
  async listTypeAccess(call) {
    const typeId = idOf(call);
    const projects = await call.cinder.volumeTypes.showAccess(call.context, typeId);
    return { body: { volume_type_access: projects.map((projectId) => ({ volume_type_id: typeId, project_id: projectId })) } };
  },
  async addTypeAccess(call) {
    await call.cinder.volumeTypes.addAccess(call.context, idOf(call), readProject(call, "addProjectAccess"));
    return emptyAnswer;
  },
  async removeTypeAccess(call) {
    await call.cinder.volumeTypes.removeAccess(call.context, idOf(call), readProject(call, "removeProjectAccess"));
    return emptyAnswer;
  },
};

function readProject(call: Call, action: string): string {
  return bodyText(bodyObject(call.body, action), "project") ?? "";
}

/** Values that are null count as empty. */
export function readExtraSpecs(given: JsonObject): Metadata {
  return Object.fromEntries(Object.entries(given).map(([key, value]) => [key, typeof value === "string" ? value : ""]));
}

function readUpdate(given: JsonObject): { name?: string; description?: string | null; isPublic?: boolean } {
  if (Object.keys(given).length === 0)
    throw badRequest("Specify volume type name, description, is_public or a combination thereof.");
  const name = given["name"];
  if (typeof name === "string" && name.trim() === "") throw badRequest("Volume type name can not be empty.");
  const description = given["description"];
  return {
    ...(typeof name === "string" ? { name: name.trim() } : {}),
    ...(description === undefined ? {} : { description: typeof description === "string" ? description : null }),
    ...(given["is_public"] === undefined ? {} : { isPublic: readBoolean(given["is_public"]) }),
  };
}

/** `is_public`: True, False or None (all). Without it an administrator sees the public ones and those of the project. */
function readListOptions(call: Call): { isPublic?: boolean | "any"; extraSpecs?: Metadata } {
  const isPublic = call.query.get("is_public");
  const extraSpecs = call.minor >= extraSpecsFilterMinor ? call.query.get("extra_specs") : null;
  const pairs = extraSpecs === null ? undefined : asTextRecord(parsePythonLiteral(extraSpecs));
  if (extraSpecs !== null && pairs === undefined) throw invalidInput("the filter extra_specs must be a dictionary");
  return {
    ...(isPublic === null ? {} : { isPublic: readIsPublic(isPublic) }),
    ...(pairs === undefined ? {} : { extraSpecs: pairs }),
  };
}

function readIsPublic(text: string): boolean | "any" {
  if (text.toLowerCase() === "none") return "any";
  const value = parseBoolean(text);
  if (value === undefined) throw badRequest(`Invalid is_public filter [${text}]`);
  return value;
}
