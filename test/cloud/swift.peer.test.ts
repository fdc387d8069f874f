// Tests the tests' Swift: that Debian's own client can use it both ways, with tempauth and with Keystone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { missingCommand, runOk } from "../harness/command.ts";
import { password, prepareKeystone } from "../keystone/keystone.ts";
import { prepareSwift, swiftPrograms } from "./swift.ts";

const missing = await missingCommand([...swiftPrograms, "swift"]);

test(
  "Debian's client lists what is there, with tempauth and with Keystone",
  { skip: missing !== undefined && `${missing} is not installed`, timeout: 600_000 },
  async (t) => {
    const swift = await prepareSwift();
    t.after(() => swift.dispose());
    const tempauth = ["-A", `${swift.url}/auth/v1.0`, "-U", "test:tester", "-K", "testing"];
    assert.deepEqual(await lines([...tempauth, "list", "started"]), ["object"]);
    const keystone = await prepareKeystone();
    t.after(() => keystone.dispose());
    await swift.startKeystoneProxy(keystone);
    await keystone.grant("ann", "demo", "member");
    const domains = ["--os-user-domain-id", "default", "--os-project-domain-id", "default", "-V", "3"];
    const who = ["--os-username", "ann", "--os-password", password, "--os-project-name", "demo"];
    const ann = ["--os-auth-url", keystone.url, ...domains, ...who];
    await lines([...ann, "post", "of-ann"]);
    assert.deepEqual(await lines([...ann, "list"]), ["of-ann"]);
    assert.deepEqual(await lines([...tempauth, "list"]), ["started"]);
  },
);

async function lines(args: readonly string[]): Promise<string[]> {
  const stdout = await runOk("swift", args);
  return stdout.split("\n").filter((line) => line !== "");
}
