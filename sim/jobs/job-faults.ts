// What goes wrong in the step of a job, as chance has it: it is refused, fails, hangs, or kills its process.

import { AndironError } from "../../src/common/errors.ts";
import { invalid } from "../../src/cinder/faults.ts";
import type { Life } from "../life.ts";
import type { Outside } from "./outside.ts";

export class JobFaults {
  readonly #life: Life;
  readonly #outside: Outside;

  constructor(life: Life, outside: Outside) {
    this.#life = life;
    this.#outside = outside;
  }

  async strike(): Promise<void> {
    if (!this.isHit()) return;
    switch (this.below(5)) {
      case 0:
        throw invalid("simulated refusal");
      case 1:
        return this.#life.kill();
      case 2:
        return this.#life.sleep(120_000); // deaf to its signal
      default:
        throw new AndironError("backend_unavailable", "simulated");
    }
  }

  isHit(): boolean {
    return this.below(1000) < this.#outside.faults;
  }

  below(bound: number): number {
    return this.#life.random.below(bound);
  }
}
