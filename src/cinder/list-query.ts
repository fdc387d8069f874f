// What a list request asks for, after api/ has parsed and checked it by microversion. Values are the strings of the URL;
// executing the query (collection-query.ts) compares them with the record's field written as the API writes it.

export interface SortKey {
  /** API name: "created_at", "name", "size", "status", ... */
  readonly key: string;
  readonly descending: boolean;
}

export interface TimeFilter {
  readonly key: "created_at" | "updated_at";
  readonly operator: "gt" | "gte" | "eq" | "neq" | "lt" | "lte";
  readonly atMs: number;
}

export interface ListQuery {
  /** 0 to cinderLimits.listEntriesMax. */
  readonly limit: number;
  readonly offset: number;
  /** Id of the last item of the page before. */
  readonly marker?: string;
  /** Empty: created_at descending. The id breaks ties, in the direction of the last key. */
  readonly sort: readonly SortKey[];
  /**
   * Exact filters by API name; several values mean any of them. Booleans are "true" or "false". A name that the resource
   * does not have matches nothing (as in Cinder). `project_id` works with allTenants only.
   */
  readonly filters: Readonly<Record<string, readonly string[]>>;
  /** `key~=text`: the field contains the text. */
  readonly like: Readonly<Record<string, string>>;
  /** All pairs must match. */
  readonly metadata: Readonly<Record<string, string>>;
  /** glance_metadata: all pairs must match the volume's image metadata. */
  readonly imageMetadata: Readonly<Record<string, string>>;
  readonly times: readonly TimeFilter[];
  /** Honoured for admins, ignored for others. */
  readonly allTenants: boolean;
  readonly withCount: boolean;
}

export const defaultListQuery: ListQuery = {
  limit: 1000,
  offset: 0,
  sort: [],
  filters: {},
  like: {},
  metadata: {},
  imageMetadata: {},
  times: [],
  allTenants: false,
  withCount: false,
};

export interface Page<T> {
  readonly items: readonly T[];
  /** Size of the filtered set; only when withCount. */
  readonly count?: number;
}
