// A call of an object store over HTTP: attempts until one is answered for good, within one deadline.
//
//   authorize ──► send ──┬── an answer that the caller expects, or one that no repeating changes ──► the caller's
//       ▲                ├── 401: the token is forgotten, once ──────────────────────► authorize
//       │                └── no answer, too slow, 429, 5xx ... ──► wait ──┐
//       └─────────────────────────────────────────────────────────────────┘   at most `attemptsMax` times
//
// Only for requests that may be repeated, as all of an object store are. The wait is random, up to 0.1 s and doubled each time
// up to 10 s, and at least what Retry-After asks for; when that leaves no time, the call ends at once with what was answered.

import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import type { HttpAnswer, HttpAttempt, HttpClient } from "./http-attempt.ts";
import { refusalOf } from "./http-refusal.ts";

/** What is asked for, before it is known where and as whom. */
export interface HttpAsked {
  /** For messages: "put of NAME". */
  readonly what: string;
  readonly method: HttpAttempt["method"];
  /** Below the container: "/NAME", or empty for the container itself. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer | undefined;
  /** Of the body; hexadecimal. */
  readonly sha256?: string | undefined;
  /** How many bytes will come back, at most. */
  readonly answerBytes: number;
  /** Statuses that are no failures. */
  readonly expected: readonly number[];
}

export interface AuthorizedRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Says that it was refused: the next authorize() is with another token. Absent where nothing else would come. */
  readonly forget?: () => void;
}

/** Where a store is, and as whom we ask. */
export interface Authorizer {
  authorize(asked: HttpAsked): Promise<AuthorizedRequest>;
  /** The service's own word for an error, fit to be logged. */
  errorCodeOf(answer: HttpAnswer): string | undefined;
}

export interface HttpTiming {
  readonly clock: Clock;
  readonly random: Random;
  /** Time of an attempt that moves no bytes; default 30,000. */
  readonly attemptMs?: number | undefined;
  /** On top, for each MiB; default 1,000. */
  readonly perMebibyteMs?: number | undefined;
  /** Of a call with all its attempts; default 300,000. */
  readonly callMs?: number | undefined;
  /** The first included; default 6. */
  readonly attemptsMax?: number | undefined;
}

type Limits = { readonly [name in keyof HttpTiming]-?: NonNullable<HttpTiming[name]> };

const firstWaitMs = 100;
const waitMsMax = 10_000;
const mebibyte = 1024 * 1024;
const passingStatuses = new Set([408, 409, 422, 425, 429, 498, 500, 502, 503, 504]);
/** With status 400: S3's words for a body that did not come as it was sent. */
const passingCodes = new Set(["RequestTimeout", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"]);

type Outcome = { readonly answer: HttpAnswer; readonly code: string | undefined } | { readonly error: AndironError };

export class HttpExchange {
  readonly #client: HttpClient;
  readonly #authorizer: Authorizer;
  readonly #timing: Limits;

  constructor(client: HttpClient, authorizer: Authorizer, timing: HttpTiming) {
    this.#client = client;
    this.#authorizer = authorizer;
    const { clock, random, attemptMs = 30_000, perMebibyteMs = 1000, callMs = 300_000, attemptsMax = 6 } = timing;
    this.#timing = { clock, random, attemptMs, perMebibyteMs, callMs, attemptsMax };
  }

  /** An answer with a status that was expected. Throws what any other one, or none, means. */
  async send(asked: HttpAsked): Promise<HttpAnswer> {
    const { clock, callMs, attemptsMax } = this.#timing;
    const deadlineMs = clock.monotonicMs() + callMs;
    const token = { renewed: false };
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(asked, deadlineMs, token);
      if ("answer" in outcome && asked.expected.includes(outcome.answer.status)) return outcome.answer;
      const error = "error" in outcome ? outcome.error : this.#refuse(asked, outcome.answer, outcome.code);
      const waitMs = this.#waitMs(attempt, outcome);
      if (!mayPass(outcome) || attempt >= attemptsMax || clock.monotonicMs() + waitMs >= deadlineMs) throw error;
      await clock.sleep(waitMs);
    }
  }

  /** Sends it, and once again with another token when the first was refused. */
  async #attempt(asked: HttpAsked, deadlineMs: number, token: { renewed: boolean }): Promise<Outcome> {
    const { clock, attemptMs, perMebibyteMs } = this.#timing;
    const movedBytes = (asked.body?.length ?? 0) + asked.answerBytes;
    for (;;) {
      const authorized = await this.#authorizer.authorize(asked).catch((error: unknown) => ({ error: asKnown(error) }));
      if ("error" in authorized) return authorized;
      const { method, body } = asked;
      const { url, headers, forget } = authorized;
      const limitMs = Math.min(attemptMs + (perMebibyteMs * movedBytes) / mebibyte, deadlineMs - clock.monotonicMs());
      const sent = { method, url, headers, body, limitMs: Math.max(1, limitMs) };
      const outcome = await this.#client.send(sent).then(
        (answer) => ({ answer, code: this.#authorizer.errorCodeOf(answer) }),
        (error: unknown) => ({ error: asKnown(error) }),
      );
      if ("error" in outcome) {
        // A server that refuses a token may close the connection under a long body, and its 401 is lost.
        if (body !== undefined) forget?.();
        return outcome;
      }
      if (outcome.answer.status !== 401 || token.renewed || forget === undefined) return outcome;
      token.renewed = true;
      forget();
    }
  }

  #refuse({ what }: HttpAsked, answer: HttpAnswer, code: string | undefined): AndironError {
    return refusalOf(this.#client.service, what, answer.status, code);
  }

  #waitMs(attempt: number, outcome: Outcome): number {
    const { clock, random } = this.#timing;
    const jitterMs = random.below(Math.min(firstWaitMs * 2 ** (attempt - 1), waitMsMax) + 1);
    if ("error" in outcome) return jitterMs;
    return Math.max(jitterMs, retryAfterMs(outcome.answer.headers["retry-after"], clock.wallMs()));
  }
}

function mayPass(outcome: Outcome): boolean {
  if ("error" in outcome) return outcome.error.code === "backend_unavailable" || outcome.error.code === "backend_timeout";
  const { answer, code } = outcome;
  return passingStatuses.has(answer.status) || (answer.status === 400 && code !== undefined && passingCodes.has(code));
}

/** Seconds, or a date (RFC 9110, 10.2.3); 0 for neither. */
export function retryAfterMs(value: string | undefined, nowMs: number): number {
  if (value === undefined) return 0;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const dateMs = /^[A-Z][a-z]{2}, /.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(dateMs) ? 0 : Math.max(0, dateMs - nowMs);
}

function asKnown(error: unknown): AndironError {
  return error instanceof AndironError ? error : new AndironError("internal", "a request could not be made", { cause: error });
}
