// Who sends a request, as a port with one implementation a strategy (auth_strategy): keystone-auth.ts, and here `noauth`, with
// which everybody is an administrator of the project that the URL names. It belongs on a loopback address only, which the
// configuration checks.

import type { IncomingHttpHeaders } from "node:http";
import type { Caller } from "../cinder/context.ts";

export type Identity = Caller;

export interface AuthRequest {
  readonly method: string;
  /** Of the client's URL, without the query: with what a proxy has taken away in front, as far as it says so. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The project that the URL names, if it does. */
  readonly urlProjectId: string | undefined;
}

export interface Authenticator {
  /** Throws Unauthorized (401), or an "unavailable" AndironError (503). A promise only when it has to wait. */
  authenticate(request: AuthRequest): Identity | Promise<Identity>;
}

const everyRole = ["admin", "member", "reader"];
const serviceRole = ["service"];

/**
 * Cinder's noauth: a token "user:project" names both. Without one (or with what keystoneauth's `none` plug-in sends) the
 * user is "admin" and the project is the URL's, or "admin" when the URL names none. Every caller counts as a service too.
 */
export const noAuth: Authenticator = {
  authenticate({ headers, urlProjectId }) {
    const header = headers["x-auth-token"];
    const token = typeof header === "string" && header !== "notused" ? header.slice(0, 511) : "";
    const colon = token.indexOf(":");
    const userId = colon < 0 ? token : token.slice(0, colon);
    const tokenProjectId = colon < 0 ? "" : token.slice(colon + 1);
    return {
      userId: userId || "admin",
      projectId: tokenProjectId || (urlProjectId ?? "admin"),
      roles: everyRole,
      isAdmin: true,
      serviceRoles: serviceRole,
    };
  },
};
