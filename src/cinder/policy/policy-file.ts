// Keeps a RulePolicy at what the policy file says, also after the file has changed.
//
//   start ──► read: good ──► in force ──── changed, and good ────► in force
//               └─ bad: does not start        └── changed, and bad: told once, and the old rules stay in force
//
// No file is no override: the defaults hold. The file is looked at once a second; reading it costs nothing while it is the same.

import { readFileSync, statSync } from "node:fs";
import type { Clock, Timer } from "../../common/clock.ts";
import { AndironError } from "../../common/errors.ts";
import type { Service } from "../../common/service.ts";
import { type CheckSource, PolicyProblem } from "./check-parser.ts";
import { parsePolicyFile } from "./policy-yaml.ts";
import type { RulePolicy } from "./rule-policy.ts";
import { makeRules } from "./rule-set.ts";

export interface PolicyFileOptions {
  readonly path: string;
  /** [oslo_policy] enforce_new_defaults = false. */
  readonly withLegacy: boolean;
  readonly policy: RulePolicy;
  readonly clock: Clock;
  /** Told when other rules are in force. */
  readonly onChanged: () => void;
  /** Told when a change is refused. */
  readonly onTrouble: (error: unknown) => void;
}

const lookMs = 1000;

export class PolicyFile implements Service {
  readonly id = "policy-file";
  readonly #options: PolicyFileOptions;
  #seen = "";
  #timer: Timer | undefined;

  constructor(options: PolicyFileOptions) {
    this.#options = options;
  }

  /** Rejects with config_invalid, naming file and rule. */
  start(): Promise<void> {
    try {
      this.#seen = this.#stamp();
      this.#load();
      this.#wait();
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    return Promise.resolve();
  }

  /** Takes over what the file says now, if it is another than before. */
  refresh(): void {
    const stamp = this.#stamp();
    if (stamp === this.#seen) return;
    this.#seen = stamp;
    try {
      this.#load();
      this.#options.onChanged();
    } catch (error) {
      this.#options.onTrouble(error);
    }
  }

  #wait(): void {
    this.#timer = this.#options.clock.after(lookMs, () => {
      this.refresh();
      this.#wait();
    });
  }

  #load(): void {
    const { path, withLegacy, policy } = this.#options;
    try {
      policy.setRules(makeRules({ overrides: readOverrides(path), withLegacy }));
    } catch (cause) {
      if (!(cause instanceof PolicyProblem)) throw cause;
      throw new AndironError("config_invalid", `${path}: ${cause.message}`, { cause });
    }
  }

  /** Another text for another file, or another content. */
  #stamp(): string {
    const found = statSync(this.#options.path, { bigint: true, throwIfNoEntry: false });
    return found === undefined ? "" : `${found.ino} ${found.size} ${found.mtimeNs}`;
  }
}

function readOverrides(path: string): Map<string, CheckSource> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return new Map();
    throw new AndironError("config_invalid", `cannot read the policy file ${path}: ${(cause as Error).message}`, { cause });
  }
  return parsePolicyFile(text);
}
