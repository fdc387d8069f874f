// Entry of the worker thread: a StoreServer behind a message port. Nothing else may import it.

import { realpathSync, watch } from "node:fs";
import { flushCompileCache } from "node:module";
import { basename, dirname } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../../common/clock.ts";
import { asRegistryError } from "./schema.ts";
import { toWire } from "./protocol.ts";
import type { Opening, Reply, Request } from "./protocol.ts";
import { StoreServer } from "./server.ts";
import type { ServerOptions } from "./server.ts";

/** Tells the server when the write-ahead log changes; without it (no inotify left) it looks more often. */
function watchLog(path: string, server: StoreServer): void {
  try {
    const file = realpathSync(path); // SQLite puts the log there
    const log = `${basename(file)}-wal`;
    const watcher = watch(dirname(file), { persistent: false }, (_event, name) => {
      if (name === log) server.alert();
    });
    server.isTold(true);
    watcher.on("error", () => {
      watcher.close();
      server.isTold(false);
    });
  } catch {
    return;
  }
}

async function serve(): Promise<void> {
  const port = parentPort;
  if (port === null) throw new TypeError("this module is the entry of a worker thread");
  const options = workerData as ServerOptions;
  const say = (message: Opening | Reply[]): void => port.postMessage(message);
  try {
    const server = await StoreServer.open(options, systemClock, say);
    watchLog(options.path, server);
    port.on("message", (requests: Request[]) => server.receive(requests));
    say({ kind: "opened" });
    flushCompileCache(); // a thread keeps one of its own, and a kill leaves no time for it
  } catch (error) {
    say({ kind: "not-opened", error: toWire(asRegistryError(error, options.path)) });
  }
}

await serve();
