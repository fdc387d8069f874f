// Copies from one export to another, in the process of the router that serves them. A step opens both and closes both: whoever
// revokes one of them waits for no more than the pieces that are under way.

import type { ExportDirectory, ExportSession } from "../engine/device.ts";
import { compareDisks, copyDisk, type CopyRun } from "./disk-copy.ts";

export interface CopyTask {
  readonly phase: "copy" | "compare";
  readonly sourceExport: string;
  readonly targetExport: string;
  readonly offset: number;
}

export class CopiesBetweenExports {
  readonly #directory: ExportDirectory;

  constructor(directory: ExportDirectory) {
    this.#directory = directory;
  }

  async step(task: CopyTask, run: CopyRun): Promise<number> {
    const revoked = new AbortController();
    const sessions: ExportSession[] = [];
    const open = async (exportName: string): Promise<ExportSession["device"]> => {
      const session = await this.#directory.open(exportName);
      sessions.push(session);
      session.onRevoked(() => revoked.abort(new Error("the export was revoked")));
      return session.device;
    };
    try {
      const source = await open(task.sourceExport);
      const target = await open(task.targetExport);
      const ending = { signal: AbortSignal.any([run.signal, revoked.signal]), shouldYield: () => run.shouldYield() };
      return await (task.phase === "copy" ? copyDisk : compareDisks)(source, target, task.offset, ending);
    } finally {
      for (const session of sessions) await session.close();
    }
  }
}
