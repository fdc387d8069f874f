// What the tests of the NBD server share: a server on a private Unix socket and on a port of 127.0.0.1, a raw client that
// sends any bytes, and certificates made by openssl.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../common/clock.ts";
import { NbdClient, type NbdClientOptions } from "./client.ts";
import type { NbdLimits } from "./limits.ts";
import { RamDirectory } from "./ram-device.test.ts";
import { NbdServer, type NbdServerOptions } from "./server.ts";

export interface Rig {
  readonly server: NbdServer;
  readonly directory: RamDirectory;
  readonly folder: string;
  readonly path: string;
  readonly port: number;
  client(exportName: string, options?: Partial<NbdClientOptions>): Promise<NbdClient>;
  raw(): Promise<RawClient>;
}

export function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "andiron-nbd-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A started server with a directory that has no exports yet; all of it ends with the test. */
export async function startRig(
  t: TestContext,
  limits: Partial<NbdLimits> = {},
  options: Partial<NbdServerOptions> = {},
): Promise<Rig> {
  const folder = makeFolder(t);
  const path = join(folder, "nbd.sock");
  const directory = new RamDirectory();
  const listen = [{ path }, { host: "127.0.0.1", port: 0 }];
  const server = new NbdServer({ listen, directory, clock: systemClock, limits, ...options });
  await server.start();
  const ends: Array<() => unknown> = [];
  t.after(async () => {
    for (const end of ends) end();
    await server.stop();
  });
  const tcp = server.addresses()[1];
  assert.ok(tcp !== undefined && "port" in tcp);
  return {
    ...{ server, directory, folder, path, port: tcp.port },
    client: async (exportName, more = {}) => {
      const client = await NbdClient.connect({ address: { path }, exportName, clock: systemClock, ...more });
      ends.push(() => client.destroy());
      return client;
    },
    raw: async () => {
      const client = await RawClient.connect(path);
      ends.push(() => client.socket.destroy());
      return client;
    },
  };
}

/** A client that says what it is told to, and keeps what it hears. */
export class RawClient {
  readonly socket: Socket;
  received: Buffer = Buffer.alloc(0);
  ended = false;
  #wake: () => void = () => {};

  static async connect(path: string): Promise<RawClient> {
    const client = new RawClient(connect({ path, allowHalfOpen: true }));
    await client.take(18);
    return client;
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.#wake();
    });
    const end = (): void => {
      this.ended = true;
      this.#wake();
    };
    socket.on("end", end).on("close", end).on("error", end);
  }

  /** The next `count` bytes. */
  async take(count: number): Promise<Buffer> {
    while (this.received.length < count) {
      assert.equal(this.ended, false, "the server hung up");
      await this.#change();
    }
    const taken = this.received.subarray(0, count);
    this.received = this.received.subarray(count);
    return taken;
  }

  /** Waits until the server has hung up; gives what it said before. */
  async rest(): Promise<Buffer> {
    while (!this.ended) await this.#change();
    return this.received;
  }

  /** Sends an option and takes its next reply. */
  async ask(number: number, data: Buffer | string = ""): Promise<{ type: number; data: Buffer }> {
    this.socket.write(optionOf(number, data));
    return this.reply();
  }

  async reply(): Promise<{ type: number; data: Buffer }> {
    const header = await this.take(20);
    return { type: header.readUInt32BE(12), data: await this.take(header.readUInt32BE(16)) };
  }

  /** Client flags, then EXPORT_NAME: on to the transmission phase with simple replies. */
  async enter(exportName: string): Promise<void> {
    this.socket.write(clientFlags);
    this.socket.write(optionOf(1, exportName));
    await this.take(10);
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

export const clientFlags = Buffer.from([0, 0, 0, 3]);

export function optionOf(number: number, data: Buffer | string): Buffer {
  const payload = Buffer.from(data as string, "latin1");
  const header = Buffer.from("49484156454F50540000000000000000", "hex");
  header.writeUInt32BE(number, 8);
  header.writeUInt32BE(payload.length, 12);
  return Buffer.concat([header, payload]);
}

export interface Certificates {
  /** The names that libnbd and QEMU look for are in here. */
  readonly folder: string;
  readonly ca: Buffer;
  readonly server: { key: Buffer; cert: Buffer };
  readonly client: { key: Buffer; cert: Buffer };
}

/** A CA, a server certificate for localhost and a client certificate, in `folder`. */
export function makeCertificates(folder: string): Certificates {
  const openssl = (...args: string[]): unknown => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-days", "2", "-subj", "/CN=test ca", "-keyout", "ca-key.pem", "-out", "ca-cert.pem");
  const extensions = "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
  writeFileSync(join(folder, "extensions"), extensions);
  for (const name of ["server", "client"]) {
    const files = ["-keyout", `${name}-key.pem`, "-out", `${name}.csr`];
    openssl("req", "-new", ...key, "-subj", `/CN=${name === "server" ? "localhost" : "client"}`, ...files);
    const signing = ["-CA", "ca-cert.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-extfile", "extensions", "-days", "2"];
    openssl("x509", "-req", "-in", `${name}.csr`, ...signing, "-out", `${name}-cert.pem`);
  }
  const pair = (name: string): { key: Buffer; cert: Buffer } => ({
    key: readFileSync(join(folder, `${name}-key.pem`)),
    cert: readFileSync(join(folder, `${name}-cert.pem`)),
  });
  return { folder, ca: readFileSync(join(folder, "ca-cert.pem")), server: pair("server"), client: pair("client") };
}

test("a rig greets whoever connects", async (t) => {
  const rig = await startRig(t);
  const raw = await rig.raw();
  assert.equal(raw.ended, false);
  assert.equal(rig.server.connectionCount, 1);
});
