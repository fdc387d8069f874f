// The campaign over long work: some kinds of it are begun at once, the service is killed with SIGKILL at a random instant while
// they are under way, at times again in its start or right after it, and started. Within a minute an outside judge must have
// nothing to say (outside/findings.ts): nothing is stuck, no figure has drifted, nothing is left over. Then each piece has ended
// well, byte by byte, or was not begun. In the end all is deleted, and nothing is there any more. All choices come from one seed
// (the timing of the processes does not).
//
//   prepare ──► begin some ──► wait ──► kill -9 ──► start ──► judged until nothing is wrong, a minute at most ──► ends ─┐
//      ▲                        ▲        ▲  └─ at times killed in the middle of its start                               │
//      │                        └────────┴─ at times again                                                              │
//      └────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Random, seededRandom } from "../../../src/common/random.ts";
import { BlockStorage } from "../../harness/block-storage.ts";
import { GlanceDouble } from "../../harness/glance-double.ts";
import { type AndironProcess, prepareAndiron } from "../../harness/service.ts";
import { look } from "../outside/look.ts";
import { awaitRest } from "../outside/rest.ts";
import { sendSlowly } from "./image-copy.ts";
import { DoubleStore } from "./image-store.ts";
import { makeKinds } from "./kinds.ts";
import { cachingPool, makePoolTypes, poolConfig } from "./pools.ts";
import type { Ending, LongWork, Rig } from "./work.ts";

export interface CampaignOptions {
  readonly seed: number;
  /** How many kills each kind is to be under way in. */
  readonly kills: number;
  /** Names of kinds; none: all. */
  readonly kinds: readonly string[];
  /** How many pieces are under way at once, at most; Infinity: always all that are wanting. */
  readonly atATimeMax: number;
  readonly snapshots: number;
  /** No kill comes later than this, or than four times this when none has hit any work. */
  readonly budgetMs: number;
  readonly report: (line: string) => void;
}

export interface Tally {
  /** Kills in which it was under way. */
  kills: number;
  readonly endings: Record<Ending, number>;
}

export interface CampaignResult {
  kills: number;
  killsInStart: number;
  /** The longest from a start until nothing was wrong. */
  settledMsMax: number;
  readonly kinds: ReadonlyMap<string, Tally>;
}

const settleMsMax = 60_000;
const startMsMax = 180_000;
const beginMsMax = 3000;
/** Resolves when all kills were survived; rejects with what was found wrong, and leaves the state there if KEEP_STATE is set. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const folder = await mkdtemp(join(tmpdir(), "andiron-campaign-"));
  const glance = new GlanceDouble(folder);
  await glance.start();
  glance.onDownload = sendSlowly;
  glance.createPauseMs = 300;
  const service = await prepareAndiron({ ...poolConfig, DEFAULT: { ...poolConfig["DEFAULT"], glance_api_servers: glance.url } });
  try {
    await service.start(startMsMax);
    const api = new BlockStorage(service);
    await makePoolTypes(api);
    const random = seededRandom(options.seed);
    const images = new DoubleStore(glance);
    return await new Campaign(options, { service, api, images, random, folder, snapshots: options.snapshots }).run();
  } catch (error) {
    options.report(`seed ${options.seed}; state ${service.folder}\n${await service.logTail()}`);
    throw error;
  } finally {
    await service.dispose();
    glance.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

class Campaign {
  readonly #options: CampaignOptions;
  readonly #rig: Rig;
  readonly #service: AndironProcess;
  readonly #random: Random;
  readonly #kinds: readonly LongWork[];
  readonly #result: CampaignResult;
  readonly #endMs: number;

  constructor(options: CampaignOptions, rig: Rig) {
    this.#options = options;
    this.#rig = rig;
    this.#service = rig.service;
    this.#random = rig.random;
    this.#kinds = makeKinds(rig, options.kinds);
    const kinds = this.#kinds.map(({ name }): [string, Tally] => {
      return [name, { kills: 0, endings: { done: 0, error: 0, "not begun": 0 } }];
    });
    this.#result = { kills: 0, killsInStart: 0, settledMsMax: 0, kinds: new Map(kinds) };
    this.#endMs = performance.now() + options.budgetMs;
  }

  async run(): Promise<CampaignResult> {
    for (let round = this.#choose(); round.length > 0; round = this.#choose()) {
      await Promise.all(round.map((work) => work.prepare()));
      await this.#killIn(round);
      await this.#settle();
      for (const work of round) await this.#end(work);
      this.#options.report(`${this.#result.kills} kills; ${round.map(({ name }) => this.#told(name)).join("; ")}`);
    }
    await this.#empty();
    return this.#result;
  }

  /** Some of those that were under way in the fewest kills; none when it is enough. */
  #choose(): LongWork[] {
    if (this.#isOver()) return [];
    const wanting = this.#kinds
      .filter(({ name }) => this.#tallyOf(name).kills < this.#options.kills)
      .map((work) => ({ work, rank: this.#tallyOf(work.name).kills + this.#random.below(100) / 100 }))
      .sort((a, b) => a.rank - b.rank);
    const { atATimeMax } = this.#options;
    const atATime = atATimeMax === Infinity ? wanting.length : 1 + this.#random.below(atATimeMax);
    return wanting.slice(0, atATime).map(({ work }) => work);
  }

  /** A machine on which all work ends before a kill comes gets more time. */
  #isOver(): boolean {
    const { budgetMs } = this.#options;
    const hasHit = [...this.#result.kinds.values()].some((tally) => tally.kills > 0);
    return performance.now() > this.#endMs + (hasHit ? 0 : 3 * budgetMs);
  }

  async #killIn(round: readonly LongWork[]): Promise<void> {
    // What was asked for when the service dies has no answer.
    const asked = round.map((work) => work.begin().catch((error: unknown) => error));
    const target = round[this.#random.below(round.length)]!;
    do {
      if (this.#random.below(4) > 0) await this.#awaitBegin(target);
      await sleep(this.#random.below(target.tookMs));
      const isUnderWay = await Promise.all(round.map((work) => work.isUnderWay()));
      await this.#service.kill();
      for (const [at, { name }] of round.entries()) if (isUnderWay[at] === true) this.#tallyOf(name).kills++;
      this.#result.kills++;
      while (this.#random.below(100) < 15) {
        await this.#service.launch();
        await sleep(this.#random.below(1500));
        await this.#service.kill();
        this.#result.killsInStart++;
      }
      await this.#service.start(startMsMax);
    } while (this.#random.below(100) < 30);
    await Promise.all(asked);
  }

  /** It may have ended already, or never begin. */
  async #awaitBegin(work: LongWork): Promise<void> {
    const deadlineMs = performance.now() + beginMsMax;
    while (performance.now() < deadlineMs && !(await work.isUnderWay())) await sleep(5);
  }

  async #settle(): Promise<void> {
    const tookMs = await awaitRest(this.#rig, settleMsMax);
    this.#result.settledMsMax = Math.max(this.#result.settledMsMax, tookMs);
  }

  async #end(work: LongWork): Promise<void> {
    const ending = await work.end();
    this.#tallyOf(work.name).endings[ending]++;
    // The other services are there all the time.
    if (ending === "error") throw new Error(`${work.name} ended in an error`);
  }

  /** Without a volume nothing is left, but for the images of the caching pool, which the judge knows. */
  async #empty(): Promise<void> {
    const { api } = this.#rig;
    const all = async (what: string): Promise<{ id: string }[]> =>
      (await api.call<Record<string, { id: string }[]>>("GET", `/${what}`))[what]!;
    // One that others build on comes before them in the list.
    for (const { id } of await all("backups")) {
      await api.call("DELETE", `/backups/${id}`);
      await this.#settle();
    }
    for (const { id } of await all("groups"))
      await api.call("POST", `/groups/${id}/action`, { delete: { "delete-volumes": true } });
    await this.#settle();
    for (const { id } of await api.snapshots()) await api.delete("snapshots", id);
    for (const { id } of await api.volumes()) await api.delete("volumes", id);
    await this.#settle();
    const { objects, stored } = await look(this.#rig);
    const left = [...objects.filter((path) => !path.startsWith(`${cachingPool}/`)), ...stored];
    if (left.length > 0) throw new Error(`all volumes are deleted, and there are\n${left.join("\n")}`);
    const code = await this.#service.stop();
    if (code !== 0) throw new Error(`the service ended with code ${code} on SIGTERM`);
  }

  #tallyOf(name: string): Tally {
    return this.#result.kinds.get(name)!;
  }

  #told(name: string): string {
    const { kills, endings } = this.#tallyOf(name);
    return `${name} under way in ${kills}, ${endings.done} done, ${endings["not begun"]} not begun`;
  }
}
