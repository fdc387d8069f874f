// Plays scenes one after the other in a browser, against a cloud with a dashboard. A scene has failed when it says so, when the
// browser saw an answer that is an error or a script that failed, or when the dashboard's log says that a service failed.

import { type Browser, chromium } from "playwright-core";
import type { Cloud } from "../cloud/cloud.ts";
import { type Horizon, prepareHorizon } from "../cloud/horizon.ts";
import { BlockStorage } from "../harness/block-storage.ts";
import { password } from "../keystone/keystone.ts";
import { signIn } from "./dashboard.ts";
import { type EmptyNeighbours, startEmptyNeighbours } from "./empty-neighbours.ts";
import type { Actor, Scene, Stage, TestImage } from "./scene.ts";

export interface Outcome {
  readonly scene: string;
  readonly seconds: number;
  /** What went wrong; empty when nothing did. */
  readonly problems: readonly string[];
}

/** For a page of a cloud on two processors that do other things too. */
const timeoutMs = 30_000;

const browserOptions = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export class Theatre {
  readonly #horizon: Horizon;
  readonly #browser: Browser;
  readonly #neighbours: EmptyNeighbours | undefined;
  readonly #stage: Stage;

  constructor(horizon: Horizon, browser: Browser, neighbours: EmptyNeighbours | undefined, stage: Stage) {
    this.#horizon = horizon;
    this.#browser = browser;
    this.#neighbours = neighbours;
    this.#stage = stage;
  }

  async play(scene: Scene): Promise<Outcome> {
    const startedMs = performance.now();
    const dashboards = [this.#stage.member.dashboard, this.#stage.admin.dashboard];
    for (const dashboard of dashboards) dashboard.begin(scene.name);
    const before = (await this.#horizon.complaints()).length;
    const problems: string[] = [];
    try {
      await scene.play(this.#stage);
      for (const dashboard of dashboards) await dashboard.mustBeWell();
    } catch (error) {
      problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
      for (const [index, dashboard] of dashboards.entries()) {
        await dashboard
          .shoot(`failed-${index === 0 ? "member" : "admin"}`)
          .catch((cause: unknown) => problems.push(String(cause)));
      }
    }
    problems.push(...dashboards.flatMap((dashboard) => dashboard.troubles));
    problems.push(...(await this.#horizon.complaints()).slice(before).map((line) => `Horizon's log: ${line}`));
    return { scene: scene.name, seconds: (performance.now() - startedMs) / 1000, problems };
  }

  async dispose(): Promise<void> {
    await this.#browser.close();
    await this.#horizon.dispose();
    this.#neighbours?.stop();
  }
}

/** `shots`: the directory for screenshots, if any shall be taken. */
export async function openTheatre(cloud: Cloud, shots?: string): Promise<Theatre> {
  const { keystone, andiron } = cloud;
  await keystone.grant("ann", "demo", "member");
  // The name by which the dashboard decides whether there are volumes at all.
  const { host, port } = andiron.endpoints.api;
  await keystone.publish("volumev3", `http://${host}:${port}/v3/$(project_id)s`);
  const image = await makeImage(cloud);
  const neighbours = cloud.servers === undefined ? await startEmptyNeighbours() : undefined;
  await neighbours?.publish(keystone);
  const horizon = await prepareHorizon(keystone);
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", headless: true, args: browserOptions });
  const enter = async (user: string, project: string): Promise<Actor> => {
    const context = await browser.newContext({ viewport: { width: 1360, height: 900 } });
    context.setDefaultTimeout(timeoutMs);
    const dashboard = await signIn(context, horizon.url, { name: user, password }, shots);
    const caller = { project: await keystone.find("project", project), token: await keystone.issue(user, project) };
    return { dashboard, storage: new BlockStorage(andiron, caller) };
  };
  const stage = { member: await enter("ann", "demo"), admin: await enter("admin", "admin"), cloud, image };
  const quotas = { quota_set: { backups: -1, backup_gigabytes: -1, groups: -1 } };
  await stage.admin.storage.call("PUT", `/os-quota-sets/${stage.member.storage.project}`, quotas);
  return new Theatre(horizon, browser, neighbours, stage);
}

async function makeImage(cloud: Cloud): Promise<TestImage> {
  const name = "tiny";
  const bytes = cloud.servers?.guestImage ?? new Uint8Array(1 << 20).fill(7);
  return { name, bytes, id: await cloud.glance.createPublicImage({ name, bytes, format: "raw" }) };
}
