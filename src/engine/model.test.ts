// The engine against a plain array with snapshots: random programs, each from a printed seed.
// MODEL_PROGRAMS=n runs n programs; MODEL_SEED=s begins at seed s (the same seed makes the same program).

import { test } from "node:test";
import { EngineRig } from "./engine-rig.fixture.ts";
import type { EngineSettings } from "./engine-context.ts";
import { KiB, MiB } from "./limits.ts";
import { ModelProgram } from "./model-program.fixture.ts";

const programs = Number(process.env["MODEL_PROGRAMS"] ?? 1000);
const firstSeed = Number(process.env["MODEL_SEED"] ?? 1);
/** A program that takes longer hangs: then it is told which. */
const hangMs = 60_000;

/** Rigs that run programs side by side, each with limits of its own. */
const rigSettings: readonly Partial<EngineSettings>[] = [
  {},
  { segmentBytes: 64 * KiB, checkpointBytes: 128 * KiB, checkpointEntries: 60, cacheBytes: 64 * KiB, mapCacheBytes: 64 * KiB },
  { segmentBytes: 1 * MiB, checkpointBytes: 64 * MiB, checkpointEntries: 1_000_000, cleanerDeadShare: 0.01 },
  { segmentBytes: 32 * KiB, checkpointBytes: 2 * MiB, checkpointEntries: 100_000, cacheBytes: 256 * KiB, cacheDedupe: true },
  { segmentBytes: 128 * KiB, checkpointBytes: 256 * KiB, journalBytesMax: 1 * MiB, mapCacheBytes: 64 * KiB },
  { segmentBytes: 256 * KiB, checkpointBytes: 256 * KiB, checkpointEntries: 20, cleanerDeadShare: 0.6 },
];

test(`${programs} random programs read what a plain array would`, { timeout: Math.max(600_000, programs * 300) }, async () => {
  const seeds = Array.from({ length: programs }, (_, i) => firstSeed + i);
  await Promise.all(
    rigSettings.map((settings, lane) =>
      runLane(
        settings,
        seeds.filter((seed) => seed % rigSettings.length === lane),
      ),
    ),
  );
});

async function runLane(settings: Partial<EngineSettings>, seeds: readonly number[]): Promise<void> {
  if (seeds.length === 0) return;
  const rig = await EngineRig.open({ settings });
  try {
    for (const seed of seeds) await runOne(rig, seed);
  } finally {
    await rig.close();
  }
}

async function runOne(rig: EngineRig, seed: number): Promise<void> {
  const program = new ModelProgram(rig, seed);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("it hangs")), hangMs);
  try {
    await Promise.race([program.run(), late.promise]);
  } catch (error) {
    throw new Error(`MODEL_SEED=${seed} failed:\n  ${program.trace.slice(-60).join("\n  ")}\n${String(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
