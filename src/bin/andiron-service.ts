// All of Andiron in one process: API, storage router and NBD server over one registry. A program's body: importing it runs it.

import { rename, rm, writeFile } from "node:fs/promises";
import { flushCompileCache } from "node:module";
import { systemClock } from "../common/clock.ts";
import { systemRandom } from "../common/random.ts";
import { openSqliteRegistry } from "../registry/sqlite/open.ts";
import { makeApiPart } from "./api-part.ts";
import { endpointsPath, makeEnginePart } from "./engine-part.ts";
import { watchEventLoop } from "./loop-metrics.ts";
import type { ProcessSetup } from "./process-setup.ts";
import { setUpProcess } from "./process-setup.ts";
import { describeFailure, exitCodes, runServices } from "./service-run.ts";
import { raiseMainThread } from "./thread-priority.ts";

const program = "andiron";

async function main(setup: ProcessSetup): Promise<number> {
  const { config, log, metrics, version } = setup;
  const registry = await openSqliteRegistry({ path: config.registry.connection, random: systemRandom });
  let serving = false;
  const engine = await makeEnginePart({ config, log, metrics, registry });
  const api = await makeApiPart({
    config,
    log,
    metrics,
    registry,
    backends: engine.backends,
    exports: engine.router.exports,
    snapshots: engine.router,
    moves: engine.router.moves,
    cuts: engine.router,
    version,
    unfitReason: () => (serving ? undefined : "starting"),
  });
  const announce = async (): Promise<void> => {
    const [tcp, unix] = engine.nbd.addresses();
    const nbd = {
      ...(tcp !== undefined && "port" in tcp ? tcp : {}),
      ...(unix !== undefined && "path" in unix ? { unix: unix.path } : {}),
    };
    const scheme = config.DEFAULT.osapi_volume_use_ssl ? "https" : "http";
    const endpoints = { api: { scheme, host: config.DEFAULT.osapi_volume_listen, port: api.server.port }, nbd };
    const path = endpointsPath(config);
    await writeFile(`${path}.new`, `${JSON.stringify(endpoints)}\n`);
    await rename(`${path}.new`, path);
    log.info(
      `serving the Block Storage API on ${scheme}://${endpoints.api.host}:${endpoints.api.port}/v3, ` +
        `NBD on ${config.nbd.listen}:${"port" in nbd ? nbd.port : 0}`,
    );
  };
  const code = await runServices({
    services: [...engine.services, ...api.services],
    log,
    clock: systemClock,
    drainTimeoutMs: config.DEFAULT.graceful_shutdown_timeout * 1000,
    signals: process,
    onServing: () => {
      serving = true;
      watchEventLoop(metrics);
      raiseMainThread(config.engine.main_thread_nice, log);
      flushCompileCache(); // a kill leaves no time for it
      announce().catch((error: unknown) => log.error("cannot write endpoints.json", { error }));
    },
  });
  await rm(endpointsPath(config), { force: true });
  for (const backend of engine.backends.values()) await backend.close();
  await registry.close();
  return code;
}

try {
  const setup = setUpProcess({ program, argv: process.argv.slice(2), lockState: true });
  try {
    process.exitCode = await main(setup);
  } catch (error) {
    setup.log.error("cannot start", { error });
    process.stderr.write(`${describeFailure(program, error)}\n`);
    process.exitCode = exitCodes.failed;
  }
  await setup.log.flush();
  setup.lock?.release();
} catch (error) {
  process.stderr.write(`${describeFailure(program, error)}\n`);
  process.exitCode = exitCodes.failed;
}
process.exit();
