// The hot reads, and what writes, once more with TLS: a second Andiron and other processes of the peers have a certificate, and
// the client asks for TLS on the same kind of socket. Not QEMU's client: its benchmark cannot be told of certificates.

import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { makeCertificates } from "../test/harness/certificates.ts";
import type { Lab } from "./lab.ts";
import { measures, type Measure } from "./measure.ts";
import { openPeer, ourName, withTls, type PeerName, type Target } from "./target.ts";

const reads: ReadonlySet<string> = new Set(["random read hot QD1", "random read hot QD32", "sequential 1 MiB read QD8"]);

const isMeant = ({ rows: [first], writes }: Measure): boolean =>
  reads.has(first!.name) || (writes && !first!.name.startsWith("QEMU's client"));

const peers: readonly PeerName[] = ["qemu-nbd", "nbdkit file"];

/** Of a lab: the folder with the certificates, by the names that QEMU and nbdkit look for. */
const folders = new WeakMap<Lab, Promise<string>>();

async function makeFolder(lab: Lab): Promise<string> {
  const folder = join(lab.folder, "tls");
  await mkdir(folder, { mode: 0o700 });
  const { authorityFile } = await makeCertificates(folder);
  await copyFile(authorityFile, join(folder, "ca-cert.pem"));
  return folder;
}

async function tlsTarget(lab: Lab, main: Target): Promise<Target> {
  if (!folders.has(lab)) folders.set(lab, makeFolder(lab));
  const folder = await folders.get(lab)!;
  if (main.name !== ourName) return lab.addTarget(`tls ${main.name}`, () => openPeer(main.name as PeerName, folder, folder));
  const nbd = {
    tls_mode: "require",
    tls_cert_file: join(folder, "server-cert.pem"),
    tls_key_file: join(folder, "server-key.pem"),
  };
  return withTls(await lab.variant(main, "tls", { engine: { cache_bytes: 2 * lab.scale.rangeBytes }, nbd }));
}

const targets = new WeakMap<Target, Promise<Target>>();

function overTls(measure: Measure): Measure {
  return {
    ...measure,
    condition: "TLS",
    rows: measure.rows.map((row) => ({ ...row, name: `TLS: ${row.name}`, aims: {} })),
    peers,
    roundsMax: 2,
    async prepare(lab, main) {
      let target = targets.get(main);
      if (target === undefined) {
        target = tlsTarget(lab, main);
        targets.set(main, target);
      }
      return measure.prepare(lab, await target);
    },
  };
}

export const tlsMeasures: readonly Measure[] = measures.filter(isMeant).map(overTls);
