// The server against other people's clients: libnbd (nbdinfo, nbdcopy, nbdsh), QEMU (qemu-img, qemu-io) and fio, plain
// and over TLS. A missing program skips its tests, unless CI says that everything must run.

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import type { RamDevice } from "./ram-device.test.ts";
import { makeCertificates, makeFolder, startRig, type Rig } from "./server-rig.test.ts";

const run = promisify(execFile);
const MiB = 1024 * 1024;

function needs(t: TestContext, ...programs: string[]): boolean {
  const missing = programs.filter((program) => spawnSync("which", [program]).status !== 0);
  if (missing.length === 0) return true;
  if (process.env["CI"] !== undefined) assert.fail(`missing: ${missing.join(", ")}`);
  t.skip(`missing: ${missing.join(", ")}`);
  return false;
}

/** Runs a client with a deadline, so that a hang is a failure. Gives what it printed. */
async function peer(program: string, ...args: string[]): Promise<string> {
  // The system's programs come first: nbdsh wants the python3 that its module was installed for.
  const env = { ...process.env, PATH: `/usr/bin:${process.env["PATH"] ?? ""}` };
  const { stdout } = await run(program, args, { timeout: 60_000, maxBuffer: 16 * MiB, env });
  return stdout;
}

function unixUri(rig: Rig): string {
  return `nbd+unix:///disk?socket=${rig.path}`;
}

interface Way {
  readonly name: string;
  uri(rig: Rig): string;
  start(t: TestContext): Promise<Rig>;
}

const ways: Way[] = [
  { name: "plain", uri: unixUri, start: (t) => startRig(t) },
  { name: "tcp", uri: (rig) => `nbd://127.0.0.1:${rig.port}/disk`, start: (t) => startRig(t) },
  {
    name: "tls",
    uri: (rig) => `nbds://localhost:${rig.port}/disk?tls-certificates=${join(rig.folder, "pki")}`,
    start: async (t) => {
      const certificates = makeCertificates(makeFolder(t));
      const tls = { ...certificates.server, clientCa: certificates.ca };
      const rig = await startRig(t, {}, { tlsMode: "require", tls });
      symlinkSync(certificates.folder, join(rig.folder, "pki"));
      return rig;
    },
  },
];

/** 24 MiB: noise, a hole, noise, a bit of data, a hole. */
function makeSparseImage(): Buffer {
  const image = Buffer.alloc(24 * MiB);
  randomBytes(5 * MiB).copy(image, 0);
  randomBytes(3 * MiB + 4096).copy(image, 11 * MiB);
  image.write("the end", 20 * MiB + 17);
  return image;
}

function fill(device: RamDevice, image: Buffer): void {
  image.copy(device.bytes);
  for (let cluster = 0; cluster < device.clusters.length; cluster++) {
    const bytes = image.subarray(cluster * 4096, (cluster + 1) * 4096);
    device.clusters[cluster] = bytes.equals(Buffer.alloc(bytes.length)) ? 0 : 1;
  }
}

for (const way of ways) {
  for (const connections of [1, 4]) {
    test(`nbdcopy brings an image in and out, ${way.name}, ${connections} connections`, async (t) => {
      if (!needs(t, "nbdcopy", "nbdinfo")) return;
      const rig = await way.start(t);
      const image = makeSparseImage();
      const device = rig.directory.add("disk", image.length);
      const [input, output] = [join(rig.folder, "in"), join(rig.folder, "out")];
      writeFileSync(input, image);
      await peer("nbdcopy", `--connections=${connections}`, "--flush", input, way.uri(rig));
      assert.ok(device.bytes.equals(image));
      assert.ok(device.calls.includes("flush"));
      await peer("nbdcopy", `--connections=${connections}`, way.uri(rig), output);
      assert.ok(readFileSync(output).equals(image));
    });
  }

  test(`nbdinfo sees what is offered, ${way.name}`, async (t) => {
    if (!needs(t, "nbdinfo")) return;
    const rig = await way.start(t);
    fill(rig.directory.add("disk", 24 * MiB), makeSparseImage());
    const shown = JSON.parse(await peer("nbdinfo", "--json", way.uri(rig))) as Record<string, unknown>;
    const info = (shown["exports"] as Array<Record<string, unknown>>)[0]!;
    const offered = ["can_cache", "can_df", "can_fast_zero", "can_flush", "can_fua", "can_multi_conn", "can_trim", "can_zero"];
    for (const flag of offered) assert.equal(info[flag], true, flag);
    assert.equal(info["is_read_only"], false);
    assert.equal(info["export-size"], 24 * MiB);
    assert.equal(info["block_size_minimum"], 1);
    assert.deepEqual(info["contexts"], ["base:allocation"]);
    const map = JSON.parse(await peer("nbdinfo", "--map", "--json", way.uri(rig))) as Array<{ offset: number; type: number }>;
    const described = map.map(({ offset, type }) => `${offset / 4096} ${type === 0 ? "data" : "hole"}`);
    assert.deepEqual(described, ["0 data", "1280 hole", "2816 data", "3585 hole", "5120 data", "5121 hole"]);
  });
}

test("nbdinfo --list is told no names", async (t) => {
  if (!needs(t, "nbdinfo")) return;
  const rig = await startRig(t);
  rig.directory.add("secret", MiB);
  const listed = await peer("nbdinfo", "--list", `nbd+unix:///?socket=${rig.path}`).catch((error: unknown) => String(error));
  assert.ok(!listed.includes("secret"), listed);
});

test("qemu-img shows, maps, converts and benches an export", async (t) => {
  if (!needs(t, "qemu-img")) return;
  const rig = await startRig(t);
  const image = makeSparseImage();
  const device = rig.directory.add("disk", image.length);
  fill(device, image);
  const uri = unixUri(rig);
  const info = JSON.parse(await peer("qemu-img", "info", "--output=json", uri)) as Record<string, unknown>;
  assert.equal(info["virtual-size"], image.length);
  const map = JSON.parse(await peer("qemu-img", "map", "--output=json", "-f", "raw", uri)) as Array<{ data: boolean }>;
  assert.deepEqual(
    map.map((extent) => extent.data),
    [true, false, true, false, true, false],
  );
  const output = join(rig.folder, "out.raw");
  await peer("qemu-img", "convert", "-f", "raw", "-O", "raw", uri, output);
  assert.ok(readFileSync(output).equals(image));
  rig.directory.add("disk", image.length);
  await peer("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", output, uri);
  assert.ok(rig.directory.devices.get("disk")!.bytes.equals(image));
  await peer("qemu-img", "bench", "-f", "raw", "-c", "2000", "-d", "16", uri);
  await peer("qemu-img", "bench", "-f", "raw", "-w", "-c", "2000", "-d", "16", "--flush-interval=100", uri);
});

test("qemu-io reads and writes unaligned, zeroes and discards", async (t) => {
  if (!needs(t, "qemu-io")) return;
  const rig = await startRig(t);
  const device = rig.directory.add("disk", 8 * MiB);
  const commands = ["write -P 5 1000 5001", "read -P 5 1000 5001", "read -P 0 0 1000", "write -f -P 6 2M 3M", "write -z 3M 1M"];
  commands.push("discard 4M 512k", "read -P 0 3M 1M", "read -P 6 2M 1M", "aio_write -P 7 7M 64k", "aio_flush", "flush");
  const shown = await peer("qemu-io", "-f", "raw", ...commands.flatMap((line) => ["-c", line]), unixUri(rig));
  assert.doesNotMatch(shown, /verification failed|error/i);
  assert.equal(device.bytes[2 * MiB], 6);
  assert.equal(device.bytes[7 * MiB + 65_535], 7);
  assert.ok(device.calls.some((call) => call.startsWith("write") && call.endsWith("fua")));
  assert.ok(device.calls.includes(`trim ${4 * MiB} ${MiB / 2}`));
});

test("fio writes at random and finds every checksum again", async (t) => {
  if (!needs(t, "fio")) return;
  const rig = await startRig(t);
  rig.directory.add("disk", 16 * MiB).asynchronousReads = true;
  const args = ["--name=verify", "--ioengine=nbd", `--uri=${unixUri(rig)}`, "--rw=randwrite", "--bsrange=512-256k", "--size=16m"];
  await peer(
    "fio",
    ...args,
    "--iodepth=16",
    "--verify=crc32c",
    "--verify_state_save=0",
    "--verify_fatal=1",
    "--bs_unaligned=1",
    "--fsync=32",
  );
});

test("nbdsh: odd flags get the errno that the protocol wants", async (t) => {
  if (!needs(t, "nbdsh")) return;
  const rig = await startRig(t);
  rig.directory.add("disk", MiB);
  const script = `
import errno
h.set_strict_mode(0)
h.add_meta_context("base:allocation")
h.connect_uri("${unixUri(rig)}")
def fails(number, call):
    try:
        call()
    except nbd.Error as error:
        assert error.errnum == number, (error.errnum, number)
    else:
        assert False, "expected an error"
MiB = 1 << 20
fails(errno.EINVAL, lambda: h.pread(512, MiB))
fails(errno.ENOSPC, lambda: h.pwrite(b"x" * 512, MiB - 1))
fails(errno.ENOSPC, lambda: h.zero(512, MiB))
fails(errno.EINVAL, lambda: h.trim(512, MiB))
fails(errno.EINVAL, lambda: h.pread(512, 0, nbd.CMD_FLAG_REQ_ONE))
fails(errno.EINVAL, lambda: h.pwrite(b"x", 0, nbd.CMD_FLAG_DF))
fails(errno.EINVAL, lambda: h.flush(nbd.CMD_FLAG_NO_HOLE))
h.pwrite(b"abc", 70001, nbd.CMD_FLAG_FUA)
h.zero(4096, 0, nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FUA)
h.cache(4096, 0)
assert h.pread(5, 70000) == b"\\0abc\\0"
assert h.pread(MiB, 0, nbd.CMD_FLAG_DF)[70001:70004] == b"abc"
chunks = []
h.pread_structured(MiB, 0, lambda buf, off, status, err: chunks.append((off, status)))
assert any(status == nbd.READ_HOLE for off, status in chunks), chunks
seen = []
h.block_status(MiB, 0, lambda name, off, entries, err: seen.append(entries), nbd.CMD_FLAG_REQ_ONE)
assert len(seen[0]) == 2 and seen[0][1] == 3, seen
h.shutdown()
`;
  await peer("nbdsh", "-c", script);
});

test("a read-only export is shown and kept as such", async (t) => {
  if (!needs(t, "nbdinfo", "qemu-io")) return;
  const rig = await startRig(t);
  rig.directory.add("disk", MiB).readOnly = true;
  assert.match(await peer("nbdinfo", unixUri(rig)), /is_read_only: true/);
  await assert.rejects(peer("qemu-io", "-f", "raw", "-c", "write 0 512", unixUri(rig)));
});
