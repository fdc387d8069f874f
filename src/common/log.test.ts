// What reaches the log's file: the oslo line as collectors parse it, JSON, traces, levels, rotation, and no secrets.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { systemClock } from "./clock.ts";
import { AndironError } from "./errors.ts";
import { type Log, followHangups, logFilePath, openLog } from "./log.ts";

const folder = mkdtempSync(join(tmpdir(), "log-"));
after(() => rmSync(folder, { recursive: true }));
let count = 0;
const wallMs = new Date(2026, 1, 3, 4, 5, 6, 78).getTime();

const open = async (
  settings: { json?: boolean; debug?: boolean } = {},
): Promise<{ log: Log; file: string; read: () => Promise<string> }> => {
  const file = join(folder, `${++count}.log`);
  const clock = { ...systemClock, wallMs: () => wallMs };
  const log = openLog({ program: "andiron", file, json: false, debug: false, clock, ...settings });
  log.info("opened");
  const read = async (): Promise<string> => {
    await log.flush();
    return readFileSync(file, "utf8").split("\n").slice(1).join("\n");
  };
  return { log, file, read };
};

const waitFor = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await systemClock.sleep(5);
};

/** The shape that fluentd of an OpenStack installation expects of a service's log. */
const osloLine =
  /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \d+ (DEBUG|INFO|WARNING|ERROR) \S+ \[(-|(None|req-\S+) req-\S+( \S+){6})\] .*$/;

test("a line without a request has the default format of oslo.log", async () => {
  const { log, read } = await open();
  log.part("nbd.server").info("listening", { port: 10809, note: "two words" });
  assert.equal(
    await read(),
    `2026-02-03 04:05:06.078 ${process.pid} INFO andiron.nbd.server [-] listening port=10809 note="two words"\n`,
  );
});

test("a line of a request names who asked, with - for what is not known", async () => {
  const { log, read } = await open();
  const context = { requestId: "req-1", userId: "u", projectId: "p", userDomainId: "default" };
  log.forRequest(context).part("api").warning("slow");
  log.forRequest({ ...context, globalRequestId: "req-0" }).info("done");
  const prefix = `2026-02-03 04:05:06.078 ${process.pid}`;
  assert.equal(
    await read(),
    `${prefix} WARNING andiron.api [None req-1 u p - - default -] slow\n` +
      `${prefix} INFO andiron [req-0 req-1 u p - - default -] done\n`,
  );
});

test("an error's trace and causes follow the line, each line with the prefix at level ERROR", async () => {
  const { log, read } = await open();
  const cause = new Error("disk\nis gone");
  log.error("cannot sync", {
    error: new AndironError("journal_poisoned", "fdatasync failed", { cause, hint: "look at the disk" }),
  });
  const [first, ...trace] = (await read()).trimEnd().split("\n");
  assert.match(first!, /\[-\] cannot sync: AndironError: fdatasync failed \(journal_poisoned\); look at the disk$/);
  assert.ok(trace.length > 4);
  for (const line of trace) assert.ok(line.startsWith(`2026-02-03 04:05:06.078 ${process.pid} ERROR andiron `), line);
  assert.ok(trace.some((line) => line.endsWith("ERROR andiron caused by: Error: disk")));
});

test("what a client sends cannot forge a line, nor shift its fields", async () => {
  const { log, read } = await open();
  log
    .forRequest({ requestId: "req-1] x [", userId: "a b" })
    .info("name is a\n2026-02-03 04:05:06.078 1 ERROR x [-] forged", { b: "c\nd" });
  const lines = (await read()).trimEnd().split("\n");
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, osloLine);
});

test("use_json gives the fields of oslo.log's JSONFormatter", async () => {
  const { log, read } = await open({ json: true });
  log
    .part("api")
    .forRequest({ requestId: "req-1", projectId: "p" })
    .error("no", { error: new Error("why"), volume: "v" });
  const record = JSON.parse(await read()) as Record<string, unknown>;
  assert.deepEqual(
    Object.keys(record).join(" "),
    "message asctime name msg args levelname levelno pathname filename module lineno funcname created msecs relative_created " +
      "thread thread_name process_name process traceback hostname error_summary context extra",
  );
  assert.equal(record["levelname"], "ERROR");
  assert.equal(record["levelno"], 40);
  assert.equal(record["asctime"], "2026-02-03 04:05:06,078");
  assert.equal(record["error_summary"], "Error: why");
  assert.match(String(record["traceback"]), /^Error: why\n {4}at /);
  assert.deepEqual(record["extra"], { volume: "v" });
  assert.equal((record["context"] as Record<string, unknown>)["project"], "p");
});

for (const json of [false, true]) {
  test(`secrets do not reach the ${json ? "JSON" : "lines"}, wherever they stand`, async () => {
    const { log, read } = await open({ json });
    const secret = "s3cr3t-gAAAAA";
    log.info("headers", {
      headers: { "X-Auth-Token": secret, deep: [{ password: secret }] },
      export_name: secret,
      token: secret,
    });
    log.error(`X-Auth-Token: ${secret}`, { error: new Error(`amqp://rabbit:${secret}@host/ admin_password=${secret}`) });
    log.info(`X-Auth-Key: ${secret}`, { headers: { "x-auth-key": secret, "x-storage-token": secret } });
    log.info("Authorization: Basic c2VjcmV0LWdBQUFBQQ==", { error: { credentials: secret, exportName: secret } });
    const text = await read();
    assert.doesNotMatch(text, /s3cr3t|c2VjcmV0/);
    assert.match(text, /amqp:\/\/rabbit:\*\*\*@host\//);
  });
}

test("DEBUG lines are left out until debug is set, for loggers made before too", async () => {
  const { log, read } = await open();
  const part = log.part("engine");
  part.debug("one");
  log.setDebug(true);
  part.debug("two");
  log.setDebug(false);
  part.debug("three");
  assert.deepEqual(
    [...(await read()).matchAll(/DEBUG \S+ \[-\] (\w+)/g)].map((match) => match[1]),
    ["two"],
  );
});

test("SIGHUP opens a file that was moved away anew, and asks for debug again", async () => {
  const { log, file } = await open();
  followHangups(log, () => true);
  log.info("before");
  await log.flush();
  renameSync(file, `${file}.1`);
  const hangup = once(process, "SIGHUP");
  process.kill(process.pid, "SIGHUP");
  await hangup;
  await waitFor(() => existsSync(file));
  log.debug("after");
  await log.flush();
  assert.match(readFileSync(`${file}.1`, "utf8"), /before/);
  assert.match(readFileSync(file, "utf8"), /DEBUG andiron \[-\] after/);
  process.removeAllListeners("SIGHUP");
});

test("a huge message and a circular field do no harm", async () => {
  const { log, read } = await open();
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  log.info("x".repeat(1_000_000), { circular, big: 1n, bytes: Buffer.alloc(5) });
  const text = await read();
  assert.ok(text.length < 20_000);
  assert.match(text, /big=1 bytes="<5 bytes>"\n$/);
});

test("log_file and log_dir say where the log goes", () => {
  assert.equal(logFilePath("andiron", { log_file: "", log_dir: "" }), undefined);
  assert.equal(logFilePath("andiron", { log_file: "", log_dir: "/var/log/a" }), "/var/log/a/andiron.log");
  assert.equal(logFilePath("andiron", { log_file: "b.log", log_dir: "/var/log/a" }), "/var/log/a/b.log");
  assert.equal(logFilePath("andiron", { log_file: "/c.log", log_dir: "/var/log/a" }), "/c.log");
});
