// The judgement over requests, and the tables it ends in.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AndironError, errorCodes, type ErrorCode } from "../common/errors.ts";
import { command, commandFlag, errno } from "./constants.ts";
import { errnoFor, errorForErrno } from "./errnos.ts";
import { RamDevice } from "./ram-device.test.ts";
import { encodeRequest, Request } from "./request-codec.ts";
import { validateRequest } from "./request-validation.ts";
import { planPieces } from "./sparse-read.ts";

const all = { structuredReplies: true, blockStatus: true };
const device = new RamDevice(1_000_000);
const frozen = new RamDevice(1_000_000);
frozen.readOnly = true;

function judge(type: number, flags: number, offset: number, length: number, on = device, negotiated = all): number {
  return validateRequest(new Request(encodeRequest(type, flags, 1, offset, length), 0, 70_000), on, negotiated, 70_000);
}

test("requests inside the device pass, at any alignment", () => {
  for (const type of [command.read, command.write, command.trim, command.writeZeroes, command.cache, command.blockStatus]) {
    assert.equal(judge(type, 0, 999_999, 1), errno.none);
    assert.equal(judge(type, commandFlag.fua, 12_345, 678), errno.none);
  }
  assert.equal(judge(command.flush, commandFlag.fua, 0, 0), errno.none);
});

test("beyond the end is ENOSPC for what would write, EINVAL for the rest", () => {
  for (const offset of [999_999, 1_000_001, 2 ** 52, 2 ** 53]) {
    assert.equal(judge(command.write, 0, offset, 2), errno.ENOSPC);
    assert.equal(judge(command.writeZeroes, 0, offset, 2), errno.ENOSPC);
    for (const type of [command.read, command.trim, command.cache, command.blockStatus]) {
      assert.equal(judge(type, 0, offset, 2), errno.EINVAL);
    }
  }
});

test("a read-only export refuses everything that would change it with EPERM, wherever it lies", () => {
  for (const type of [command.write, command.trim, command.writeZeroes]) {
    assert.equal(judge(type, 0, 0, 1, frozen), errno.EPERM);
    assert.equal(judge(type, 0, 2 ** 40, 1, frozen), errno.EPERM);
  }
  assert.equal(judge(command.read, 0, 0, 1, frozen), errno.none);
  assert.equal(judge(command.flush, 0, 0, 0, frozen), errno.none);
});

test("flags are accepted only where they belong", () => {
  const simple = { structuredReplies: false, blockStatus: false };
  assert.equal(judge(command.read, commandFlag.dontFragment, 0, 1), errno.none);
  assert.equal(judge(command.read, commandFlag.dontFragment, 0, 1, device, simple), errno.EINVAL);
  assert.equal(judge(command.write, commandFlag.noHole, 0, 1), errno.EINVAL);
  assert.equal(judge(command.writeZeroes, commandFlag.noHole | commandFlag.fastZero, 0, 1), errno.none);
  assert.equal(judge(command.blockStatus, commandFlag.requestOne, 0, 1), errno.none);
  assert.equal(judge(command.blockStatus, 0, 0, 1, device, simple), errno.EINVAL);
  for (let type = 0; type < 10; type++) assert.equal(judge(type, 1 << 15, 0, 0), errno.EINVAL);
});

test("unknown commands, long payloads and a flush with a range are refused", () => {
  assert.equal(judge(8, 0, 0, 0), errno.EINVAL);
  assert.equal(judge(65_535, 0, 0, 0), errno.EINVAL);
  assert.equal(judge(command.write, 0, 0, 70_001), errno.EINVAL);
  assert.equal(judge(command.read, 0, 0, 70_001), errno.EINVAL);
  assert.equal(judge(command.read, commandFlag.dontFragment, 0, 70_001), errno.EOVERFLOW);
  assert.equal(judge(command.trim, 0, 0, 1_000_000), errno.none);
  assert.equal(judge(command.flush, 0, 1, 0), errno.EINVAL);
  assert.equal(judge(command.flush, 0, 0, 1), errno.EINVAL);
  assert.equal(judge(command.blockStatus, 0, 0, 0), errno.EINVAL);
});

test("every error code has an answer, and only a lost ownership cuts the connection", () => {
  for (const [code, kind] of Object.entries(errorCodes)) {
    const answer = errnoFor(new AndironError(code as ErrorCode, "x"));
    assert.equal(answer === "cut", kind === "fenced", code);
  }
  assert.equal(errnoFor(new AndironError("journal_full", "x")), errno.ENOSPC);
  assert.equal(errnoFor(new AndironError("read_only", "x")), errno.EPERM);
  assert.equal(errnoFor(new AndironError("shutting_down", "x")), errno.ESHUTDOWN);
  assert.equal(errnoFor(new AndironError("segment_damaged", "x")), errno.EIO);
  assert.equal(errnoFor(new TypeError("x")), errno.EIO);
  assert.equal(errorForErrno(errno.ENOSPC, "x").kind, "no-space");
  assert.equal(errorForErrno(12345, "x").code, "invalid_request");
});

test("a sparse read joins data, skips big holes only and bounds its chunks", () => {
  const KiB = 1024;
  const extents = [
    { lengthBytes: 64 * KiB, allocated: false },
    { lengthBytes: 100 * KiB, allocated: true },
    { lengthBytes: 4 * KiB, allocated: false },
    { lengthBytes: 60 * KiB, allocated: true },
  ];
  assert.deepEqual(planPieces(extents, 128 * KiB), [
    { hole: true, lengthBytes: 64 * KiB },
    { hole: false, lengthBytes: 128 * KiB },
    { hole: false, lengthBytes: 36 * KiB },
  ]);
});
