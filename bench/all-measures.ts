// Everything that `bench -- data` measures, in order: what measure.ts has, and the same under harder conditions.

import { measures } from "./measure.ts";
import { noisyNeighbours } from "./neighbours.ts";
import { steadyMeasures } from "./steady.ts";
import { tlsMeasures } from "./tls.ts";

export const allMeasures = [...measures, ...noisyNeighbours, ...tlsMeasures, ...steadyMeasures];
