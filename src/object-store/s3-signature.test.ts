// Signature Version 4 against the examples of AWS's page "Signature Calculations for the Authorization Header: Transferring
// Payload in a Single Chunk".

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { canonicalQuery, emptySha256, signedHeaders } from "./s3-signature.ts";

const credentials = {
  accessKey: "AKIAIOSFODNN7EXAMPLE",
  secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  region: "us-east-1",
};
const common = {
  host: "examplebucket.s3.amazonaws.com",
  path: "/",
  query: {},
  headers: {},
  sha256: emptySha256,
  wallMs: Date.UTC(2013, 4, 24),
};
const welcome = createHash("sha256").update("Welcome to Amazon S3.").digest("hex");
const storing = { date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" };

const examples = [
  {
    title: "GET Object",
    request: { ...common, method: "GET", path: "/test.txt", headers: { range: "bytes=0-9" } },
    names: "host;range;x-amz-content-sha256;x-amz-date",
    signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  },
  {
    title: "PUT Object",
    request: { ...common, method: "PUT", path: "/test%24file.text", headers: storing, sha256: welcome },
    names: "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
    signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
  },
  {
    title: "GET Bucket Lifecycle",
    request: { ...common, method: "GET", query: { lifecycle: "" } },
    names: "host;x-amz-content-sha256;x-amz-date",
    signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
  },
  {
    title: "GET Bucket (List Objects)",
    request: { ...common, method: "GET", query: { "max-keys": "2", prefix: "J" } },
    names: "host;x-amz-content-sha256;x-amz-date",
    signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
  },
];

for (const { title, request, names, signature } of examples) {
  test(`the example ${title}`, () => {
    const { authorization } = signedHeaders(request, credentials);
    const credential = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
    assert.equal(authorization, `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${names},Signature=${signature}`);
  });
}

test("a query is sorted, and encoded beyond what a URL needs", () => {
  const query = { prefix: "a/b c", "max-keys": "1", "start-after": "ä!'()*~+%" };
  assert.equal(canonicalQuery(query), "max-keys=1&prefix=a%2Fb%20c&start-after=%C3%A4%21%27%28%29%2A~%2B%25");
});

test("what is signed is sent, and the secret is not", () => {
  const headers = signedHeaders({ ...common, method: "PUT", headers: { "x-amz-meta-a": "b" } }, credentials);
  assert.equal(headers["x-amz-date"], "20130524T000000Z");
  assert.equal(headers["x-amz-content-sha256"], emptySha256);
  assert.equal(headers["x-amz-meta-a"], "b");
  assert.ok(!JSON.stringify(headers).includes(credentials.secretKey));
});
