// Who asks. Made by api/ from the token (or by noauth), handed to every verb; cinder/ never sees a header.

export interface RequestContext {
  /** "req-<uuid>", ours. */
  readonly requestId: string;
  /** "req-<uuid>" of the caller, when it sent one. For logs and outgoing calls only. */
  readonly globalRequestId?: string;
  readonly userId: string;
  /** Empty when the caller acts for no project (a token of a domain or of the system). */
  readonly projectId: string;
  /** Lower case. */
  readonly roles: readonly string[];
  /** What the policy rule context_is_admin says. */
  readonly isAdmin: boolean;
  /** Roles of the service token that came along (lower case); empty without one. */
  readonly serviceRoles: readonly string[];
  /** The token that the caller sent, to ask other services in his name: a function, so that it cannot slip into a log. */
  readonly userToken?: () => string;
  /** Absent: true, as Keystone says of every project unless it is told of one. */
  readonly isAdminProject?: boolean;
  readonly userDomainId?: string;
  readonly projectDomainId?: string;
  readonly projectName?: string;
  /** Of a token that is scoped to a domain. */
  readonly domainId?: string;
  /** "all" for a token that is scoped to the system. */
  readonly systemScope?: string;
}

/** Who asks, without which request it is. */
export type Caller = Omit<RequestContext, "requestId" | "globalRequestId">;

/** The context of work that no request asked for (reconciliation, first start). */
export const systemContext: RequestContext = {
  requestId: "req-00000000-0000-0000-0000-000000000000",
  userId: "andiron",
  projectId: "andiron",
  roles: ["admin"],
  isAdmin: true,
  serviceRoles: ["service"],
};
