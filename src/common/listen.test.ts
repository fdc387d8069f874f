// Listening where someone else does: the message names the option and the process.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type Server, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { AndironError } from "./errors.ts";
import { listenOnPort, listenOnSocket } from "./listen.ts";

const folder = mkdtempSync(join(tmpdir(), "listen-"));
after(() => rmSync(folder, { recursive: true }));

const withCode = (code: string, message: RegExp) => {
  return (error: unknown): boolean => error instanceof AndironError && error.code === code && message.test(error.message);
};
const opened: Server[] = [];
const newServer = (): Server => {
  const server = createServer();
  opened.push(server);
  return server;
};
after(() => opened.forEach((server) => server.close()));

/** Runs a server in another process; resolves with its pid and what it printed. */
const startListener = async (expression: string): Promise<{ pid: number; printed: string; end: () => Promise<void> }> => {
  const program = `const s = require("net").createServer().listen(${expression}, () => console.log(s.address().port ?? "up"))`;
  const child = spawn(process.execPath, ["-e", program, "busy-peer"], { stdio: ["ignore", "pipe", "inherit"] });
  const [data] = (await once(child.stdout, "data")) as [Buffer];
  const end = async (): Promise<void> => {
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { pid: child.pid!, printed: data.toString().trim(), end };
};

test("port 0 gives a free port, which is told", async () => {
  const port = await listenOnPort(newServer(), { host: "127.0.0.1", port: 0, option: "[nbd] port" });
  assert.ok(port > 0 && port < 65536);
});

for (const [host, shown] of [
  ["127.0.0.1", "127.0.0.1"],
  ["::1", "[::1]"],
] as const) {
  test(`a busy port on ${host} is reported with its option and who holds it`, async () => {
    const { pid, printed, end } = await startListener(`0, "${host}"`);
    try {
      await assert.rejects(
        listenOnPort(newServer(), { host, port: Number(printed), option: "[nbd] port" }),
        (error: AndironError) => {
          assert.equal(error.code, "address_in_use");
          assert.ok(
            error.message.startsWith(`cannot listen on ${shown}:${printed} ([nbd] port): in use by pid ${pid} (`),
            error.message,
          );
          assert.match(error.message, /node/);
          assert.match(error.hint!, /\[nbd\] port/);
          return true;
        },
      );
    } finally {
      await end();
    }
  });
}

test("an address of another machine is a matter of the configuration", async () => {
  const refused = listenOnPort(newServer(), { host: "192.0.2.1", port: 0, option: "[nbd] listen" });
  await assert.rejects(refused, withCode("config_invalid", /192\.0\.2\.1.*\[nbd\] listen.*no address of this machine/));
});

test("a Unix socket that a dead process left is taken over", async () => {
  const path = join(folder, "left");
  const { end } = await startListener(`"${path}"`);
  await end();
  assert.ok(existsSync(path));
  await listenOnSocket(newServer(), path, "[nbd] unix_socket");
});

test("a Unix socket in use is reported with who holds it, and goes on serving", async () => {
  const path = join(folder, "busy");
  const { pid, end } = await startListener(`"${path}"`);
  try {
    const message = new RegExp(`busy \\(\\[nbd\\] unix_socket\\): in use by pid ${pid} \\(`);
    for (let round = 0; round < 2; round++) {
      await assert.rejects(listenOnSocket(newServer(), path, "[nbd] unix_socket"), withCode("address_in_use", message));
    }
  } finally {
    await end();
  }
});

test("a file that is no socket is never removed to make room for one", async () => {
  const path = join(folder, "precious");
  writeFileSync(path, "data");
  const refused = listenOnSocket(newServer(), path, "[nbd] unix_socket");
  await assert.rejects(refused, withCode("address_in_use", /precious \(\[nbd\] unix_socket\)/));
  assert.equal(readFileSync(path, "utf8"), "data");
});
