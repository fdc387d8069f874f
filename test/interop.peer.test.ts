// The real NBD clients of the field against a whole running service: libnbd's tools, QEMU's tools and fio, with one and
// four connections, plain and over TLS. Volumes and attachments come from the API, as a cloud would do it.

import assert from "node:assert/strict";
import { chmod, copyFile, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { seededRandom } from "../src/common/random.ts";
import { BlockStorage, nbdUri, type Attachment } from "./harness/block-storage.ts";
import { makeCertificates, type Certificates } from "./harness/certificates.ts";
import { missingCommand, run, runOk } from "./harness/command.ts";
import { prepareAndiron, type AndironProcess } from "./harness/service.ts";

const mebibyte = 1024 * 1024;
const volumeBytes = 1024 * mebibyte;
const missing = await missingCommand(["nbdinfo", "nbdcopy", "qemu-img", "qemu-io", "fio", "openssl", "cmp"]);
const skip = missing === undefined ? false : `${missing} is not installed`;

/** makeCertificates() puts the files beside the state directory. */
const tlsOptions = {
  port: 0,
  tls_mode: "require",
  tls_cert_file: "$state_path/../server-cert.pem",
  tls_key_file: "$state_path/../server-key.pem",
};

/** A sparse file as long as the volume: some MiB of data here and there, at odd places too. */
async function writeSparseFile(path: string, seed: number): Promise<void> {
  const random = seededRandom(seed);
  const file = await open(path, "w");
  try {
    for (const [offset, bytes] of [
      [0, 4 * mebibyte],
      [100 * mebibyte + 1000, 3 * mebibyte + 77],
      [volumeBytes - mebibyte, mebibyte],
    ]) {
      await file.write(random.bytes(bytes!), 0, bytes!, offset!);
    }
    await file.truncate(volumeBytes);
  } finally {
    await file.close();
  }
}

for (const tls of [false, true]) {
  describe(`NBD clients over ${tls ? "TLS" : "plain TCP"}`, { skip, timeout: 600_000 }, () => {
    let service: AndironProcess;
    let api: BlockStorage;
    let certificates: Certificates;
    let volumeId: string;
    let attachment: Attachment;
    let home: string; // of fio
    let uri: string; // for libnbd
    let qemuObjects: string[]; // for QEMU's tools: credentials
    let qemuOptions: string; // and the image, for --image-opts
    let qemuImage: string[]; // both, in place of an image name

    before(async () => {
      service = await prepareAndiron(tls ? { nbd: tlsOptions } : {});
      certificates = await makeCertificates(service.folder);
      await service.start();
      api = new BlockStorage(service);
      volumeId = await api.createVolume({ name: "interop" });
      attachment = await api.attach(volumeId);
      home = join(service.folder, "home");
      const info = attachment.connection_info;
      const { clientFolder } = certificates;
      uri = tls ? `${nbdUri(info, "nbds")}?tls-certificates=${clientFolder}` : nbdUri(info);
      const credentials = tls ? ",file.tls-creds=tls0" : "";
      const server = `file.host=${info.hosts[0]},file.port=${info.ports[0]},file.export=${info.name}`;
      qemuOptions = `driver=raw,file.driver=nbd,${server}${credentials}`;
      qemuObjects = tls ? ["--object", `tls-creds-x509,id=tls0,endpoint=client,dir=${clientFolder}`] : [];
      qemuImage = [...qemuObjects, "--image-opts", qemuOptions];
    });
    after(() => service.dispose());

    test("nbdinfo tells the size and what can be done, and lists nothing to strangers", async () => {
      const { exports } = JSON.parse(await runOk("nbdinfo", ["--json", uri])) as { exports: Record<string, unknown>[] };
      const shown = exports[0]!;
      assert.equal(shown["export-size"], volumeBytes);
      for (const can of ["can_flush", "can_fua", "can_trim", "can_zero", "can_multi_conn", "can_df"]) {
        assert.equal(shown[can], true, can);
      }
      assert.equal(shown["is_read_only"], false);
      const listed = await run("nbdinfo", ["--list", "--json", uri.replace(attachment.connection_info.name, "")]);
      assert.ok(!listed.stdout.includes(attachment.connection_info.name), "an export name was told to a stranger");
    });

    for (const connections of [1, 4]) {
      test(`nbdcopy in and out with ${connections} connections`, async () => {
        const source = join(service.folder, "source");
        const target = join(service.folder, "target");
        await writeSparseFile(source, connections);
        await runOk("nbdcopy", [`--connections=${connections}`, "--flush", source, uri]);
        await runOk("nbdcopy", [`--connections=${connections}`, uri, target]);
        await runOk("cmp", [source, target]);
      });
    }

    test("nbdinfo --map shows the holes", async () => {
      const extents = JSON.parse(await runOk("nbdinfo", ["--map", "--json", uri])) as {
        offset: number;
        length: number;
        type: number;
      }[];
      assert.equal(
        extents.reduce((sum, { length }) => sum + length, 0),
        volumeBytes,
      );
      const data = extents.filter(({ type }) => (type & 1) === 0).reduce((sum, { length }) => sum + length, 0);
      assert.ok(data >= 8 * mebibyte && data < 64 * mebibyte, `${data} bytes of data`);
      assert.equal(extents[0]?.type, 0);
    });

    test("qemu-img info, map, convert and compare", async () => {
      const info = JSON.parse(await runOk("qemu-img", ["info", "--output=json", ...qemuImage])) as Record<string, unknown>;
      assert.equal(info["virtual-size"], volumeBytes);
      const map = JSON.parse(await runOk("qemu-img", ["map", "--output=json", ...qemuImage])) as {
        length: number;
        data: boolean;
      }[];
      assert.equal(
        map.reduce((sum, { length }) => sum + length, 0),
        volumeBytes,
      );
      assert.ok(map.some(({ data }) => data) && map.some(({ data }) => !data));
      const out = join(service.folder, "out.qcow2");
      await runOk("qemu-img", ["convert", "-O", "qcow2", ...qemuImage, out]);
      const source = join(service.folder, "source");
      assert.match(await runOk("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", source, out]), /identical/);
    });

    test("qemu-img convert writes a volume", async () => {
      const source = join(service.folder, "converted");
      const target = join(service.folder, "target");
      await writeSparseFile(source, 9);
      const many = ["-m", "4", "-W"];
      await runOk("qemu-img", [
        "convert",
        ...qemuObjects,
        "-n",
        "-f",
        "raw",
        "--target-image-opts",
        ...many,
        source,
        qemuOptions,
      ]);
      await runOk("nbdcopy", [uri, target]);
      await runOk("cmp", [source, target]);
    });

    const noBench = tls && "qemu-img bench takes no credentials";
    test("qemu-img bench, reading and writing with flushes", { skip: noBench }, async () => {
      for (const extra of [[], ["-w", "--flush-interval=64"], ["-w", "--pattern=7", "-s", "65536", "-d", "16"]]) {
        await runOk("qemu-img", ["bench", "-c", "1024", ...extra, ...qemuImage]);
      }
    });

    test("qemu-io: odd offsets and lengths, zeroes, discards", async () => {
      const commands = [
        "write -P 0xab 1000 3000",
        "read -P 0xab 1000 3000",
        "write -P 0xcd 4095 2",
        "read -P 0xab 1000 3000",
        "read -P 0xcd 4095 2",
        "write -f -P 0x11 1M 1M",
        "write -z 1060000 20001",
        "read -P 0 1060000 20001",
        "read -P 0x11 1M 11424",
        "write -z -u 1M 64k",
        "read -P 0 1M 64k",
        "discard 0 16M",
        "flush",
        "read -P 0 8M 4M",
      ];
      const args = commands.flatMap((command) => ["-c", command]);
      const output = await runOk("qemu-io", [...args, ...qemuImage]);
      assert.doesNotMatch(output, /failed|error/i);
    });

    for (const jobs of [1, 4]) {
      test(`fio writes and verifies crc32c with ${jobs} jobs`, async () => {
        const kinds = ["--rw=randwrite", "--bsrange=512-64k", "--size=24m", "--iodepth=16", "--end_fsync=1"];
        const spread = [`--numjobs=${jobs}`, "--offset_increment=128m", "--group_reporting", "--randseed=5"];
        const check = ["--verify=crc32c", "--verify_fatal=1", "--do_verify=1"];
        const fio = ["fio", "--name=verify", "--ioengine=nbd", `--uri=${await fioUri()}`, ...kinds, ...spread, ...check];
        const asNobody = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--clear-groups"] : [];
        const [command = "", ...args] = [...asNobody, ...fio];
        const output = await runOk(command, args, { folder: home, env: { HOME: home } });
        assert.match(output, /err= 0/);
      });
    }

    /** fio takes no credentials, libnbd finds them at home, but not for root: so fio is run as nobody. */
    async function fioUri(): Promise<string> {
      await chmod(service.folder, 0o755);
      const pki = join(home, ".pki/libnbd");
      await mkdir(pki, { recursive: true });
      await chmod(home, 0o777);
      await copyFile(join(certificates.clientFolder, "ca-cert.pem"), join(pki, "ca-cert.pem"));
      return nbdUri(attachment.connection_info, tls ? "nbds" : "nbd");
    }

    test("deleting the attachment ends the connections and the name", async () => {
      const used = await api.attach(await api.createVolume({ name: "cut" }));
      const usedUri = uri.replace(attachment.connection_info.name, used.connection_info.name);
      await runOk("nbdinfo", ["--size", usedUri]);
      await api.delete("attachments", used.id);
      const refused = await run("nbdinfo", ["--size", usedUri]);
      assert.notEqual(refused.code, 0);
    });
  });
}
