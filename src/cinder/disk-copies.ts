// What cinder/ knows of bytes that go from one vDisk to another while the first is used: a port that bin/ fills. Both are reached
// by exports. The caller keeps the state between two steps, for whichever process takes the next.

import type { JobRun } from "./jobs/job-kind.ts";

export interface MoveState {
  /** "permitted": the router lets a transaction move the disk now (Control.moveVdisk), for some seconds. */
  readonly phase: "copy" | "compare" | "rounds" | "permitted";
  /** What is before it is copied and durable, or compared. */
  readonly offset: number;
  /** Of what the copy is one; empty at the beginning. */
  readonly since: string;
  /** How often what was written meanwhile was copied. */
  readonly round: number;
}

export interface MoveTask {
  readonly vdiskId: string;
  readonly copyId: string;
  readonly sourceExport: string;
  readonly targetExport: string;
  readonly state: MoveState;
}

export interface MoveStep {
  readonly state: MoveState;
  /** How much further it is than the state before. */
  readonly doneBytes: number;
}

export interface DiskCopies {
  /** Does some of it, at least one piece. copy_differs when what was compared is not the same. */
  step(task: MoveTask, run: Pick<JobRun, "signal" | "shouldYield">): Promise<MoveStep>;
  /** Nobody goes on with it. Resolves when the disk is used as ever. */
  end(copyId: string): Promise<void>;
}

export const firstMoveState: MoveState = { phase: "copy", offset: 0, since: "", round: 0 };

/** There are no disks. */
export const noDiskCopies: DiskCopies = {
  step: () => Promise.reject(new Error("there are no disks")),
  end: () => Promise.resolve(),
};
