// A private Placement: Debian's, behind uWSGI, as a part of a group of services. Nova's scheduler asks it for hosts.

import { runOk } from "../harness/command.ts";
import { tokenChecks } from "./config-file.ts";
import type { ServiceGroup } from "./service-group.ts";
import { serveWsgi } from "./wsgi-server.ts";

/** Resolves when it serves and stands in the catalogue. */
export async function startPlacement(group: ServiceGroup): Promise<void> {
  const { keystone, database } = group.peers;
  const folder = await group.makeFolder("placement");
  const configFile = await group.configure("placement/placement.conf", {
    placement_database: { connection: await database.create("placement") },
    api: { auth_strategy: "keystone" },
    keystone_authtoken: tokenChecks(keystone, "placement"),
  });
  await runOk("placement-manage", ["--config-file", configFile, "db", "sync"], { timeoutMs: 300_000 });
  await keystone.grant("placement", "service", "admin", "service");
  const { daemon, url } = await serveWsgi({
    script: "/usr/bin/placement-api",
    env: { OS_PLACEMENT_CONFIG_DIR: folder },
    logFile: group.path("placement.log"),
  });
  group.keep(daemon);
  await keystone.publish("placement", url);
}
