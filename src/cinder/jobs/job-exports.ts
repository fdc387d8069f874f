// The exports by which a job reads or writes vDisks: made for each claim, their names in memory only. A claim revokes the exports
// of the one before, waits until they are gone, and makes its own. So of two processes that believe to have the job one at most
// gets at the bytes.

import type { Tx } from "../../registry/atomic.ts";
import type { CinderPorts } from "../ports.ts";
import { commitClaimed } from "./job-claims.ts";
import type { Job } from "./job.ts";

interface OpenExports {
  readonly generation: number;
  readonly exportNames: readonly string[];
}

export interface ExportWish {
  readonly vdiskId: string;
  readonly readOnly: boolean;
}

export class JobExports {
  readonly #ports: CinderPorts;
  readonly #idsOf: (job: Job) => readonly string[];
  readonly #open = new Map<string, OpenExports>();

  /** `idsOf`: the ids of a job's exports, the same whichever claim it is; the job's own when there is one. */
  constructor(ports: CinderPorts, idsOf: (job: Job) => readonly string[] = (job) => [job.id]) {
    this.#ports = ports;
    this.#idsOf = idsOf;
  }

  /** The names of this claim's exports, made when they are not there: one of each wish. `choose` acts through `tx` alone. */
  async open(
    job: Job,
    choose: (tx: Tx, job: Job) => Promise<readonly ExportWish[] | undefined>,
  ): Promise<readonly string[] | undefined> {
    const open = this.#open.get(job.id);
    if (open?.generation === job.generation) return open.exportNames;
    await this.close(job);
    const ids = this.#idsOf(job);
    let exportNames: string[] | undefined;
    await commitClaimed(this.#ports, job, async (tx, present) => {
      exportNames = undefined;
      const wishes = await choose(tx, present);
      if (wishes === undefined) return present;
      exportNames = [];
      for (const [at, wish] of wishes.entries()) {
        exportNames.push((await this.#ports.control.createExport(tx, { id: ids[at]!, ...wish })).exportName);
      }
      return present;
    });
    if (exportNames !== undefined) this.#open.set(job.id, { generation: job.generation, exportNames });
    return exportNames;
  }

  /** Resolves when they are gone, with what was connected to them. */
  async close(job: Job): Promise<void> {
    this.#open.delete(job.id);
    const ids = this.#idsOf(job);
    await commitClaimed(this.#ports, job, async (tx, present) => {
      for (const id of ids) await this.#ports.control.revokeExport(tx, id);
      return present;
    });
    for (const id of ids) await this.#ports.control.exportGone(id);
  }
}
