// Every command for volumes of Debian's openstack client, through HAProxy and with Keystone's tokens: either it is run and
// its answer looked at (volume-commands.ts), or it stands in the list of those that are left out.

import assert from "node:assert/strict";
import { hostname } from "node:os";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type CommandResult, missingCommand, runOk } from "./harness/command.ts";
import { PythonPrograms } from "./harness/python-programs.ts";
import { prepareProxiedCloud, type ProxiedCloud } from "./harness/proxied-cloud.ts";
import { type Fields, type Row, leftOut, script } from "./volume-commands.ts";

const missing = await missingCommand(["haproxy", "keystone-manage", "openstack", "openssl", "curl"]);
/** The newest with which Debian's client can make a snapshot. */
const microversion = "3.65";
const waitMs = 120_000;
/** Commands for several services, of which one is ours. */
const shared = /^(quota (list|set|show)|limits show|availability zone list|extension list)$/;

describe("every volume command of the client", { skip: missing !== undefined && `${missing} is not installed` }, () => {
  const known = new Map([["host", hostname()]]);
  let cloud: ProxiedCloud;
  let callers: Readonly<Record<"admin" | "member", PythonPrograms>>;

  before(async () => {
    cloud = await prepareProxiedCloud();
    known.set("demo", await cloud.keystone.find("project", "demo"));
    const version = { OS_VOLUME_API_VERSION: microversion };
    callers = {
      admin: new PythonPrograms({ ...cloud.environment("admin", "admin"), ...version }),
      member: new PythonPrograms({ ...cloud.environment("ann", "demo"), ...version }),
    };
  });
  after(async () => {
    for (const caller of Object.values(callers ?? {})) await caller.stop();
    await cloud?.dispose();
  });

  const fill = (text: string): string => text.replaceAll(/\{(\w+)\}/g, (_, name: string) => known.get(name) ?? `{${name}}`);

  for (const row of script) {
    test(`${row.by ?? "member"}: ${row.command} ${row.args ?? ""}`.trim(), { timeout: 300_000 }, () => play(row));
  }

  async function play(row: Row): Promise<void> {
    const deadlineMs = performance.now() + (row.waits === true ? waitMs : 0);
    for (;;) {
      try {
        keep(row, judge(row, await call(row)));
        return;
      } catch (error) {
        if (performance.now() > deadlineMs) throw error;
        await sleep(200);
      }
    }
  }

  function call({ command, args = "", by, region, shows, lists, listsToo, keeps }: Row): Promise<CommandResult> {
    const words = [...fill(args).matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2]!);
    const asksFor = [shows, lists, listsToo, keeps].some((each) => each !== undefined);
    const place = region === undefined ? [] : ["--os-region-name", region];
    return callers[by ?? "member"].run(
      "openstack",
      ...place,
      ...command.split(" "),
      ...words,
      ...(asksFor ? ["-f", "json"] : []),
    );
  }

  /** What the client has printed as JSON; undefined when it was not asked for that. */
  function judge({ shows, lists, listsToo, fails, keeps }: Row, { code, stdout, stderr }: CommandResult): Fields | undefined {
    assert.equal(code, fails === undefined ? 0 : 1, stdout + stderr);
    assert.doesNotMatch(stderr, /Traceback/);
    if (fails !== undefined) assert.match(stderr, fails);
    const table = lists ?? listsToo;
    if (shows === undefined && table === undefined && keeps === undefined) {
      assert.equal(stdout.trim(), "");
      return undefined;
    }
    const printed = JSON.parse(stdout) as Fields | Fields[];
    if (!Array.isArray(printed)) {
      assert.ok(shows === undefined || fits(printed, shows), stdout);
      return printed;
    }
    for (const expected of table ?? []) {
      assert.ok(
        printed.some((each) => fits(each, expected)),
        `no ${JSON.stringify(expected)} in ${stdout}`,
      );
    }
    if (lists !== undefined) assert.equal(printed.length, lists.length, stdout);
    return printed[0];
  }

  function fits(given: Fields, expected: Fields): boolean {
    return Object.entries(expected).every(([name, value]) => {
      if (value instanceof RegExp) return value.test(typeof given[name] === "string" ? given[name] : JSON.stringify(given[name]));
      try {
        assert.deepEqual(given[name], JSON.parse(fill(JSON.stringify(value))));
        return true;
      } catch {
        return false;
      }
    });
  }

  function keep({ keeps }: Row, printed: Fields | undefined): void {
    for (const [name, field] of Object.entries(keeps ?? {})) {
      const value = printed?.[field];
      assert.equal(typeof value, "string", `${field} is no text in ${JSON.stringify(printed)}`);
      known.set(name, String(value));
    }
  }

  test("no command of the client is forgotten", async () => {
    const there = await listCommands();
    const played = new Set(script.map(({ command }) => command));
    const left = Object.values(leftOut).flat();
    assert.ok(there.length > 80, `the client has ${there.length} commands for volumes`);
    assert.deepEqual(
      there.filter((name) => !played.has(name) && !left.includes(name)),
      [],
      "neither run nor left out",
    );
    assert.deepEqual(
      [...played, ...left].filter((name) => !there.includes(name)),
      [],
      "the client has no such command",
    );
    assert.deepEqual(
      left.filter((name) => played.has(name)),
      [],
      "left out, and run all the same",
    );
  });

  async function listCommands(): Promise<string[]> {
    const text = await runOk("openstack", ["command", "list", "-f", "json"], { env: { OS_VOLUME_API_VERSION: microversion } });
    const groups = JSON.parse(text) as readonly { readonly "Command Group": string; readonly Commands: readonly string[] }[];
    return groups.flatMap(({ "Command Group": group, Commands: commands }) => {
      if (group === "openstack.volume.v3") return commands;
      return group === "openstack.common" ? commands.filter((name) => shared.test(name)) : [];
    });
  }
});
