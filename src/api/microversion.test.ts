// Negotiation: which header gets which version, and which refusal.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HttpFault } from "./http-fault.ts";
import { minorHeaders, negotiateMinor, parseMinor } from "./microversion.ts";

const accepted: readonly (readonly [string | undefined, number])[] = [
  [undefined, 0],
  ["volume 3.0", 0],
  ["volume 3.27", 27],
  ["volume 3.71", 71],
  ["volume latest", 71],
  ["compute 2.93, volume 3.50", 50],
  ["volume 3.44,compute 2.1", 44],
  ["  volume   3.12 ", 12],
];

for (const [header, minor] of accepted) {
  test(`the header ${JSON.stringify(header)} asks for 3.${minor}`, () => {
    assert.equal(negotiateMinor(header), minor);
  });
}

const refused: readonly (readonly [string, number, string, string | undefined])[] = [
  ["volume 3.72", 406, "Version 3.72 is not supported by the API. Minimum is 3.0 and maximum is 3.71.", "volume 3.72"],
  ["volume 3.99", 406, "Version 3.99 is not supported by the API. Minimum is 3.0 and maximum is 3.71.", "volume 3.99"],
  ["volume 2.0", 406, "Version 2.0 is not supported by the API. Minimum is 3.0 and maximum is 3.71.", undefined],
  ["volume 4.1", 406, "Version 4.1 is not supported by the API. Minimum is 3.0 and maximum is 3.71.", "volume 4.1"],
  ["volume abc", 400, "API Version String abc is of invalid format. Must be of format MajorNum.MinorNum.", undefined],
  ["volume 3.01", 400, "API Version String 3.01 is of invalid format. Must be of format MajorNum.MinorNum.", undefined],
  ["volume 3", 400, "API Version String 3 is of invalid format. Must be of format MajorNum.MinorNum.", undefined],
  ["volume", 400, "API Version String  is of invalid format. Must be of format MajorNum.MinorNum.", undefined],
  [
    "compute 2.1",
    400,
    "The server could not comply with the request since it is either malformed or otherwise incorrect.",
    undefined,
  ],
];

for (const [header, status, message, echoed] of refused) {
  test(`the header "${header}" is refused with ${status}`, () => {
    assert.throws(
      () => negotiateMinor(header),
      (error) => {
        assert.ok(error instanceof HttpFault);
        assert.equal(error.status, status);
        assert.equal(error.message, message);
        assert.equal(error.headers["OpenStack-API-Version"], echoed);
        return true;
      },
    );
  });
}

test("every header is answered with a version we have or a refusal", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      try {
        const minor = negotiateMinor(`volume ${text}`);
        return Number.isInteger(minor) && minor >= 0 && minor <= 71;
      } catch (error) {
        return error instanceof HttpFault && (error.status === 400 || error.status === 406);
      }
    }),
  );
});

test("the answer's headers name the version and vary by it", () => {
  assert.deepEqual(minorHeaders(50), { "OpenStack-API-Version": "volume 3.50", Vary: "OpenStack-API-Version" });
});

test("a table with a wrong microversion is a bug", () => {
  assert.equal(parseMinor("3.27"), 27);
  assert.throws(() => parseMinor("3.72"), TypeError);
  assert.throws(() => parseMinor("2.1"), TypeError);
});
