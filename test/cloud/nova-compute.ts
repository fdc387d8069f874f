// A host of servers: Debian's libvirtd, nova-compute with our driver for NBD, and QEMU without KVM, as a part of a group of
// services. All of it lives in namespaces of its own, so that it meets neither the libvirt of the system nor another test's:
//
//   unshare ── sh (process 1 of the namespace) ─┬─ libvirtd ── QEMU ...
//                                               └─ nova-compute
//
// - Mounts: /etc/libvirt, /run, /var/lib/libvirt, ... are directories of the group, and /etc/hosts is a file of it, which knows
//   the host's name. The driver is installed below the group's folder as well.
// - Processes: QEMU leaves its parent, and would outlive a test that was killed. When process 1 of a namespace goes, the kernel
//   kills all the others, and the mounts go with them.
//
// It needs root, as libvirt does.

import { cp, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runOk } from "../harness/command.ts";
import { type Nova, novaConfig } from "./nova.ts";
import type { ServiceGroup } from "./service-group.ts";

const driverSource = resolve(import.meta.dirname, "../../nova-driver");
const startTimeoutMs = 600_000;

/** What the group's directories are mounted over. */
const mounts = {
  etc: "/etc/libvirt",
  run: "/run",
  lib: "/var/lib/libvirt",
  cache: "/var/cache/libvirt",
  log: "/var/log/libvirt",
};

const hostName = "andiron.localdomain";
const script = `
set -e
hostname ${hostName}
mount --bind "$1/host/hosts" /etc/hosts
${Object.entries(mounts)
  .map(([name, target]) => `mount --bind "$1/host/${name}" ${target}`)
  .join("\n")}
libvirtd >"$1/libvirtd.log" 2>&1 &
libvirtd=$!
until [ -S /run/libvirt/libvirt-sock ]; do kill -0 $libvirtd; sleep 0.1; done
/usr/bin/nova-compute --config-file "$1/nova-compute.conf"
`;

/** Resolves when Nova's scheduler can use the host. */
export async function startNovaCompute(group: ServiceGroup, nova: Nova): Promise<void> {
  for (const name of Object.keys(mounts)) await group.makeFolder("host", name);
  await writeFile(group.path("host/etc/libvirtd.conf"), 'auth_unix_rw = "none"\n');
  await writeFile(group.path("host/hosts"), `127.0.0.1 localhost ${hostName}\n`);
  const qemu = ['user = "root"', 'group = "root"', 'security_driver = "none"', 'stdio_handler = "file"'];
  const withoutSystemd = ["cgroup_controllers = []", "namespaces = []"];
  await writeFile(group.path("host/etc/qemu.conf"), `${[...qemu, ...withoutSystemd].join("\n")}\n`);
  await group.configure("nova-compute.conf", await configure(group));
  const base = await installDriver(group);
  const separate = ["--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"];
  const host = group.launch("nova-compute", "unshare", [...separate, "sh", "-c", script, "sh", group.folder], {
    PYTHONUSERBASE: base,
  });
  await host.waitUntil(async () => {
    if ((await nova.countHosts()) > 0) return true;
    await sleep(1000);
    return false;
  }, startTimeoutMs);
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

async function configure(group: ServiceGroup): Promise<Awaited<ReturnType<typeof novaConfig>>> {
  return novaConfig(group, {
    DEFAULT: {
      host: "andiron",
      compute_driver: "libvirt.LibvirtDriver",
      instances_path: await group.makeFolder("instances"),
      reserved_host_memory_mb: 0,
      cpu_allocation_ratio: 32,
    },
    libvirt: { virt_type: "qemu", connection_uri: "qemu:///system", inject_partition: -2 },
  });
}
