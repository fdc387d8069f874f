// Group types and their specs (3.11).

import type { GroupType } from "../../cinder/model.ts";
import { parseBoolean, readBoolean } from "../booleans.ts";
import {
  type Answer,
  type Call,
  type Handlers,
  type JsonObject,
  bodyObject,
  bodyText,
  emptyAnswer,
  pathParameter,
} from "../call.ts";
import { badRequest } from "../http-fault.ts";
import { unfilteredListRules } from "../resource-filters.ts";
import { viewGroupType } from "../views/type-parts.ts";
import { answerList, withOnly } from "./paging.ts";
import { readExtraSpecs } from "./types.ts";

const idOf = (call: Call): string => pathParameter(call, "group_type_id");
/** Clients find types by name; Cinder lists them all then. */
const listParameters = new Set(["limit", "offset", "marker", "sort", "sort_key", "sort_dir", "is_public"]);

function view(call: Call, type: GroupType): JsonObject {
  return viewGroupType(type, call.cinder.groupTypes.visibleSpecs(call.context, type));
}

function answer(call: Call, type: GroupType): Answer {
  return { body: { group_type: view(call, type) } };
}

export const groupTypeHandlers: Handlers = {
  async listGroupTypes(call) {
    const isPublic = readIsPublic(call.query.get("is_public"));
    const form = {
      rules: unfilteredListRules,
      key: "group_types",
      linksKey: "group_type_links",
      path: "group_types",
      idOf: (type: GroupType) => type.id,
      view: (type: GroupType) => view(call, type),
    };
    return answerList(withOnly(call, listParameters), form, ({ filters, ...query }) => {
      const { is_public: _, ...others } = filters;
      return call.cinder.groupTypes.list(call.context, { ...query, filters: others }, isPublic);
    });
  },
  async createGroupType(call) {
    const given = bodyObject(call.body, "group_type");
    const type = await call.cinder.groupTypes.create(call.context, {
      name: (bodyText(given, "name") ?? "").trim(),
      description: bodyText(given, "description") ?? null,
      ...(given["is_public"] === undefined ? {} : { isPublic: readBoolean(given["is_public"]) }),
      groupSpecs: readExtraSpecs(bodyObject(given, "group_specs")),
    });
    return answer(call, type);
  },
  async showGroupType(call) {
    return answer(call, await call.cinder.groupTypes.show(call.context, idOf(call)));
  },
  async updateGroupType(call) {
    const given = bodyObject(call.body, "group_type");
    if (Object.keys(given).length === 0) {
      throw badRequest("Specify group type name, description or a combination thereof.");
    }
    const { name, description } = given;
    const type = await call.cinder.groupTypes.update(call.context, idOf(call), {
      ...(typeof name === "string" ? { name: name.trim() } : {}),
      ...(description === undefined ? {} : { description: typeof description === "string" ? description : null }),
      ...(given["is_public"] === undefined ? {} : { isPublic: readBoolean(given["is_public"]) }),
    });
    return answer(call, type);
  },
  async deleteGroupType(call) {
    await call.cinder.groupTypes.delete(call.context, idOf(call));
    return emptyAnswer;
  },
  async listGroupSpecs(call) {
    return { body: { group_specs: await call.cinder.groupTypes.showSpecs(call.context, idOf(call)) } };
  },
  async setGroupSpecs(call) {
    const given = readExtraSpecs(bodyObject(call.body, "group_specs"));
    await call.cinder.groupTypes.setSpecs(call.context, idOf(call), given);
    return { body: { group_specs: given } };
  },
  async showGroupSpec(call) {
    const key = pathParameter(call, "key");
    return { body: { [key]: await call.cinder.groupTypes.showSpec(call.context, idOf(call), key) } };
  },
  async setGroupSpec(call) {
    const key = pathParameter(call, "key");
    const value = readExtraSpecs(call.body)[key];
    if (value === undefined) throw badRequest("Request body and URI mismatch");
    await call.cinder.groupTypes.setSpec(call.context, idOf(call), key, value);
    return { body: { [key]: value } };
  },
  async deleteGroupSpec(call) {
    await call.cinder.groupTypes.deleteSpec(call.context, idOf(call), pathParameter(call, "key"));
    return emptyAnswer;
  },
};

/** The public ones without the parameter, all for "none". */
function readIsPublic(text: string | null): boolean | undefined {
  if (text === null) return true;
  if (text.toLowerCase() === "none") return undefined;
  const value = parseBoolean(text);
  if (value === undefined) throw badRequest(`Invalid is_public filter [${text}]`);
  return value;
}
