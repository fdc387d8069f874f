// Reads a V8 CPU profile: how long which function ran within a time window, and for which of our folders. Pure.
//
// - A function of Node or C++ is counted for the nearest of our functions that called it, so that a system call belongs to
//   the folder that asked for it.
// - Idle time is left out. "(program)" is what runs outside of any function: the event loop, the kernel on its behalf.

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** Microseconds of CLOCK_MONOTONIC. */
  readonly startTime: number;
  /** Node by sample. */
  readonly samples: readonly number[];
  /** Microseconds since the sample before, or the start. */
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

export interface Share {
  readonly name: string;
  readonly us: number;
}

export interface Shares {
  readonly folders: readonly Share[];
  readonly functions: readonly Share[];
}

interface Place {
  readonly folder: string;
  readonly label: string;
}

/** Sums self times between two moments (microseconds of CLOCK_MONOTONIC), the largest first. */
export function sumProfile(profile: CpuProfile, fromUs: number, toUs: number): Shares {
  const places = placeNodes(profile.nodes);
  const folders = new Map<string, number>();
  const functions = new Map<string, number>();
  let timeUs = profile.startTime + (profile.timeDeltas[0] ?? 0);
  profile.samples.forEach((id, index) => {
    const us = profile.timeDeltas[index + 1] ?? 0;
    const place = places.get(id);
    if (place !== undefined && timeUs >= fromUs && timeUs + us <= toUs) {
      folders.set(place.folder, (folders.get(place.folder) ?? 0) + us);
      functions.set(place.label, (functions.get(place.label) ?? 0) + us);
    }
    timeUs += us;
  });
  return { folders: largestFirst(folders), functions: largestFirst(functions) };
}

function largestFirst(sums: ReadonlyMap<string, number>): Share[] {
  return [...sums].map(([name, us]) => ({ name, us })).sort((left, right) => right.us - left.us);
}

/** Where each node's time belongs; idle nodes have no place. */
function placeNodes(nodes: readonly ProfileNode[]): ReadonlyMap<number, Place> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const places = new Map<number, Place>();
  const visit = (node: ProfileNode, callerFolder: string, callerName: string): void => {
    const { functionName, url, lineNumber } = node.callFrame;
    const own = /\/src\/((?:[a-z-]+\/)+)([a-z-]+\.ts)$/.exec(url);
    const name = functionName === "" ? "(anonymous)" : functionName;
    const folder = own === null ? callerFolder : own[1]!.slice(0, -1);
    const ownName = own === null ? callerName : `${folder}/${own[2]} ${name}`;
    if (name === "(program)" || name === "(garbage collector)") places.set(node.id, { folder: name, label: name });
    else if (own !== null) places.set(node.id, { folder, label: `${ownName}:${lineNumber + 1}` });
    else if (name !== "(idle)" && name !== "(root)") {
      places.set(node.id, {
        folder,
        label: `${url === "" ? "" : `${url} `}${name}${callerName === "" ? "" : `, for ${callerName}`}`,
      });
    }
    for (const child of node.children ?? []) visit(byId.get(child)!, folder, ownName);
  };
  const root = nodes[0];
  if (root !== undefined) visit(root, "node", "");
  return places;
}
