// Loading a configuration: precedence, substitution, types, messages, and the rules between options.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type Config, loadConfig, readConfigArguments } from "./config.ts";
import { isLoopback } from "./config-rules.ts";
import { AndironError } from "./errors.ts";
import { renderSample } from "../../scripts/generated-files.ts";

const folder = mkdtempSync(join(tmpdir(), "config-"));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

const write = (...lines: string[]): string => {
  const path = join(folder, `${++count}.conf`);
  writeFileSync(path, lines.join("\n"));
  return path;
};
const load = (...lines: string[]): Config => loadFiles(write(...lines));
const loadFiles = (...files: string[]): Config =>
  loadConfig({ files, directories: [], hostname: "stove", defaultStatePath: "/state" });
const problemsOf = (...lines: string[]): string => {
  try {
    load(...lines);
  } catch (error) {
    assert.ok(error instanceof AndironError && error.code === "config_invalid", String(error));
    return error.message;
  }
  return assert.fail("the configuration was taken");
};

test("with no file at all every option has its default, substitutions done", () => {
  const config = loadFiles();
  assert.equal(config.DEFAULT.osapi_volume_listen_port, 8776);
  assert.equal(config.DEFAULT.host, "stove");
  assert.equal(config.registry.connection, "/state/registry.db");
  assert.deepEqual(config.nbd.advertised_hosts, ["127.0.0.1"]);
  assert.deepEqual([...config.backends.keys()], ["vpool1"]);
  assert.equal(config.backends.get("vpool1")?.file_path, "/state/backend/vpool1");
  assert.equal(config.backends.get("vpool1")?.volume_backend_name, "vpool1");
  assert.deepEqual(config.warnings, []);
});

test("the sample file, with every line taken into use, says what the defaults say", () => {
  const enabled = renderSample().replaceAll(/^#(\w+ =)/gm, "$1");
  assert.match(enabled, /^osapi_volume_listen_port = 8776$/m);
  assert.deepEqual(load(enabled), load("[DEFAULT]"));
});

test("later files win, and the last of repeated options", () => {
  const first = write("[nbd]", "port = 1", "port = 2", "connections_max = 7");
  const config = loadFiles(first, write("[nbd]", "port = 3"));
  assert.equal(config.nbd.port, 3);
  assert.equal(config.nbd.connections_max, 7);
});

test("a directory's *.conf files come after the files, by name", () => {
  const directory = join(folder, "conf.d");
  mkdirSync(directory);
  writeFileSync(join(directory, "20.conf"), "[nbd]\nport = 20\n");
  writeFileSync(join(directory, "10.conf"), "[nbd]\nport = 10\n");
  writeFileSync(join(directory, "30.conf.off"), "[nbd]\nport = 30\n");
  const sources = { files: [write("[nbd]", "port = 1")], directories: [directory], hostname: "h", defaultStatePath: "/s" };
  assert.equal(loadConfig(sources).nbd.port, 20);
});

test("a value may refer to its own group, to DEFAULT, to another group, and to nothing by $$", () => {
  const config = load(
    "[DEFAULT]",
    "state_path = /data",
    "host = ${nbd.listen}-$$5",
    "[nbd]",
    "listen = 127.0.0.9",
    "unix_socket = $state_path/$port.sock",
    "advertised_hosts = $listen, $my_ip",
  );
  assert.equal(config.nbd.unix_socket, "/data/10809.sock");
  assert.deepEqual(config.nbd.advertised_hosts, ["127.0.0.9", "127.0.0.1"]);
  assert.equal(config.engine.journal_path, "/data/journal");
  assert.equal(config.DEFAULT.host, "127.0.0.9-$5");
});

test("a reference to nothing and one to itself are refused", () => {
  assert.match(problemsOf("state_path = $nothing/x"), /1: \[DEFAULT\] state_path: .* refers to \$nothing/);
  assert.match(problemsOf("host = a$host"), /\[DEFAULT\] host: .* refers to itself/);
});

test("every problem is told at once, with file, line, group and option", () => {
  const text = problemsOf(
    "[DEFAULT]",
    "debug = maybe",
    "quota_volumes = -2",
    "[nbd]",
    "port = 65536",
    "tls_mode = on",
    "listen = a b",
  );
  const lines = text.split("\n").map((line) => line.slice(folder.length).replace(/^\/\d+/, ""));
  assert.deepEqual(lines, [
    '.conf:2: [DEFAULT] debug: "maybe" is not a boolean (true, false, yes, no, on, off, 1, 0)',
    '.conf:3: [DEFAULT] quota_volumes: "-2" is less than -1',
    '.conf:7: [nbd] listen: "a b" is not a host name or address',
    '.conf:5: [nbd] port: "65536" is more than 65535',
    '.conf:6: [nbd] tls_mode: "on" is not one of: off, allow, require',
  ]);
});

test("numbers are whole numbers, and floats are numbers", () => {
  for (const value of ["", "1.5", "0x10", "1e3", "ten"])
    assert.match(problemsOf(`quota_volumes = ${value}`), /is not an integer/);
  assert.match(problemsOf("max_over_subscription_ratio = auto"), /is not a number/);
  assert.equal(load("max_over_subscription_ratio = 1.5").DEFAULT.max_over_subscription_ratio, 1.5);
});

test("an unknown option of a known group is a warning with the nearest name; other groups are left alone", () => {
  const config = load(
    "[DEFAULT]",
    "osapi_volume_listen_prot = 1",
    "xyzzy = 1",
    "[glance]",
    "port = 1",
    "[vpool1]",
    "file_pat = /x",
  );
  assert.equal(config.warnings.length, 3);
  assert.match(config.warnings[0]!, /:2: \[DEFAULT\] osapi_volume_listen_prot .*did you mean osapi_volume_listen_port\?/);
  assert.doesNotMatch(config.warnings[1]!, /did you mean/);
  assert.match(config.warnings[2]!, /\[vpool1\] file_pat .*did you mean file_path\?/);
});

test("an option named like a property of every object is just unknown", () => {
  assert.match(load("constructor = 1").warnings[0]!, /constructor/);
  assert.match(problemsOf("host = $constructor"), /refers to \$constructor/);
});

test("what a backend's group says of capacity goes before what [DEFAULT] says", () => {
  const lines = ["enabled_backends = a, b", "reserved_percentage = 5", "[a]", "reserved_percentage = 7"];
  const { backends } = load(...lines, "max_over_subscription_ratio = 1.5");
  const shown = ["a", "b"].map((name) => backends.get(name)!);
  assert.deepEqual(
    shown.map((backend) => [backend.reserved_percentage, backend.max_over_subscription_ratio]),
    [
      [7, 1.5],
      [5, 20],
    ],
  );
  assert.match(problemsOf("[vpool1]", "reserved_percentage = 101"), /\[vpool1\] reserved_percentage/);
});

test("each enabled backend has its group; one that is another group's name, given twice or sharing a path is refused", () => {
  const config = load("enabled_backends = fast, slow", "[fast]", "file_path = /fast", "volume_backend_name = ssd");
  assert.equal(config.backends.get("fast")?.volume_backend_name, "ssd");
  assert.equal(config.backends.get("slow")?.file_path, "/state/backend/slow");
  assert.match(problemsOf("enabled_backends = nbd"), /"nbd" is a group of another use/);
  assert.match(problemsOf("enabled_backends = a, a"), /names a backend twice/);
  assert.match(problemsOf("enabled_backends ="), /names no backend/);
  assert.match(
    problemsOf("enabled_backends = a, b", "[a]", "file_path = /x", "[b]", "file_path = /x"),
    /\[b\] file_path: .*\[a\]/,
  );
});

test("credentials are asked for where they are needed, and Keystone lets the API listen anywhere", () => {
  const open = ["auth_strategy = keystone", "osapi_volume_listen = 0.0.0.0", "[keystone_authtoken]"];
  assert.match(problemsOf(...open), /\[keystone_authtoken\] auth_url: must be set: auth_strategy = keystone/);
  assert.match(problemsOf(...open, "auth_url = keystone", "username = u"), /auth_url: is keystone, which is no URL/);
  assert.match(problemsOf(...open, "auth_url = http://k", "username = u"), /\[keystone_authtoken\] password: must be set/);
  const credential = ["auth_type = v3applicationcredential", "auth_url = http://k", "application_credential_id = i"];
  assert.match(problemsOf(...open, ...credential), /application_credential_secret: must be set/);
  const config = load("[DEFAULT]", ...open, ...credential, "application_credential_secret = s");
  assert.equal(config.keystone_authtoken.www_authenticate_uri, "http://k");
  assert.match(problemsOf("[service_user]", "send_service_user_token = true"), /\[service_user\] auth_url: must be set/);
});

test("noauth is refused on every address that is not loopback, naming the option", () => {
  for (const address of ["0.0.0.0", "::", "10.0.0.1", "stove.example", "128.0.0.1", "::ffff:10.0.0.1"]) {
    assert.match(
      problemsOf(`osapi_volume_listen = ${address}`),
      /\[DEFAULT\] osapi_volume_listen: auth_strategy = noauth/,
      address,
    );
  }
  for (const address of ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"]) load(`osapi_volume_listen = ${address}`);
});

test("loopback is told by address, not by what a name resolves to", () => {
  assert.equal(isLoopback("127.0.0.1.example.org"), false);
  assert.equal(isLoopback("127.1"), false);
});

test("TLS needs a certificate and a key, and verified clients an authority", () => {
  assert.match(problemsOf("[nbd]", "tls_mode = require"), /tls_cert_file: must be set[\s\S]*tls_key_file: must be set/);
  const pair = ["[nbd]", "tls_mode = allow", "tls_cert_file = /c", "tls_key_file = /k"];
  assert.match(problemsOf(...pair, "tls_verify_peer = yes"), /tls_ca_file: must be set/);
  load(...pair);
});

test("HTTPS needs a certificate and a key, and nothing else does", () => {
  const problems = problemsOf("osapi_volume_use_ssl = true");
  assert.match(problems, /\[ssl\] cert_file: must be set: osapi_volume_use_ssl = true\n.*\[ssl\] key_file: must be set/);
  const config = load("osapi_volume_use_ssl = on", "[ssl]", "cert_file = /c", "key_file = /k");
  assert.equal(config.ssl.ca_file, "");
  load("[ssl]", "cert_file = /c");
});

test("public_endpoint is a URL that links can go on from", () => {
  for (const url of ["cloud.example", "ftp://cloud", "https://cloud/?a=b", "/volume", "https://", "https://cloud/#x"]) {
    assert.match(problemsOf(`public_endpoint = ${url}`), /\[DEFAULT\] public_endpoint: .*no http or https URL/, url);
  }
  assert.match(problemsOf("public_endpoint = https://cloud/volume/v3/"), /must end before \/v3/);
  for (const url of ["https://cloud", "http://cloud:8776/", "https://[::1]:8776/volume"]) load(`public_endpoint = ${url}`);
});

test("a file that cannot be read is named", () => {
  assert.throws(() => loadFiles(join(folder, "absent.conf")), /config_invalid|cannot read .*absent\.conf/);
});

test("the command line names files and directories, in order, and leaves the rest", () => {
  const read = readConfigArguments(["--config-file", "a", "gc", "--config-file=b", "--config-dir", "d", "--", "--x"]);
  assert.deepEqual(read, { files: ["a", "b"], directories: ["d"], flags: new Set(), rest: ["gc", "--x"] });
  assert.throws(() => readConfigArguments(["--config-fil", "a"]), /command line: .*config-fil/);
  const flagged = readConfigArguments(["--json", "list", "--config-dir", "d"], ["json", "quiet"]);
  assert.deepEqual(flagged, { files: [], directories: ["d"], flags: new Set(["json"]), rest: ["list"] });
});
