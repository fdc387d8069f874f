// Who asked for what a notification tells, as Cinder's context stands in it: without tokens, names of users, and addresses. Pure.

import { type RequestContext, systemContext } from "../context.ts";

/** The context of work whose request is over: of its owner, without roles, since nobody keeps those. */
export function ownersContext(owner: { readonly userId: string; readonly projectId: string }, requestId: string): RequestContext {
  return { ...systemContext, userId: owner.userId, projectId: owner.projectId, requestId, roles: [], isAdmin: false };
}

export function contextFields(context: RequestContext, atText: string): Readonly<Record<string, unknown>> {
  const { userId, userDomainId = null, projectDomainId = null, domainId = null } = context;
  const projectId = context.projectId === "" ? null : context.projectId;
  const identity = [userId, projectId, domainId, userDomainId, projectDomainId].map((part) => part ?? "-").join(" ");
  const roles = context.isAdmin && !context.roles.includes("admin") ? [...context.roles, "admin"] : context.roles;
  return {
    _context_user: userId,
    _context_user_id: userId,
    _context_project: projectId,
    _context_project_id: projectId,
    _context_project_name: context.projectName ?? null,
    _context_domain: domainId,
    _context_domain_id: domainId,
    _context_user_domain: userDomainId,
    _context_project_domain: projectDomainId,
    _context_system_scope: context.systemScope ?? null,
    _context_is_admin: context.isAdmin,
    _context_is_admin_project: context.isAdminProject ?? true,
    _context_roles: roles,
    _context_user_identity: identity,
    _context_request_id: context.requestId,
    _context_global_request_id: context.globalRequestId ?? null,
    _context_timestamp: atText,
    _context_read_only: false,
    _context_show_deleted: false,
    _context_read_deleted: "no",
    _context_auth_token: null,
    _context_resource_uuid: null,
    _context_remote_address: null,
    _context_quota_class: null,
    _context_service_catalog: [],
    _context_message_resource_id: null,
    _context_message_resource_type: null,
    _context_message_action: null,
  };
}
