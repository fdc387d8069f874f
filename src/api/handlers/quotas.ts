// Quota sets, quota class sets and limits.

import { readBooleanParameter } from "../booleans.ts";
import { type Call, type Handlers, bodyInteger, bodyObject, emptyAnswer, pathParameter } from "../call.ts";
import { badRequest } from "../http-fault.ts";
import { viewQuotaSet } from "../views/quota-set.ts";

const projectOf = (call: Call): string => pathParameter(call, "target_project_id");
const limitsOfProjectMinor = 39;
const limitMax = 2_147_483_647;

export const quotaHandlers: Handlers = {
  async showQuotaSet(call) {
    const withUsage = readBooleanParameter(call.query, "usage");
    const quotas = await call.cinder.quotas.show(call.context, projectOf(call));
    return { body: { quota_set: viewQuotaSet(quotas, projectOf(call), withUsage) } };
  },
  async showQuotaDefaults(call) {
    const quotas = await call.cinder.quotas.showDefaults(call.context, projectOf(call));
    return { body: { quota_set: viewQuotaSet(quotas, projectOf(call), false) } };
  },
  async updateQuotaSet(call) {
    const quotas = await call.cinder.quotas.set(call.context, projectOf(call), readQuotaSet(call));
    return { body: { quota_set: viewQuotaSet(quotas, undefined, false) } };
  },
  async deleteQuotaSet(call) {
    await call.cinder.quotas.delete(call.context, projectOf(call));
    return emptyAnswer;
  },
  async showQuotaClassSet(call) {
    const id = pathParameter(call, "class_name");
    return { body: { quota_class_set: { id, ...(await call.cinder.quotas.showClass(call.context, id)) } } };
  },
  async updateQuotaClassSet(call) {
    const limits = readLimits(call, "quota_class_set");
    return {
      body: { quota_class_set: await call.cinder.quotas.setClass(call.context, pathParameter(call, "class_name"), limits) },
    };
  },
  async showLimits(call) {
    const mayChoose = call.minor >= limitsOfProjectMinor && call.context.isAdmin;
    const projectId = mayChoose ? (call.query.get("project_id") ?? undefined) : undefined;
    return { body: { limits: { rate: [], absolute: await call.cinder.quotas.limits(call.context, projectId) } } };
  },
};

/** The limits of a project, in the words of oslo.utils where one is none. */
function readQuotaSet(call: Call): Record<string, number> {
  const given = bodyObject(call.body, "quota_set");
  const names = Object.keys(given).filter((name) => name !== "tenant_id" && name !== "id");
  return Object.fromEntries(names.map((name) => [name, readLimit(name, given[name])]));
}

function readLimit(name: string, value: unknown): number {
  const text = typeof value === "string" || typeof value === "number" ? String(value).trim() : "";
  if (!/^[-+]?\d+$/.test(text)) throw badRequest(`${name} must be an integer`);
  const limit = Number(text);
  if (limit < -1) throw badRequest(`${name} must be >= -1`);
  if (limit > limitMax) throw badRequest(`${name} must be <= ${limitMax}`);
  return limit;
}

function readLimits(call: Call, key: string): Record<string, number> {
  const given = bodyObject(call.body, key);
  // Clients send the id and the project back in what they were given.
  const names = Object.keys(given).filter((name) => name !== "tenant_id" && name !== "id");
  return Object.fromEntries(names.map((name) => [name, bodyInteger(given, name) ?? 0]));
}
