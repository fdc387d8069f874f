// The cloud of cloud.ts with Nova: Barbican, MariaDB, Placement, Neutron (without networks), Nova and hosts of servers, with a
// guest to boot. Nova asks Andiron with service tokens, and Andiron asks and tells Nova, as an operator sets it up. Needs root.

import { readFile } from "node:fs/promises";
import { makeGuestDisk, watchDisks } from "../harness/guest.ts";
import type { ConfigGroups } from "../harness/service.ts";
import type { Keystone } from "../keystone/keystone.ts";
import { prepareBarbican } from "./barbican.ts";
import { type Cloud, prepareCloud } from "./cloud.ts";
import { credentialsOf } from "./config-file.ts";
import { prepareMariaDb } from "./mariadb.ts";
import { startNovaCompute } from "./nova-compute.ts";
import { novaUser, startNova } from "./nova.ts";
import { startNeutron } from "./neutron.ts";
import { startPlacement } from "./placement.ts";
import { makeServiceGroup } from "./service-group.ts";

/** `say` is told what is being started; `hosts` is how many hosts of servers there are. */
export async function prepareNovaCloud(say: (line: string) => void, hosts = 1): Promise<Cloud> {
  say("starting Keystone, RabbitMQ, Glance and Andiron");
  const cloud = await prepareCloud(askNova);
  const ends = [() => cloud.dispose()];
  const dispose = async (): Promise<void> => {
    for (const end of ends.splice(0)) await end();
  };
  try {
    say("starting Barbican, MariaDB, Placement, Neutron and Nova");
    const barbican = await prepareBarbican(cloud.keystone);
    ends.unshift(() => barbican.dispose());
    const database = await prepareMariaDb();
    ends.unshift(() => database.dispose());
    const group = await makeServiceGroup({ keystone: cloud.keystone, broker: cloud.broker, database });
    ends.unshift(() => group.dispose());
    const starting = [startPlacement(group), startNeutron(group), startNova(group)] as const;
    await Promise.allSettled(starting); // none may still be starting when another one's failure ends them
    const [, , nova] = await Promise.all(starting);
    say("starting libvirt and nova-compute");
    await startNovaCompute(group, nova, hosts);
    const flavors = [
      await nova.createFlavor({ name: "small", memoryMebibytes: 128 }),
      await nova.createFlavor({ name: "large", memoryMebibytes: 160 }),
    ] as const;
    const guestImage = await readFile(await makeGuestDisk(await group.makeFolder("guest"), watchDisks));
    return { ...cloud, servers: { flavors, hosts, guestImage }, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function askNova(keystone: Keystone): ConfigGroups {
  return {
    nova: credentialsOf(keystone, novaUser),
    service_user: { send_service_user_token: true, ...credentialsOf(keystone, "andiron") },
  };
}
