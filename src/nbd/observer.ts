// What the NBD server tells the outside: log lines and counts. Structural, so that common/ and tests can give theirs.

export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warning(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

export interface NbdMetrics {
  connected(): void;
  /** `reason` is one of a few constant words. */
  disconnected(reason: string): void;
  /** A connection that was refused before or in its handshake. */
  refused(reason: string): void;
  /** One answered request; `error` is 0 or an NBD errno, `lengthBytes` what the request named. */
  replied(command: number, lengthBytes: number, error: number): void;
}

const nothing = (): void => {};

export const silentLogger: Logger = { debug: nothing, info: nothing, warning: nothing, error: nothing };
export const noMetrics: NbdMetrics = { connected: nothing, disconnected: nothing, refused: nothing, replied: nothing };
