// Journal files of disks that were given back go at the next start; those of disks that are open, or of no registry that we know,
// stay.

import assert from "node:assert/strict";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { systemRandom } from "../../common/random.ts";
import { EngineRig, readRange } from "../engine-rig.fixture.ts";
import { MiB } from "../limits.ts";
import { keys, parseRecord, type VdiskRecord } from "../records.ts";

test("a start removes what a dead router left of disks that it had given back, and nothing else", async (t) => {
  const rig = await EngineRig.open();
  t.after(() => rig.close());
  const journal = join(rig.directory, "journal");
  const logOf = async (vdisk: string): Promise<string> => {
    const key = keys.vdisk(vdisk);
    return parseRecord<VdiskRecord>(key, (await rig.registry.get(key))!.value).log;
  };
  const [released, open] = [await rig.createDisk(MiB), await rig.createDisk(MiB)];
  const data = systemRandom.bytes(MiB);
  for (const id of [released, open]) await (await rig.open(id)).device.write(0, data, { fua: true });
  await rig.detach(released);
  const unknown = systemRandom.uuid();
  await mkdir(join(journal, unknown));
  for (const log of [await logOf(released), unknown]) await writeFile(join(journal, log, "j-00000001-00000001"), "left");
  await rig.crash();
  assert.deepEqual(await readdir(join(journal, unknown)), ["j-00000001-00000001"]);
  assert.equal((await readdir(journal)).includes(await logOf(released)), false);
  for (const id of [released, open]) {
    const session = id === open ? await rig.reopen(id) : await rig.open(id);
    assert.ok((await readRange(session, 0, MiB)).equals(data));
  }
});

test("journal files of a log whose record cannot be read stay, and those of others go", async (t) => {
  const rig = await EngineRig.open();
  t.after(() => rig.close());
  const journal = join(rig.directory, "journal");
  const logs: string[] = [];
  for (let disk = 0; disk < 3; disk++) {
    const id = await rig.createDisk(MiB);
    await rig.open(id);
    await rig.detach(id);
    const key = keys.vdisk(id);
    logs.push(parseRecord<VdiskRecord>(key, (await rig.registry.get(key))!.value).log);
  }
  logs.sort();
  await rig.crash(async () => {
    for (const log of logs) {
      await mkdir(join(journal, log), { recursive: true });
      await writeFile(join(journal, log, "j-00000001-00000001"), "left");
    }
    const damaged = { kind: "put", key: keys.log(logs[0]!), value: '{"v":' } as const;
    await rig.registry.transact({ compares: [], success: [damaged] });
  });
  const left = await readdir(journal);
  assert.deepEqual(
    logs.map((log) => left.includes(log)),
    [true, false, false],
  );
});
