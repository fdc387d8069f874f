// A running Cinder with a Glance that has what the test says, and copies as the test says. Used by test files only.

import type { TestContext } from "node:test";
import { type CinderFixture, type FixtureOptions, member, openFixture } from "./cinder-fixture.ts";
import { type CopyProgress, type CopyTask, type ImageDescription, type Images, noImages } from "./images.ts";
import { defaultListQuery } from "./list-query.ts";
import type { Volume } from "./model.ts";

export const anImage: ImageDescription = {
  id: "11111111-1111-4111-8111-111111111111",
  name: "disk",
  status: "active",
  sizeBytes: 1000,
  virtualSizeBytes: null,
  minDiskGib: 0,
  minRamMib: 0,
  diskFormat: "raw",
  containerFormat: "bare",
  checksum: null,
  hash: null,
  owner: null,
  properties: {},
};

export type Copy = (task: CopyTask, signal: AbortSignal) => Promise<CopyProgress>;

export interface ImageRig extends CinderFixture {
  /** What was asked to be copied. */
  readonly tasks: CopyTask[];
  /** Jobs for which a caller's word is kept. */
  readonly vouched: Set<string>;
  /** A volume of the image. */
  create(): Promise<Volume>;
  show(id: string): Promise<Volume>;
}

export async function openImageRig(
  t: TestContext,
  copy: Copy,
  found: readonly ImageDescription[] = [anImage],
  options: FixtureOptions = {},
): Promise<ImageRig> {
  const tasks: CopyTask[] = [];
  const vouched = new Set<string>();
  const images: Images = {
    ...noImages,
    find: () => Promise.resolve(found),
    vouch: (jobId) => void vouched.add(jobId),
    copy(task, run) {
      tasks.push(task);
      return copy(task, run.signal);
    },
    endCopy: async (jobId) => void vouched.delete(jobId),
  };
  const fixture = await openFixture(t, { images, ...options });
  const { volumes } = fixture.cinder;
  return {
    ...fixture,
    tasks,
    vouched,
    create: async () => (await volumes.create(member, { sizeGib: 1, imageReference: "disk" })).volume,
    show: async (id) => (await volumes.show(member, id)).volume,
  };
}

export async function messagesOf({ cinder }: CinderFixture): Promise<string[]> {
  return (await cinder.messages.list(member, defaultListQuery)).items.map(({ userMessage }) => userMessage);
}
