// What extra specs of a type may be. Pure.

import { invalid, notFound, type CinderFault } from "./faults.ts";
import { withoutKey } from "./metadata-rules.ts";
import { cinderLimits, type Metadata } from "./model.ts";

/** Throws "invalid" for a key with other characters than Cinder allows, long values, or too many. */
export function checkExtraSpecs(extraSpecs: Metadata): void {
  const entries = Object.entries(extraSpecs);
  if (entries.length > cinderLimits.extraSpecsMax) throw invalid(`More than ${cinderLimits.extraSpecsMax} extra specs.`);
  for (const [key, value] of entries) {
    if (!/^[\w.:/ -]{1,255}$/.test(key)) {
      throw invalid(
        "Key names can only contain alphanumeric characters, underscores, periods, colons, hyphens, slashes and spaces.",
      );
    }
    if (value.length > cinderLimits.metadataTextMax) {
      throw invalid(`Extra spec ${key} has ${value.length} characters, more than ${cinderLimits.metadataTextMax}.`);
    }
  }
}

export function missingSpec(typeId: string, key: string): CinderFault {
  return notFound(`Volume Type ${typeId} has no extra specs with key ${key}.`);
}

export function withoutSpec(extraSpecs: Metadata, typeId: string, key: string): Metadata {
  if (!Object.hasOwn(extraSpecs, key)) throw missingSpec(typeId, key);
  return withoutKey(extraSpecs, key);
}
