// The export by which a job reads or writes a vDisk: one for each claim, under the job's id, its name in memory only. A claim
// revokes the export of the one before, waits until it is gone, and makes its own. So of two processes that believe to have the
// job one at most gets at the bytes.

import type { Tx } from "../../registry/atomic.ts";
import type { CinderPorts } from "../ports.ts";
import { commitClaimed } from "./job-claims.ts";
import type { Job } from "./job.ts";

interface OpenExport {
  readonly generation: number;
  readonly exportName: string;
}

export interface ExportWish {
  readonly vdiskId: string;
  readonly readOnly: boolean;
}

export class JobExports {
  readonly #ports: CinderPorts;
  readonly #open = new Map<string, OpenExport>();

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  /** The name of this claim's export, made when it is not there. `choose` acts through `tx` alone; undefined: there is none. */
  async open(job: Job, choose: (tx: Tx, job: Job) => Promise<ExportWish | undefined>): Promise<string | undefined> {
    const open = this.#open.get(job.id);
    if (open?.generation === job.generation) return open.exportName;
    await this.#revoke(job);
    let exportName: string | undefined;
    await commitClaimed(this.#ports, job, async (tx, present) => {
      exportName = undefined;
      const wish = await choose(tx, present);
      if (wish === undefined) return present;
      exportName = (await this.#ports.control.createExport(tx, { id: job.id, ...wish })).exportName;
      return present;
    });
    if (exportName !== undefined) this.#open.set(job.id, { generation: job.generation, exportName });
    return exportName;
  }

  /** Resolves when it is gone, with what was connected to it. */
  async close(job: Job): Promise<void> {
    this.#open.delete(job.id);
    await this.#revoke(job);
  }

  async #revoke(job: Job): Promise<void> {
    await commitClaimed(this.#ports, job, async (tx, present) => {
      await this.#ports.control.revokeExport(tx, job.id);
      return present;
    });
    await this.#ports.control.exportGone(job.id);
  }
}
