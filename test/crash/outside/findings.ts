// The judge of the outside: what is wrong with what was seen, by comparing lists with sums, objects with references, statuses
// with the clock. Pure, and it knows nothing of how the service works: only what must be so when nothing is under way any more.
//
// Something that is under way is a finding once it takes longer than `passingMsMax`; what it holds meanwhile (its job, exports,
// vDisks, files, a charge) is not looked at any closer: whoever wants a service at rest judges again until nothing is found.

import type { OutsideView, Resource, ResourceKind } from "./seen.ts";

export const rules = [
  ...(["quota", "status", "reference", "job", "vdisk", "snapshot", "export", "log", "object", "backup", "scratch"] as const),
];

export interface Finding {
  readonly rule: (typeof rules)[number];
  readonly what: string;
}

export interface Bounds {
  /** How long something may be under way. */
  readonly passingMsMax: number;
  /** How long an object is kept that nobody refers to. */
  readonly graceMs: number;
}

/** Statuses that something must leave by itself. */
const passing: Readonly<Record<ResourceKind, readonly string[]>> = {
  volume: [
    ...["creating", "downloading", "uploading", "deleting", "attaching", "detaching", "extending", "retyping", "maintenance"],
    ...["backing-up", "restoring-backup", "reverting", "managing", "unmanaging"],
  ],
  snapshot: ["creating", "deleting", "updating", "backing-up", "restoring", "unmanaging"],
  attachment: ["attaching", "detaching"],
  group: ["creating", "deleting", "updating"],
  "group snapshot": ["creating", "deleting"],
  backup: ["creating", "deleting", "restoring"],
  image: ["queued", "saving", "importing"],
};
const passingProgress: readonly string[] = ["starting", "migrating", "completing"];

export function findWrong(view: OutsideView, bounds: Bounds): Finding[] {
  return [
    ...findDrift(view),
    ...findStuck(view, bounds),
    ...findDangling(view),
    ...findOpenJobs(view),
    ...findLoneDisks(view),
    ...findLoneLogs(view),
    ...findLoneObjects(view, bounds),
    ...findStoredBackups(view),
    ...view.scratch.map((path): Finding => ({ rule: "scratch", what: `${path} is left` })),
  ];
}

/** Each key of each project's usage is the sum of what is listed. */
function findDrift({ resources, usage }: OutsideView): Finding[] {
  const sums = new Map<string, number>();
  for (const { project, charges } of resources) {
    for (const [key, amount] of Object.entries(charges)) {
      sums.set(`${project} ${key}`, (sums.get(`${project} ${key}`) ?? 0) + amount);
    }
  }
  const charged = new Map(
    Object.entries(usage).flatMap(([project, keys]) =>
      Object.entries(keys).map(([key, amount]): [string, number] => [`${project} ${key}`, amount]),
    ),
  );
  return [...new Set([...sums.keys(), ...charged.keys()])].flatMap((key): Finding[] => {
    const [sum, inUse] = [sums.get(key) ?? 0, charged.get(key) ?? 0];
    return sum === inUse ? [] : [{ rule: "quota", what: `${key}: ${inUse} charged, ${sum} listed` }];
  });
}

function findStuck({ nowMs, resources }: OutsideView, { passingMsMax }: Bounds): Finding[] {
  return resources
    .filter(({ kind, status, progress }) => passing[kind].includes(status) || passingProgress.includes(progress))
    .filter(({ changedAtMs }) => nowMs - changedAtMs > passingMsMax)
    .map(({ kind, id, status, progress, changedAtMs }) => {
      const seconds = Math.round((nowMs - changedAtMs) / 1000);
      return { rule: "status", what: `${kind} ${id} is ${[status, progress].join(" ").trim()} since ${seconds} s` };
    });
}

function findDangling({ resources }: OutsideView): Finding[] {
  const present = new Set(resources.map(nameOf));
  return resources.flatMap((resource) =>
    resource.needs
      .filter((needed) => !present.has(nameOf(needed)))
      .map((needed): Finding => ({
        rule: "reference",
        what: `${nameOf(resource)} refers to ${nameOf(needed)}, which is not there`,
      })),
  );
}

function findOpenJobs({ records }: OutsideView): Finding[] {
  return records.jobs
    .filter(({ phase }) => phase !== "ended")
    .map(({ id, kind, phase, resource }) => ({ rule: "job", what: `job ${id} (${kind} of ${resource}) is in ${phase}` }));
}

/**
 * vDisks, cuts and exports have the ids of volumes, snapshots and attachments; the cache of images has vDisks of its own, and a
 * backup may have a cut, which the next one builds on.
 */
function findLoneDisks({ resources, records }: OutsideView): Finding[] {
  const idsOf = (kind: ResourceKind): Set<string> => new Set(resources.filter((one) => one.kind === kind).map(({ id }) => id));
  const [volumes, attachments] = [idsOf("volume"), idsOf("attachment")];
  const cutters = new Set([...idsOf("snapshot"), ...idsOf("backup")]);
  const [vdisks, cuts] = [new Set(records.vdisks.map(({ id }) => id)), new Set(records.snapshots)];
  const isSound = ({ status }: Resource): boolean => !status.startsWith("error");
  const sound = (kind: ResourceKind): Resource[] => resources.filter((one) => one.kind === kind && isSound(one));
  return [
    ...records.vdisks
      .filter(({ id }) => !volumes.has(id) && !records.cached.includes(id))
      .map(({ id, name }): Finding => ({ rule: "vdisk", what: `vDisk ${id} (${name}) is nobody's` })),
    ...records.cached
      .filter((id) => !vdisks.has(id))
      .map((id): Finding => ({ rule: "vdisk", what: `the cache of images has vDisk ${id}, which is not there` })),
    ...sound("volume")
      .filter(({ id }) => !vdisks.has(id))
      .map(({ id }): Finding => ({ rule: "vdisk", what: `volume ${id} has no vDisk` })),
    ...records.snapshots
      .filter((id) => !cutters.has(id))
      .map((id): Finding => ({ rule: "snapshot", what: `the cut of snapshot ${id} is nobody's` })),
    ...sound("snapshot")
      .filter(({ id }) => !cuts.has(id))
      .map(({ id }): Finding => ({ rule: "snapshot", what: `snapshot ${id} has no cut` })),
    ...records.exports
      .filter((id) => !attachments.has(id))
      .map((id): Finding => ({ rule: "export", what: `export ${id} is nobody's` })),
  ];
}

/** A log is the head of a vDisk, or something looks at it. */
function findLoneLogs({ records }: OutsideView): Finding[] {
  const heads = new Map(records.vdisks.map(({ log, id }) => [log, id]));
  const known = new Set(records.logs.map(({ id }) => id));
  return [
    ...records.logs
      .filter(({ id, isNeeded }) => !heads.has(id) && !isNeeded)
      .map(({ id }): Finding => ({ rule: "log", what: `log ${id} is nobody's` })),
    ...records.vdisks
      .filter(({ log }) => !known.has(log))
      .map(({ id, log }): Finding => ({ rule: "log", what: `vDisk ${id} has log ${log}, which is not there` })),
  ];
}

/** An object on a backend is of a log, and a segment of it is one that the log has. */
function findLoneObjects({ nowMs, objects, records }: OutsideView, { graceMs }: Bounds): Finding[] {
  const logs = new Map(records.logs.map((log) => [log.id, log]));
  const retired = new Set(records.retired.map(({ object }) => object));
  const isExpected = (path: string): boolean => {
    const [, logId = "", name = ""] = path.split("/");
    const log = logs.get(logId);
    if (log === undefined) return false;
    return retired.has(`${logId}/${name}`) || !name.startsWith("s-") || log.hasSegment(name);
  };
  return [
    ...objects
      .filter((path) => !isExpected(path))
      .map((path): Finding => ({ rule: "object", what: `${path} is an object that nothing refers to` })),
    ...records.retired
      .filter(({ retiredAtMs }) => nowMs - retiredAtMs > graceMs)
      .map(({ object }): Finding => ({ rule: "object", what: `${object} is retired and still there after the grace period` })),
  ];
}

/** What lies in the store is of a backup, and a backup that is well has all of it. */
function findStoredBackups({ resources, stored }: OutsideView): Finding[] {
  const backups = resources.filter(({ kind }) => kind === "backup");
  const known = new Set(backups.map(({ id }) => id));
  const counts = new Map<string, number>();
  for (const id of stored) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [
    ...[...counts]
      .filter(([id]) => !known.has(id))
      .map(([id, count]): Finding => ({ rule: "backup", what: `${count} objects of backup ${id} are in the store without it` })),
    ...backups
      .filter(({ id, status, objectCount = 0 }) => status === "available" && (counts.get(id) ?? 0) < objectCount)
      .map(({ id, objectCount }): Finding => {
        return { rule: "backup", what: `backup ${id} has ${counts.get(id) ?? 0} objects of ${objectCount}` };
      }),
  ];
}

const nameOf = ({ kind, id }: { readonly kind: ResourceKind; readonly id: string }): string => `${kind} ${id}`;
