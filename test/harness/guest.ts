// A tiny bootable disk of Debian's cloud kernel and busybox, and a QEMU (TCG, no KVM needed) that boots it. The guest says
// on its serial port that it runs, and does its task: to count its boots in a sector of its own disk and power off, or to stay
// and say which disks it has (it takes disks that are plugged in and out).
//
//   sector 0 .. : FAT with syslinux, kernel and initrd         last sector: "BOOTS n"
//
// Needs: qemu-system-x86, syslinux, mtools, dosfstools, cpio, busybox-static, and apt-get to fetch the kernel package.

import { copyFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run, runOk } from "./command.ts";

export const guestCommands = ["qemu-system-x86_64", "syslinux", "mcopy", "mkfs.vfat", "cpio", "busybox", "dpkg-deb", "apt-get"];

const diskMebibytes = 40;
const modules = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"];
const begin = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1 </dev/ttyS0
for module in ${modules.join(" ")}; do insmod /modules/$module.ko; done
while [ ! -b /dev/vda ]; do usleep 50000; done
echo "GUEST-RUNS $(cat /sys/block/vda/size)"
`;
/** A guest's task, in its shell: "GUEST-BOOTS n" and off. */
export const countBoots = `last=$((${diskMebibytes} * 2048 - 1))
boots=$(dd if=/dev/vda bs=512 skip=$last count=1 2>/dev/null | tr -d '\\0' | cut -d ' ' -f 2)
boots=$((\${boots:-0} + 1))
printf "%-512s" "BOOTS $boots" | dd of=/dev/vda bs=512 seek=$last conv=notrunc,fsync 2>/dev/null
echo "GUEST-BOOTS $boots"
poweroff -f
`;
/** A guest's task: "GUEST-DISKS name:sectors ..." at first and whenever that changes, for ever. */
export const watchDisks = `before=
while sleep 1; do
  disks=
  for disk in /sys/block/vd*; do disks="$disks $(basename $disk):$(cat $disk/size)"; done
  [ "$disks" = "$before" ] || echo "GUEST-DISKS$disks"
  before=$disks
done
`;
const bootMenu = `SERIAL 0 115200
DEFAULT guest
LABEL guest
 KERNEL vmlinuz
 APPEND initrd=initrd.gz console=ttyS0 panic=5 quiet
`;

/** Makes the raw disk image of a guest with that task in `folder`; resolves with its path. */
export async function makeGuestDisk(folder: string, task = countBoots): Promise<string> {
  const { kernel, drivers } = await fetchKernel(folder);
  const root = join(folder, "guest-root");
  for (const part of ["bin", "proc", "sys", "dev", "modules"]) await mkdir(join(root, part), { recursive: true });
  await copyFile((await runOk("sh", ["-c", "command -v busybox"])).trim(), join(root, "bin/busybox"));
  for (const module of modules)
    await runOk("sh", ["-c", `cp "$(find "$1" -name ${module}.ko)" "$2"`, "sh", drivers, join(root, "modules")]);
  await writeFile(join(root, "init"), begin + task, { mode: 0o755 });
  await runOk("sh", ["-c", "find . | cpio -o -H newc --quiet | gzip -1 > ../initrd.gz"], { folder: root });

  const disk = join(folder, "guest.raw");
  const menu = join(folder, "syslinux.cfg");
  await writeFile(menu, bootMenu);
  await runOk("truncate", ["-s", `${diskMebibytes}M`, disk]);
  // One sector less than the disk: the last one is the guest's counter.
  await runOk("mkfs.vfat", ["-F", "16", disk, String(diskMebibytes * 1024 - 4)], {
    env: { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` },
  });
  await runOk("syslinux", ["-i", disk]);
  const files = [
    [menu, "syslinux.cfg"],
    [kernel, "vmlinuz"],
    [join(folder, "initrd.gz"), "initrd.gz"],
  ] as const;
  for (const [source, name] of files) await runOk("mcopy", ["-o", "-i", disk, source, `::${name}`]);
  return disk;
}

/** Boots the disk at `driveUri` and resolves with what the guest said, when it has powered off. */
export function bootGuest(driveUri: string): Promise<string> {
  const machine = ["-machine", "pc,accel=tcg", "-m", "256", "-display", "none", "-nic", "none", "-no-reboot", "-serial", "stdio"];
  const drive = ["-drive", `file=${driveUri},format=raw,if=virtio,cache=none`];
  return runOk("qemu-system-x86_64", [...machine, "-monitor", "none", ...drive], { timeoutMs: 300_000 });
}

async function fetchKernel(folder: string): Promise<{ readonly kernel: string; readonly drivers: string }> {
  const unpacked = join(folder, "kernel");
  await mkdir(unpacked);
  const depends = await runOk("apt-cache", ["depends", "--important", "linux-image-cloud-amd64"]);
  const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (name === undefined) throw new Error(`no kernel package in:\n${depends}`);
  await run("apt-get", ["download", name], { folder, timeoutMs: 300_000 });
  const file = (await readdir(folder)).find((entry) => entry.startsWith(`${name}_`));
  if (file === undefined)
    throw new Error(`apt-get download ${name} brought nothing: are the package lists there (apt-get update)?`);
  await runOk("dpkg-deb", ["-x", join(folder, file), unpacked]);
  const kernel = (await readdir(join(unpacked, "boot"))).find((entry) => entry.startsWith("vmlinuz-"));
  if (kernel === undefined) throw new Error(`no kernel in ${file}`);
  return { kernel: join(unpacked, "boot", kernel), drivers: join(unpacked, "lib/modules") };
}
