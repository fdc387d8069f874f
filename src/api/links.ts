// The URLs in answers. They begin with public_endpoint when that is set, else with what the client itself asked for; the
// project stands in them when it stood in the request.

export interface Link {
  readonly rel: string;
  readonly href: string;
}

export class Links {
  readonly #origin: string;
  readonly #project: string;

  /** `origin` without a slash at its end: "http://host:8776" or "https://cloud/volume". */
  constructor(origin: string, projectId: string | undefined) {
    this.#origin = origin;
    this.#project = projectId === undefined ? "" : `/${projectId}`;
  }

  /** Links of one resource; `collection` is "volumes", "snapshots", ... */
  resource(collection: string, id: string): Link[] {
    const tail = `${this.#project}/${collection}/${id}`;
    return [
      { rel: "self", href: `${this.#origin}/v3${tail}` },
      { rel: "bookmark", href: `${this.#origin}${tail}` },
    ];
  }

  /** The next page: the same request, after `marker`. `path` is "volumes", "volumes/detail", ... */
  next(path: string, query: URLSearchParams, marker: string): Link[] {
    const changed = new URLSearchParams(query);
    changed.delete("marker");
    changed.append("marker", marker);
    return [{ rel: "next", href: `${this.#origin}/v3${this.#project}/${path}?${changed.toString()}` }];
  }

  /** The root of the API. */
  version(): string {
    return `${this.#origin}/v3/`;
  }
}

/** Where links of an answer begin. `host` is the Host header; `endpoint` public_endpoint, empty when it is not set. */
export function originOf(endpoint: string, host: string | undefined, encrypted: boolean): string {
  if (endpoint !== "") return endpoint.replace(/\/+$/, "");
  const safe = host !== undefined && /^[A-Za-z0-9.:[\]_-]{1,255}$/.test(host) ? host : "localhost";
  return `${encrypted ? "https" : "http"}://${safe}`;
}
