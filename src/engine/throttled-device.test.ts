// Exports with limits on a real engine: what waits does not hold up a detach, connections of one disk share the limits, and an
// export without limits has none.

import assert from "node:assert/strict";
import { test } from "node:test";
import { systemRandom } from "../common/random.ts";
import type { IoLimits } from "./control.ts";
import type { ExportSession } from "./device.ts";
import { EngineRig, readRange } from "./engine-rig.fixture.ts";
import { MiB } from "./limits.ts";

/** One write, and then none for as long as a test may take. */
const oneWrite: IoLimits = { rates: [{ of: "write", unit: "requests", perSecond: 0.001 }] };

async function open(rig: EngineRig, vdiskId: string, limits?: IoLimits): Promise<{ session: ExportSession; id: string }> {
  const id = systemRandom.uuid();
  const request = { id, vdiskId, readOnly: false, limits };
  const { exportName } = await rig.atomically((tx) => rig.control.createExport(tx, request));
  const session = await rig.router.exports.open(exportName);
  session.onRevoked(() => void session.close());
  return { session, id };
}

test("writes that wait for their limit are refused when the export goes; reads, flushes and other disks went on", async (t) => {
  const rig = await EngineRig.open();
  t.after(() => rig.close());
  const [limited, free] = [await rig.createDisk(MiB), await rig.createDisk(MiB)];
  const { session, id } = await open(rig, limited, oneWrite);
  const other = await open(rig, free);
  const data = systemRandom.bytes(4096);
  await session.device.write(0, data, { fua: false });
  const late = [
    session.device.write(4096, data, { fua: false }),
    session.device.trim(0, 4096, { fua: false }),
    session.device.writeZeroes(0, 4096, { fua: false, noHole: false }),
  ];
  const outcomes = Promise.allSettled(late);
  await session.device.flush();
  for (let at = 0; at < MiB; at += 4096) await other.session.device.write(at, data, { fua: false });
  assert.ok((await readRange(session, 0, 4096)).equals(data));
  await rig.atomically((tx) => rig.control.revokeExport(tx, id));
  await rig.control.exportGone(id);
  for (const outcome of await outcomes) {
    assert.equal(outcome.status === "rejected" && (outcome.reason as { code: string }).code, "export_revoked");
  }
  await assert.rejects(session.device.write(0, data, { fua: false }), { code: "export_revoked" });
  const { session: again } = await open(rig, limited);
  assert.ok((await readRange(again, 4096, 4096)).equals(Buffer.alloc(4096)));
});

test("what waits of a client that is gone never comes after what it writes on another connection", async (t) => {
  const rig = await EngineRig.open();
  t.after(() => rig.close());
  const vdiskId = await rig.createDisk(MiB);
  const { session } = await open(rig, vdiskId, oneWrite);
  const [old, newer] = [systemRandom.bytes(4096), systemRandom.bytes(4096)];
  await session.device.write(0, old, { fua: false });
  const waiting = assert.rejects(session.device.write(0, old, { fua: false }), { code: "export_revoked" });
  session.clientGone();
  await waiting;
  const { session: again } = await open(rig, vdiskId, { rates: [{ of: "write", unit: "requests", perSecond: 1_000_000 }] });
  await again.device.write(0, newer, { fua: false });
  await session.close();
  assert.ok((await readRange(again, 0, 4096)).equals(newer));
});

test("the connections and the exports of one disk share its limits", async (t) => {
  const rig = await EngineRig.open();
  t.after(() => rig.close());
  const vdiskId = await rig.createDisk(MiB);
  const [first, second] = [await open(rig, vdiskId, oneWrite), await open(rig, vdiskId, oneWrite)];
  const data = systemRandom.bytes(4096);
  await first.session.device.write(0, data, { fua: false });
  const waiting = Promise.allSettled([second.session.device.write(0, data, { fua: false })]);
  const answered = await Promise.race([waiting, first.session.device.flush().then(() => "waits")]);
  assert.equal(answered, "waits");
  // One that was made without limits has none, and takes none away.
  const { session: free } = await open(rig, vdiskId);
  for (let count = 0; count < 20; count++) await free.device.write(4096, data, { fua: false });
  assert.equal(await Promise.race([waiting, free.device.flush().then(() => "waits")]), "waits");
  // The export that was connected to last says what counts, for what waits too.
  await open(rig, vdiskId, { rates: [{ of: "write", unit: "requests", perSecond: 1_000_000 }] });
  assert.deepEqual((await waiting)[0]!.status, "fulfilled");
});
