// Hosts of servers: each is Debian's libvirtd, nova-compute with our driver for NBD, and QEMU without KVM, as a part of a group
// of services. All of it lives in namespaces of its own, so that it meets neither the libvirt of the system, nor another
// test's, nor another host's:
//
//   unshare ── sh (process 1 of the namespace) ─┬─ libvirtd ── QEMU ...
//                                               └─ nova-compute
//
// - Mounts: /etc/libvirt, /run, /var/lib/libvirt, ... are directories of the host, and so are the servers' files, which have the
//   same path on all. /etc/hosts is a file of the host, which knows all their names.
// - Processes: QEMU leaves its parent, and would outlive a test that was killed. When process 1 of a namespace goes, the kernel
//   kills all the others, and the mounts go with them.
// - The network is the machine's. Hosts reach each other's libvirt and QEMU, to move servers, by an address of 127.0.0.0/8 for
//   each and one port for all.
//
// It needs root, as libvirt does.

import { randomUUID } from "node:crypto";
import { cp, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runOk } from "../harness/command.ts";
import { findFreePort } from "./daemon.ts";
import { type Nova, novaConfig } from "./nova.ts";
import type { ServiceGroup } from "./service-group.ts";

const driverSource = resolve(import.meta.dirname, "../../nova-driver");
const startTimeoutMs = 600_000;

interface Host {
  readonly name: string;
  readonly address: string;
}

/** Never below /dev, where the folder of a run may be: Nova takes a disk there for a logical volume of LVM. */
const instancesPath = "/var/lib/nova/instances";

/** What a host's directories are mounted over. */
const mounts = {
  etc: "/etc/libvirt",
  run: "/run",
  lib: "/var/lib/libvirt",
  cache: "/var/cache/libvirt",
  log: "/var/log/libvirt",
  instances: instancesPath,
};

const script = `
set -e
hostname "$2.localdomain"
mount --bind "$1/$2/hosts" /etc/hosts
${Object.entries(mounts)
  .map(([name, target]) => `mount --bind "$1/$2/${name}" "${target}"`)
  .join("\n")}
libvirtd --listen >"$1/libvirtd-$2.log" 2>&1 &
libvirtd=$!
until [ -S /run/libvirt/libvirt-sock ]; do kill -0 $libvirtd; sleep 0.1; done
/usr/bin/nova-compute --config-file "$1/nova-compute-$2.conf"
`;

/** Resolves when Nova's scheduler can use so many hosts. */
export async function startNovaCompute(group: ServiceGroup, nova: Nova, count: number): Promise<void> {
  const hosts = Array.from({ length: count }, (_, index) => ({ name: `host${index + 1}`, address: `127.0.0.${11 + index}` }));
  const [base, port] = [await installDriver(group), await findFreePort()];
  const daemons = [];
  for (const host of hosts) {
    await configureLibvirt(group, host, hosts, port);
    await group.configure(`nova-compute-${host.name}.conf`, await configureNova(group, host, port));
    const separate = ["--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"];
    const args = [...separate, "sh", "-c", script, "sh", group.folder, host.name];
    daemons.push(group.launch(`nova-compute-${host.name}`, "unshare", args, { PYTHONUSERBASE: base }));
  }
  for (const daemon of daemons) {
    await daemon.waitUntil(async () => {
      if ((await nova.countHosts()) === count) return true;
      await sleep(1000);
      return false;
    }, startTimeoutMs);
  }
}

/** Installs our driver as an operator does, but below the group's folder; resolves with Python's base directory of it. */
async function installDriver(group: ServiceGroup): Promise<string> {
  const [source, base] = [group.path("driver-source"), group.path("python")];
  await cp(driverSource, source, { recursive: true }); // pip writes beside the sources
  const local = ["--user", "--no-index", "--no-deps", "--no-build-isolation", "--break-system-packages", "--quiet"];
  const env = { PYTHONUSERBASE: base, PIP_ROOT_USER_ACTION: "ignore" };
  await runOk("/usr/bin/python3", ["-m", "pip", "install", ...local, source], { env, timeoutMs: startTimeoutMs });
  return base;
}

/** The host's directories and libvirt's files: it listens for the other hosts, and takes itself for a machine of its own. */
async function configureLibvirt(group: ServiceGroup, host: Host, hosts: readonly Host[], port: number): Promise<void> {
  for (const name of Object.keys(mounts)) await group.makeFolder(host.name, name);
  const names = hosts.map(({ name, address }) => `${address} ${name} ${name}.localdomain\n`);
  await writeFile(group.path(host.name, "hosts"), `127.0.0.1 localhost\n${names.join("")}`);
  const daemon = [
    'auth_unix_rw = "none"',
    "listen_tls = 0",
    "listen_tcp = 1",
    'auth_tcp = "none"',
    `listen_addr = "${host.address}"`,
    `tcp_port = "${port}"`,
    `host_uuid = "${randomUUID()}"`,
  ];
  await writeFile(group.path(host.name, "etc/libvirtd.conf"), `${daemon.join("\n")}\n`);
  const qemu = ['user = "root"', 'group = "root"', 'security_driver = "none"', 'stdio_handler = "file"'];
  const withoutSystemd = ["cgroup_controllers = []", "namespaces = []"];
  const moves = [`migration_host = "${host.name}"`, `migration_address = "${host.address}"`];
  await writeFile(group.path(host.name, "etc/qemu.conf"), `${[...qemu, ...withoutSystemd, ...moves].join("\n")}\n`);
}

async function configureNova(group: ServiceGroup, host: Host, port: number): ReturnType<typeof novaConfig> {
  return novaConfig(group, {
    DEFAULT: {
      host: host.name,
      my_ip: host.address,
      compute_driver: "libvirt.LibvirtDriver",
      instances_path: instancesPath,
      state_path: await group.makeFolder(host.name, "nova"),
      reserved_host_memory_mb: 0,
      cpu_allocation_ratio: 32,
    },
    oslo_concurrency: { lock_path: await group.makeFolder(host.name, "locks") },
    libvirt: {
      virt_type: "qemu",
      connection_uri: "qemu:///system",
      inject_partition: -2,
      live_migration_inbound_addr: host.address,
      live_migration_uri: `qemu+tcp://%s:${port}/system`,
    },
  });
}
