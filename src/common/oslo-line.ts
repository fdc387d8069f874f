// Turns one log record into the text that OpenStack's tools expect of a service. Pure.
//
// - The line: "date time.msecs pid LEVEL logger [global_request_id request_id user project domain system_scope user_domain
//   project_domain] message", the default formats of oslo.log, which log collectors parse by position. A field that is
//   missing shows as "-", a missing global request id as "None"; without a request the brackets hold "-".
// - An error adds ": Name: message" to the line, and below it one line for each line of the trace, each with the prefix
//   of its own at level ERROR.
// - JSON: the field names of oslo.log's JSONFormatter; what this runtime has no equal of is null.
// - One record is one line (and its trace): line breaks and control characters of a message are escaped.

import { basename } from "node:path";

/** Who asked for what is being logged about; the names are oslo.context's. */
export interface RequestContext {
  readonly requestId: string;
  readonly globalRequestId?: string | undefined;
  readonly userId?: string | undefined;
  readonly projectId?: string | undefined;
  readonly domainId?: string | undefined;
  readonly systemScope?: string | undefined;
  readonly userDomainId?: string | undefined;
  readonly projectDomainId?: string | undefined;
}

export const levelNumbers = { DEBUG: 10, INFO: 20, WARNING: 30, ERROR: 40 } as const;
export type Level = keyof typeof levelNumbers;

export interface LogRecord {
  readonly wallMs: number;
  readonly pid: number;
  readonly hostname: string;
  readonly level: Level;
  readonly logger: string;
  readonly message: string;
  readonly context: RequestContext | undefined;
  /** What the caller added; JSON values. */
  readonly extra: Readonly<Record<string, unknown>>;
  readonly error: { readonly summary: string; readonly trace: string } | undefined;
}

/** The record as oslo.log's default line, trace lines included, each ended by a newline. */
export function formatLine(record: LogRecord): string {
  const { level, logger, pid, error } = record;
  const time = localTime(record.wallMs, ".");
  const extra = Object.entries(record.extra).map(([name, value]) => ` ${name}=${showValue(value)}`);
  const summary = error === undefined || levelNumbers[level] < levelNumbers.WARNING ? "" : `: ${escapeControls(error.summary)}`;
  const message = `${escapeControls(record.message)}${extra.join("")}${summary}`;
  let text = `${time} ${pid} ${level} ${logger} [${identify(record.context)}] ${message}\n`;
  for (const line of error?.trace.split("\n") ?? []) text += `${time} ${pid} ERROR ${logger} ${escapeControls(line)}\n`;
  return text;
}

/** The record as one line of JSON with the fields of oslo.log's JSONFormatter. */
export function formatJson(record: LogRecord, startedMs: number): string {
  const { context, error } = record;
  const fields = {
    message: record.message,
    asctime: localTime(record.wallMs, ","),
    name: record.logger,
    msg: record.message,
    args: [],
    levelname: record.level,
    levelno: levelNumbers[record.level],
    pathname: process.argv[1] ?? null,
    filename: basename(process.argv[1] ?? ""),
    module: record.logger,
    lineno: null,
    funcname: null,
    created: record.wallMs / 1000,
    msecs: record.wallMs % 1000,
    relative_created: record.wallMs - startedMs,
    thread: null,
    thread_name: null,
    process_name: process.title,
    process: record.pid,
    traceback: error?.trace ?? null,
    hostname: record.hostname,
    error_summary: error === undefined || levelNumbers[record.level] < levelNumbers.WARNING ? "" : error.summary,
    context: context === undefined ? {} : describeContext(context),
    extra: record.extra,
  };
  return `${JSON.stringify(fields)}\n`;
}

function identify(context: RequestContext | undefined): string {
  if (context === undefined) return "-";
  const { userId, projectId, domainId, systemScope, userDomainId, projectDomainId } = context;
  const identity = [userId, projectId, domainId, systemScope, userDomainId, projectDomainId].map((id) => singleWord(id) || "-");
  return `${singleWord(context.globalRequestId) || "None"} ${singleWord(context.requestId)} ${identity.join(" ")}`;
}

function describeContext(context: RequestContext): Record<string, string | null> {
  return {
    global_request_id: context.globalRequestId ?? null,
    request_id: context.requestId,
    user: context.userId ?? null,
    project: context.projectId ?? null,
    domain: context.domainId ?? null,
    system_scope: context.systemScope ?? null,
    user_domain: context.userDomainId ?? null,
    project_domain: context.projectDomainId ?? null,
  };
}

/** Ids may come from the request: a space or bracket in one must not shift the fields that collectors parse. */
function singleWord(id: string | undefined): string {
  return (id ?? "").replaceAll(/[^\x21-\x5a\x5e-\x7e]/g, "_");
}

function localTime(wallMs: number, separator: string): string {
  const date = new Date(wallMs);
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time}${separator}${String(date.getMilliseconds()).padStart(3, "0")}`;
}

function showValue(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "undefined");
  return /^[^\s"\x00-\x1f]+$/.test(text) ? text : JSON.stringify(text);
}

function escapeControls(text: string): string {
  return text.replaceAll(/[\x00-\x08\x0a-\x1f\x7f\u2028\u2029]/g, (character) => {
    const named = character === "\n" ? "n" : character === "\r" ? "r" : undefined;
    return `\\${named ?? `u${character.charCodeAt(0).toString(16).padStart(4, "0")}`}`;
  });
}
