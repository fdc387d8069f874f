// How a service of ours proves itself to Keystone: the credentials of a group of the configuration, as the body of an
// authentication (Identity API v3, "Password authentication with scoped authorization", "Authenticating with an application
// credential"). Pure.

/** Names as keystoneauth has them; empty for what is not given. */
export interface Credentials {
  readonly auth_type: "password" | "v3password" | "v3applicationcredential";
  readonly auth_url: string;
  readonly username: string;
  readonly password: string;
  readonly user_domain_name: string;
  readonly user_domain_id: string;
  readonly project_name: string;
  readonly project_id: string;
  readonly project_domain_name: string;
  readonly project_domain_id: string;
  readonly application_credential_id: string;
  readonly application_credential_secret: string;
}

export function authenticationBody(credentials: Credentials): unknown {
  const { auth_type, username, password, project_id, project_name } = credentials;
  if (auth_type === "v3applicationcredential") {
    const { application_credential_id: id, application_credential_secret: secret } = credentials;
    return { auth: { identity: { methods: ["application_credential"], application_credential: { id, secret } } } };
  }
  const userDomain = domain(credentials.user_domain_id, credentials.user_domain_name);
  const project =
    project_id === ""
      ? { name: project_name, domain: domain(credentials.project_domain_id, credentials.project_domain_name) }
      : { id: project_id };
  const user = { name: username, password, domain: userDomain };
  return { auth: { identity: { methods: ["password"], password: { user } }, scope: { project } } };
}

function domain(id: string, name: string): { readonly id: string } | { readonly name: string } {
  return id === "" ? { name } : { id };
}

/** The root of version 3 below what operators write: http://host:5000, http://host/identity, http://host:5000/v3/. */
export function identityRoot(url: string): string {
  return `${url.replace(/\/+$/, "").replace(/\/v(2\.0|3)$/, "")}/v3`;
}
