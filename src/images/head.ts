// What the first bytes of a file say that it is, by the marks that QEMU goes by when it guesses. We never guess: it is asked
// whether a file that is called one format looks like another. Pure.

/** How much of a file it takes: the mark of an ISO is the farthest. */
export const headBytes = 64 * 1024;

const marks: readonly (readonly [format: string, offset: number, mark: Buffer])[] = [
  ["qcow2", 0, Buffer.from([0x51, 0x46, 0x49, 0xfb])], // all versions of qcow
  ["qed", 0, Buffer.from("QED\0", "latin1")],
  ["vmdk", 0, Buffer.from("KDMV", "latin1")],
  ["vmdk", 0, Buffer.from("COWD", "latin1")],
  ["vhdx", 0, Buffer.from("vhdxfile", "latin1")],
  ["vhd", 0, Buffer.from("conectix", "latin1")],
  ["vdi", 64, Buffer.from([0x7f, 0x10, 0xda, 0xbe])],
  ["ploop", 0, Buffer.from("WithoutFreeSpace", "latin1")],
  ["ploop", 0, Buffer.from("WithouFreSpacExt", "latin1")],
  ["bochs", 0, Buffer.from("Bochs Virtual HD Image", "latin1")],
  ["cloop", 0, Buffer.from("#!/bin/sh\n#V2.0 Format\nmodprobe cloop", "latin1")],
];

/** The format whose mark the head bears; undefined for anything else, which is raw bytes. */
export function recogniseHead(head: Buffer): string | undefined {
  const found = marks.find(([, offset, mark]) => head.subarray(offset, offset + mark.length).equals(mark));
  return found?.[0] ?? (isDescriptorText(head) ? "vmdk" : undefined);
}

/**
 * A disk descriptor of VMware, which names other files. QEMU skips comments and empty lines before "version=N"; so a text
 * that begins like that is one, and so is all that says so by itself.
 */
function isDescriptorText(head: Buffer): boolean {
  const text = head.subarray(0, 4096).toString("latin1");
  return /^\s*#\s*Disk DescriptorFile/i.test(text) || /^(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*version=\d/i.test(text);
}

const isoMark = Buffer.from("CD001", "latin1");
const isoMarkOffset = 32_769;

/** A file system of a CD or DVD. */
export function isIso(head: Buffer): boolean {
  return head.subarray(isoMarkOffset, isoMarkOffset + isoMark.length).equals(isoMark);
}
