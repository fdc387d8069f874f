// What api/ itself refuses before or instead of asking cinder/: wrong version, unknown route, a body that cannot be read.
// faults.ts turns it, like every other error, into an answer.

export interface FaultDetails {
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

export class HttpFault extends Error {
  override readonly name = "HttpFault";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, { headers = {}, cause }: FaultDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
    this.headers = headers;
  }
}

/** No such path or method: Cinder's router answers in another shape than its controllers do, and never with 405. */
export class RouteNotFound extends Error {
  override readonly name = "RouteNotFound";
}

/** What the Keystone middleware answers, in its own shape. `headers` carry WWW-Authenticate. */
export class Unauthorized extends Error {
  override readonly name = "Unauthorized";
  readonly headers: Readonly<Record<string, string>>;

  constructor(headers: Readonly<Record<string, string>> = {}) {
    super("The request you have made requires authentication.");
    this.headers = headers;
  }
}

export const badRequest = (message: string): HttpFault => new HttpFault(400, message);
export const invalidInput = (reason: string): HttpFault => badRequest(`Invalid input received: ${reason}`);
/** Also what an operation below its microversion answers. */
export const nothingThere = (): HttpFault => new HttpFault(404, "The resource could not be found.");
