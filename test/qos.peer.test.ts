// Limits that an operator ties to a type, seen by fio: the volume goes no faster, by requests and by bytes, with many requests in
// flight and from two attachments at once. How near it comes is printed; that it is slower on a busy machine is no failure.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { join } from "node:path";
import { readReport, type FioFigures } from "../bench/fio.ts";
import { BlockStorage } from "./harness/block-storage.ts";
import { missingCommand, runOk } from "./harness/command.ts";
import { prepareAndiron, type AndironProcess } from "./harness/service.ts";

const missing = await missingCommand(["fio"]);
const skip = missing !== undefined && `${missing} is not installed`;
const seconds = 4;
const mebibyte = 2 ** 20;

describe("limits of a type's qos specs", { skip, timeout: 180_000 }, () => {
  let service: AndironProcess;
  let api: BlockStorage;

  before(async () => {
    service = await prepareAndiron({ nbd: { port: 0, unix_socket: "$state_path/nbd.sock" } });
    await service.start();
    api = new BlockStorage(service);
  });
  after(() => service.dispose());

  /** A volume of a type that is tied to the specs, attached so many times: the exports' names. */
  async function attached(name: string, consumer: string, specs: Record<string, string>, times = 1): Promise<string[]> {
    const { qos_specs: qos } = await api.call<{ qos_specs: { id: string } }>("POST", "/qos-specs", {
      qos_specs: { name, consumer, ...specs },
    });
    const extra_specs = times > 1 ? { multiattach: "<is> True" } : {};
    const { volume_type: type } = await api.call<{ volume_type: { id: string } }>("POST", "/types", {
      volume_type: { name, extra_specs },
    });
    await api.call("GET", `/qos-specs/${qos.id}/associate?vol_type_id=${type.id}`);
    const id = await api.createVolume({ volume_type: name });
    const names: string[] = [];
    while (names.length < times) names.push((await api.attach(id)).connection_info.name);
    return names;
  }

  async function load(exportNames: readonly string[], options: readonly string[]): Promise<FioFigures> {
    const socket = join(service.statePath, "nbd.sock");
    const jobs = exportNames.flatMap((name, at) => [`--name=disk${at}`, `--uri=nbd+unix:///${name}?socket=${socket}`]);
    const fixed = ["--ioengine=nbd", "--size=256M", `--runtime=${seconds}`, "--time_based", "--norandommap", "--thread"];
    const report = ["--group_reporting", "--unified_rw_reporting=1", "--output-format=json", "--percentile_list=99.9"];
    return readReport(
      await runOk("fio", [...fixed, ...report, ...options, ...jobs], { folder: service.folder, timeoutMs: 60_000 }),
    );
  }

  function assertHolds(actual: number, limit: number, say: (line: string) => void): void {
    say(`${((actual / limit) * 100).toFixed(1)} % of the limit`);
    assert.ok(actual <= 1.05 * limit, `${actual} is above ${limit}`);
  }

  test("requests a second", async (t) => {
    const names = await attached("requests", "back-end", { total_iops_sec: "500" });
    const { iops } = await load(names, ["--rw=randrw", "--bs=4k", "--iodepth=32"]);
    assertHolds(iops, 500, (line) => t.diagnostic(line));
  });

  test("bytes a second", async (t) => {
    const names = await attached("bytes", "both", { write_bytes_sec: String(20 * mebibyte) });
    const { mebibytesPerSecond } = await load(names, ["--rw=write", "--bs=256k", "--iodepth=8"]);
    assertHolds(mebibytesPerSecond, 20, (line) => t.diagnostic(line));
  });

  test("two attachments share them", async (t) => {
    const names = await attached("shared", "back-end", { read_iops_sec_per_gb: "300" }, 2);
    const { iops } = await load(names, ["--rw=randread", "--bs=4k", "--iodepth=16"]);
    assertHolds(iops, 300, (line) => t.diagnostic(line));
  });

  test("none by the storage router when the compute host is to enforce them", async () => {
    const names = await attached("front", "front-end", { total_iops_sec: "10" });
    const { iops } = await load(names, ["--rw=randread", "--bs=4k", "--iodepth=32"]);
    assert.ok(iops > 20, `${iops}`);
  });
});
