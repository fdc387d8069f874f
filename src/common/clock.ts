// Time as a parameter. Nothing in engine/, nbd/, cinder/ or registry/ reads the clock of the machine by itself:
// it is given a Clock, so that tests and the simulator decide what time it is.

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. For people and timestamps only. */
  wallMs(): number;
  /** Milliseconds on a clock that never goes back, common to all processes of one boot. For deadlines. */
  monotonicMs(): number;
  /** Calls `fire` once after `delayMs`. The timer does not keep the process alive. */
  after(delayMs: number, fire: () => void): Timer;
  /** Resolves after `delayMs`. Unlike `after` it keeps the process alive. */
  sleep(delayMs: number): Promise<void>;
}

const bootMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;

/** performance.now() is the same clock, counted from the start of the process: asked for without making a big integer. */
const startMs = Math.min(...[1, 2, 3].map(() => -performance.now() + bootMs()));

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => startMs + performance.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  sleep: (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs)),
};
