// The Debian packages whose programs the tests talk to: real clients, real guests, real servers to be compared with.
// These are the lists of them. Tests that need one of the first are named *.peer.test.ts; the others are for Nova and Horizon.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export const peerPackages: readonly string[] = [
  "barbican-api", // the real Barbican of test/cloud
  "busybox-static", // the userland of the test guest
  "cinder-api", // Debian's Cinder, the reference that the API is compared with
  "cinder-scheduler",
  "cinder-tempest-plugin", // Tempest's tests that Cinder has itself
  "cinder-volume",
  "cpio", // packs the test guest's initial file system
  "curl",
  "dosfstools", // mkfs.vfat, the test guest's disk
  "e2fsprogs", // mkfs.ext4, e2fsck
  "fio", // fio --ioengine=nbd --verify
  "glance-common", // the real Glance of test/cloud
  "gnutls-bin", // certtool, for TLS on NBD
  "haproxy", // in front of the API
  "libnbd-bin", // nbdinfo, nbdcopy, nbdfuse
  "mariadb-server", // the database of Debian's Cinder
  "memcached", // where Swift keeps its tokens
  "mtools", // mcopy, fills the test guest's disk
  "nbdkit", // an NBD server to be compared with
  "openssl",
  "python3-cinderclient", // cinder
  "python3-keystone", // the real Keystone of test/keystone
  "python3-keystonemiddleware", // Swift's way to Keystone
  "python3-libnbd", // nbdsh
  "python3-openstackclient", // openstack
  "python3-openstacksdk", // import openstack
  "python3-pymysql", // from Debian's Cinder to MariaDB
  "python3-swiftclient", // swift
  "qemu-system-x86", // the test guest
  "qemu-utils", // qemu-img, qemu-io, qemu-nbd
  "rabbitmq-server", // the message broker of Glance and Cinder in the tests
  "subunit", // subunit2csv, reads Tempest's results
  "swift-account", // the real Swift and S3 of test/cloud
  "swift-container",
  "swift-object",
  "swift-proxy",
  "syslinux", // makes the test guest's disk bootable
  "tempest", // OpenStack's own tests of the API
  "uwsgi-core", // serves Keystone and Glance
  "uwsgi-plugin-python3",
  "wrk", // the load of the API benchmark
];

/** What `npm run tempest -- --with-nova` needs besides; `npm test` does not install it. */
export const novaPackages: readonly string[] = [
  "genisoimage", // makes servers' configuration drives
  "neutron-common", // neutron-server
  "nova-api",
  "nova-compute",
  "nova-compute-kvm", // nova-compute with libvirt and QEMU; KVM itself is not needed
  "nova-conductor",
  "nova-scheduler",
  "python3-barbicanclient", // Nova's way to Barbican
  "python3-pip", // installs our driver for Nova
  "python3-placement",
  "python3-setuptools", // builds it
  "python3-wheel",
];

/** What `npm run horizon` needs besides; `npm test` does not install it. */
export const horizonPackages: readonly string[] = [
  "chromium", // the browser
  "fonts-dejavu-core", // what its screenshots are legible by
  "openstack-dashboard", // Horizon
];

export interface PeerState {
  readonly missing: readonly string[];
  /** Why they were not installed; undefined when none is missing. */
  readonly reason: string | undefined;
}

/** The line that installs `packages` by hand. */
export function aptLine(packages: readonly string[]): string {
  return `apt-get install --no-install-recommends ${packages.join(" ")}`;
}

/** Those of `packages` that are not installed; all of them where there is no dpkg. */
export function findMissing(packages: readonly string[]): string[] {
  const query = spawnSync("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\\n", ...packages], { encoding: "utf8" });
  const installed = new Set((query.stdout ?? "").split("\n").filter((line) => line.endsWith(" installed")));
  return packages.filter((name) => !installed.has(`${name} installed`));
}

/** Installs what is missing, as root; says what stays missing and why. */
export function ensurePeers(say: (line: string) => void, wanted: readonly string[] = peerPackages): PeerState {
  const missing = findMissing(wanted);
  if (missing.length === 0) return { missing, reason: undefined };
  if (process.getuid?.() !== 0) return { missing, reason: "not run as root" };
  say(`installing test peers: ${missing.join(" ")}`);
  const script = fileURLToPath(new URL("install-peers.sh", import.meta.url));
  const done = spawnSync("bash", [script, ...missing], { stdio: ["ignore", "ignore", "inherit"] });
  const still = findMissing(wanted);
  if (still.length === 0) return { missing: still, reason: undefined };
  return { missing: still, reason: done.error?.message ?? `their installation failed with exit code ${done.status ?? 1}` };
}
