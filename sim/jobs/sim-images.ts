// A Glance with one image for the simulator: it comes into volumes some bytes in each step, which fail as those of other jobs.

import { anImage } from "../../src/cinder/image-rig.fixture.ts";
import { type Images, noImages } from "../../src/cinder/images.ts";
import type { Life } from "../life.ts";
import { JobFaults } from "./job-faults.ts";
import type { Outside } from "./outside.ts";

const stepBytes = 200;

export function simImages(life: Life, outside: Outside): Images {
  const faults = new JobFaults(life, outside);
  return {
    ...noImages,
    async find() {
      await life.later(300);
      return [anImage];
    },
    async copy({ image, offset }) {
      await faults.strike();
      await life.later(1000);
      const until = Math.min(offset + (faults.isHit() ? 0 : stepBytes), image.sizeBytes);
      return { offset: until, isDone: until === image.sizeBytes };
    },
  };
}
