// The words in which scenarios are written: an area is a list of steps, in order, over volumes and types of its own. A good
// step stands for several calls: what must be refused (missing ids, bad bodies, other callers) is derived from it and
// called first. Data only; nothing is called here.
//
// - `{name}` in a path or body is what an earlier step saved under that name; `{project}` is the area's project.
// - A step runs at two microversions: the oldest that has the operation, and the newest that the reference has. With `at` it
//   runs at that one too, in the older round.

export type Cell = "good" | "bad body" | "wrong state" | "missing" | "foreign" | "early";
/** `nobody` has no token. The stranger and his project share nothing with the others; only `admin` is an administrator. */
export type Caller = "member" | "reader" | "stranger" | "admin" | "nobody";

export interface Step {
  /** "POST /volumes": below /v3/{project}. */
  readonly call: string;
  readonly body?: unknown;
  /** Undefined: a step that only prepares. */
  readonly cell?: Cell;
  readonly as: Caller;
  readonly at?: string;
  /** Not only in the older round: in both. */
  readonly always?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Names to be given to what the answer has at a path such as "volume.id". */
  readonly save?: Readonly<Record<string, string>>;
  /** Repeats the call until the first "status" in the answer is this one, or until it is 404 for "gone". */
  readonly until?: string;
  /** False: the refusals are not derived from this step. */
  readonly derive?: boolean;
  /** Waits before the call: Cinder's database keeps whole seconds, and cannot tell what was made within one. */
  readonly pauseMs?: number;
  /** Sent as it is instead of `body`. */
  readonly text?: string;
}

export interface Area {
  readonly name: string;
  readonly steps: readonly Step[];
}

type Options = Omit<Partial<Step>, "call" | "body" | "cell">;

const step =
  (cell: Cell | undefined, as: Caller) =>
  (call: string, body?: unknown, options: Options = {}): Step => ({
    call,
    as,
    ...(cell === undefined ? {} : { cell }),
    ...(body === undefined ? {} : { body }),
    ...options,
  });

export const good = step("good", "member");
export const adminGood = step("good", "admin");
export const badBody = step("bad body", "member");
export const adminBadBody = step("bad body", "admin");
export const wrongState = step("wrong state", "member");
export const adminWrongState = step("wrong state", "admin");
export const missing = step("missing", "member");
export const adminMissing = step("missing", "admin");
export const prepare = step(undefined, "member");
export const adminPrepare = step(undefined, "admin");

/** Waits until the volume or snapshot at `path` has the status, or is gone. */
export const settled = (path: string, status = "available"): Step => ({ call: `GET ${path}`, as: "admin", until: status });
export const gone = (path: string): Step => settled(path, "gone");

/** A volume of the member's, ready, saved as `name`. */
export function volume(name: string, fields: Readonly<Record<string, unknown>> = {}): Step[] {
  const body = { volume: { size: 1, name, ...fields } };
  return [prepare("POST /volumes", body, { save: { [name]: "volume.id" } }), settled(`/volumes/{${name}}`)];
}

/** A snapshot of the volume, ready, saved as `name`. */
export function snapshot(name: string, volumeName: string): Step[] {
  const body = { snapshot: { volume_id: `{${volumeName}}`, name } };
  return [prepare("POST /snapshots", body, { save: { [name]: "snapshot.id" } }), settled(`/snapshots/{${name}}`)];
}

export const action = (volumeName: string): string => `POST /volumes/{${volumeName}}/action`;

/** Sets the volume's status, as an operator can. */
export const reset = (volumeName: string, status: string): Step =>
  adminPrepare(action(volumeName), { "os-reset_status": { status } });

/** What is derived from a good step otherwise, for one whose bad bodies would do what it does. */
export function refusals(call: string, body: unknown, absentCall: string): Step[] {
  return [
    { call: absentCall.replace("{absent}", absentId), body, as: "admin", cell: "missing" },
    { call, body, as: "stranger", cell: "foreign" },
    { call, body, as: "member", cell: "foreign" },
    { call, body: { ...(body as object), more: 1 }, as: "admin", cell: "bad body" },
  ];
}

export const absentId = "99999999-9999-4999-8999-999999999999";
