// The log of a process: pino below, oslo.log's line or JSON outside (oslo-line.ts), secrets removed (redaction.ts).
//
// - The rest of Andiron takes a Logger as a parameter and knows nothing of files, formats or pino.
// - An error is logged once, at the edge, as the field `error`; its trace and its causes follow the line.
// - Writes are asynchronous and bounded: with 4 MiB unwritten (a stuck disk or terminal) lines are dropped, and the number
//   dropped is logged when the destination takes lines again. Logging never stops the data path.
// - reopen() is for log rotation. A process that ends by itself awaits flush(); one that crashes calls flushNow().

import { hostname } from "node:os";
import { inspect } from "node:util";
import pino from "pino";
import type { Clock } from "./clock.ts";
import { type Level, type LogRecord, type RequestContext, formatJson, formatLine } from "./oslo-line.ts";
import { redactText, redactValue } from "./redaction.ts";

export type LogFields = Readonly<Record<string, unknown>> & { readonly error?: unknown };

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger of a part: "andiron" and "nbd.server" make "andiron.nbd.server". Cheap; keeps the request. */
  part(name: string): Logger;
  /** A logger for one request. Cheap; made for every request. */
  forRequest(context: RequestContext): Logger;
}

export interface Log extends Logger {
  /** Level DEBUG on or off, for every logger made from this one. */
  setDebug(debug: boolean): void;
  level(): Level;
  /** Lines below it are left out, for every logger made from this one. */
  setLevel(level: Level): void;
  /** Opens the file anew (it was moved away). Nothing for standard error. */
  reopen(): void;
  /** Resolves when every line so far is written, or after a second: a stuck destination does not keep a process alive. */
  flush(): Promise<void>;
  /** Writes what is buffered before it returns; it may overtake the lines that are just being written. */
  flushNow(): void;
}

export interface LogOptions {
  /** First part of the loggers' names: the program. */
  readonly program: string;
  /** File to append to; standard error when absent. */
  readonly file?: string | undefined;
  readonly json: boolean;
  readonly debug: boolean;
  readonly clock: Clock;
  /** Called for each line that is logged, with its level; for metrics. */
  readonly countLine?: (level: Level) => void;
}

const unwrittenBytesMax = 4 * 1024 * 1024;
const messageCharactersMax = 16 * 1024;
const traceCharactersMax = 64 * 1024;
const causesMax = 8;
const flushWaitMsMax = 1000;

const pinoLevels = { DEBUG: "debug", INFO: "info", WARNING: "warn", ERROR: "error" } as const satisfies Record<Level, string>;
const levelOfPino: Readonly<Record<number, Level>> = { 20: "DEBUG", 30: "INFO", 40: "WARNING", 50: "ERROR" };

/** Opens the log of this process. Throws when its file cannot be opened. */
export function openLog({ program, file, json, debug, clock, countLine }: LogOptions): Log {
  const destination = pino.destination({ dest: file ?? 2, mkdir: true, sync: false, maxLength: unwrittenBytesMax });
  const startedMs = clock.wallMs();
  let dropped = 0;
  let written = true;
  const waiting: (() => void)[] = [];
  const write = (text: string): void => {
    const record = readRecord(text);
    countLine?.(record.level);
    written = false;
    destination.write(json ? formatJson(record, startedMs) : formatLine(record));
  };
  const root = pino(
    {
      level: debug ? "debug" : "info",
      base: { pid: process.pid, hostname: hostname() },
      timestamp: () => `,"time":${clock.wallMs()}`,
    },
    { write },
  );
  const log = new PinoLogger(root, program, undefined);
  destination.on("drop", () => dropped++);
  destination.on("drain", () => {
    written = true;
    for (const resolve of waiting.splice(0)) resolve();
    if (dropped === 0) return;
    const lines = dropped;
    dropped = 0;
    log.warning("log lines were dropped because the log's destination was stuck", { lines });
  });
  destination.on("error", () => dropped++); // a full disk: there is nowhere left to say it; the next drain does

  return Object.assign(log, {
    setDebug: (value: boolean) => void (root.level = value ? "debug" : "info"),
    level: () => levelOfPino[root.levelVal] ?? "INFO",
    setLevel: (level: Level) => void (root.level = pinoLevels[level]),
    reopen: () => void (file !== undefined && destination.reopen()),
    flush: async () => {
      if (written) return;
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        clock.after(flushWaitMsMax, resolve);
      });
    },
    flushNow: () => destination.flushSync(),
  });
}

/** Log rotation and change of `debug` at run time: on SIGHUP opens the file anew and asks `readDebug` again. */
export function followHangups(log: Log, readDebug: () => boolean): void {
  process.on("SIGHUP", () => {
    log.reopen();
    try {
      log.setDebug(readDebug());
    } catch (error) {
      log.error("SIGHUP: the configuration cannot be read, so debug stays as it was", { error });
    }
  });
}

/** A logger that says nothing: for tests and for parts that are used without a service around them. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warning: () => undefined,
  error: () => undefined,
  part: () => silentLogger,
  forRequest: () => silentLogger,
};

class PinoLogger implements Logger {
  readonly #root: pino.Logger;
  readonly #name: string;
  readonly #context: RequestContext | undefined;

  constructor(root: pino.Logger, name: string, context: RequestContext | undefined) {
    this.#root = root;
    this.#name = name;
    this.#context = context;
  }

  debug(message: string, fields?: LogFields): void {
    this.#log("DEBUG", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#log("INFO", message, fields);
  }

  warning(message: string, fields?: LogFields): void {
    this.#log("WARNING", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#log("ERROR", message, fields);
  }

  part(name: string): Logger {
    return new PinoLogger(this.#root, `${this.#name}.${name}`, this.#context);
  }

  forRequest(context: RequestContext): Logger {
    return new PinoLogger(this.#root, this.#name, context);
  }

  #log(level: Level, message: string, fields: LogFields = {}): void {
    const pinoLevel = pinoLevels[level];
    if (!this.#root.isLevelEnabled(pinoLevel)) return;
    const { error, ...extra } = fields;
    this.#root[pinoLevel]({
      logger: this.#name,
      message: redactText(message.slice(0, messageCharactersMax)),
      context: this.#context,
      extra: redactValue(extra),
      error: error === undefined ? undefined : describeError(error),
    });
  }
}

/** What pino wrote, as the record that the formats take. The fields are those of PinoLogger's one call. */
function readRecord(text: string): LogRecord {
  const {
    time,
    pid,
    hostname: host,
    level,
    logger,
    message,
    context,
    extra,
    error,
  } = JSON.parse(text) as Omit<LogRecord, "wallMs" | "level"> & { time: number; level: number };
  return { wallMs: time, pid, hostname: host, level: levelOfPino[level] ?? "ERROR", logger, message, context, extra, error };
}

function describeError(error: unknown): { summary: string; trace: string } {
  const traces: string[] = [];
  let cause: unknown = error;
  for (let depth = 0; cause !== undefined && depth < causesMax; depth++) {
    const trace = cause instanceof Error ? (cause.stack ?? String(cause)) : inspect(redactValue(cause));
    traces.push(depth === 0 ? trace : `caused by: ${trace}`);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : "";
  const hint = error instanceof Error && "hint" in error && typeof error.hint === "string" ? `; ${error.hint}` : "";
  const summary = `${error instanceof Error ? String(error) : inspect(redactValue(error))}${code}${hint}`;
  return {
    summary: redactText(summary.slice(0, messageCharactersMax)),
    trace: redactText(traces.join("\n").slice(0, traceCharactersMax)),
  };
}

/** Path of the log's file as [DEFAULT] log_file and log_dir say it; undefined for standard error. */
export function logFilePath(program: string, settings: { log_file: string; log_dir: string }): string | undefined {
  const { log_file: file, log_dir: directory } = settings;
  if (file === "") return directory === "" ? undefined : `${directory}/${program}.log`;
  return file.startsWith("/") || directory === "" ? file : `${directory}/${file}`;
}
