// From method and path to an operation, by one walk over a tree of path segments. Built once from the operations of
// openapi.yaml (operations.ts); a lookup builds no regular expression and costs the depth of the path.
//
// - Below /v3, with or without a leading project id. The form without is tried first: no project is named "volumes".
// - Segments are strict: an empty one (a trailing or a doubled slash) matches nothing. A `.json` suffix is taken off.
// - Literal segments win over parameters.
// It does not know microversions: a route holds all variants, and the caller picks.

import type { Operation } from "./operations.ts";

export interface Route {
  /** Newest first. Empty for a path that has body actions only. */
  readonly variants: Operation[];
  /** Body actions by key. */
  readonly actions: Map<string, Operation>;
  /** What answers below the oldest variant's microversion. */
  before?: Operation;
}

export interface RouteMatch {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
  /** The project of the URL, when it names one. */
  readonly projectId: string | undefined;
}

interface Node {
  readonly literals: Map<string, Node>;
  readonly methods: Map<string, Route>;
  wild?: Node;
  wildName?: string;
}

const projectPattern = /^[A-Za-z0-9_-]{1,255}$/;
const newNode = (): Node => ({ literals: new Map(), methods: new Map() });

export class RouteTable {
  readonly #root = newNode();

  /** `operations` whose path begins with /v3/ and has more behind it; others are left out. */
  constructor(operations: readonly Operation[]) {
    const byId = new Map(operations.map((operation) => [operation.id, operation]));
    for (const operation of operations) this.#add(operation, byId);
  }

  #add(operation: Operation, byId: ReadonlyMap<string, Operation>): void {
    if (!operation.path.startsWith("/v3/") || operation.path === "/v3/") return;
    let node = this.#root;
    for (const segment of operation.path.slice(4).split("/")) {
      node = segment.startsWith("{") ? wildChild(node, segment.slice(1, -1)) : literalChild(node, segment);
    }
    const route = node.methods.get(operation.method) ?? { variants: [], actions: new Map<string, Operation>() };
    node.methods.set(operation.method, route);
    if (operation.action !== undefined) route.actions.set(operation.action, operation);
    else route.variants.push(operation);
    route.variants.sort((a, b) => b.sinceMinor - a.sinceMinor);
    if (operation.before === undefined) return;
    const before = byId.get(operation.before);
    if (before === undefined) throw new TypeError(`${operation.id}: there is no operation ${operation.before}`);
    route.before = before;
  }

  /** `path` without the query, as it came. Undefined when nothing is served there. */
  match(method: string, path: string): RouteMatch | undefined {
    if (!path.startsWith("/v3/")) return undefined;
    const segments = splitPath(path);
    if (segments === undefined) return undefined;
    const direct = walk(this.#root, segments, 0, method);
    if (direct !== undefined) return { ...direct, projectId: undefined };
    const projectId = segments[0]!;
    if (segments.length < 2 || !projectPattern.test(projectId)) return undefined;
    const found = walk(this.#root, segments, 1, method);
    return found === undefined ? undefined : { ...found, projectId };
  }
}

function literalChild(node: Node, segment: string): Node {
  let child = node.literals.get(segment);
  if (child === undefined) node.literals.set(segment, (child = newNode()));
  return child;
}

function wildChild(node: Node, name: string): Node {
  if (node.wildName !== undefined && node.wildName !== name) {
    throw new TypeError(`one place, two parameters: ${node.wildName} and ${name}`);
  }
  node.wildName = name;
  return (node.wild ??= newNode());
}

/** The decoded segments below /v3/; undefined when one is empty or cannot be decoded. */
function splitPath(path: string): string[] | undefined {
  const bare = path.endsWith(".json") ? path.slice(4, -5) : path.slice(4);
  const segments = bare.split("/");
  for (let at = 0; at < segments.length; at++) {
    const segment = segments[at]!;
    if (segment === "") return undefined;
    if (!segment.includes("%")) continue;
    try {
      segments[at] = decodeURIComponent(segment);
    } catch {
      return undefined;
    }
  }
  return segments;
}

function walk(
  root: Node,
  segments: readonly string[],
  from: number,
  method: string,
): { route: Route; params: Record<string, string> } | undefined {
  const params: Record<string, string> = {};
  let node = root;
  for (let at = from; at < segments.length; at++) {
    const segment = segments[at]!;
    const literal = node.literals.get(segment);
    if (literal !== undefined) {
      node = literal;
    } else if (node.wild !== undefined) {
      params[node.wildName!] = segment;
      node = node.wild;
    } else {
      return undefined;
    }
  }
  const route = node.methods.get(method);
  return route === undefined ? undefined : { route, params };
}
