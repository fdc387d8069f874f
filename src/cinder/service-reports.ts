// The rows of services that have no router to speak for them: this process says every report interval that it lives. What an
// operator sets (disabled, why) is in the same record and survives.

import type { Timer } from "../common/clock.ts";
import type { Service } from "../common/service.ts";
import { backupBinary } from "./backups/backup-records.ts";
import type { ServiceRecord } from "./model.ts";
import type { CinderPorts } from "./ports.ts";
import { readRecord, serviceKind, writeRecord } from "./records.ts";
import type { ServiceTarget } from "./verbs.ts";

/** Changes what is given, keeps the rest. */
export async function writeServiceState(
  ports: CinderPorts,
  target: ServiceTarget,
  change: Partial<Pick<ServiceRecord, "disabled" | "disabledReason" | "frozen" | "logLevel" | "reportedAtMs">>,
): Promise<void> {
  const id = `${target.binary}/${target.host}`;
  await ports.store.commit("services", async (tx) => {
    const present = await readRecord(tx, serviceKind, id);
    const nowMs = ports.clock.wallMs();
    const fresh = { v: 1, disabled: false, disabledReason: null } as const;
    const record: ServiceRecord = { ...fresh, ...present, ...target, ...change, updatedAtMs: nowMs };
    writeRecord(tx, serviceKind, id, record);
  });
}

export class ServiceReports implements Service {
  readonly id = "cinder-service-reports";
  readonly #ports: CinderPorts;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  /** A new process says what its configuration says: a level that was set before its time is forgotten. */
  async start(): Promise<void> {
    await this.#forgetLogLevel();
    await this.#report();
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = this.#ports.clock.after(this.#ports.settings.reportIntervalMs, () => {
      this.#running = this.#report()
        .catch((error: unknown) => this.#ports.onTrouble("reporting that this machine's services live", error))
        .then(() => this.#schedule());
    });
  }

  #forgetLogLevel(): Promise<void> {
    const id = `cinder-scheduler/${this.#ports.settings.host}`;
    return this.#ports.store.commit("services", async (tx) => {
      const present = await readRecord(tx, serviceKind, id);
      if (present?.logLevel === undefined) return;
      const { logLevel: _, ...rest } = present;
      writeRecord(tx, serviceKind, id, rest);
    });
  }

  /** On the way it takes up the log level that another process was asked to set here. */
  async #report(): Promise<void> {
    const { host } = this.#ports.settings;
    const target = { binary: "cinder-scheduler", host };
    const binaries = this.#ports.backups.isConfigured ? [target.binary, backupBinary] : [target.binary];
    for (const binary of binaries) {
      await writeServiceState(this.#ports, { binary, host }, { reportedAtMs: this.#ports.clock.wallMs() });
    }
    await this.#ports.index.fresh();
    const wanted = this.#ports.index.services.get(`${target.binary}/${target.host}`)?.logLevel;
    if (wanted !== undefined && wanted !== this.#ports.log.level()) this.#ports.log.setLevel(wanted);
  }
}
