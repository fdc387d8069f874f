// The URLs in answers. They begin as request-url.ts says; the project stands in them when it stood in the request.

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
