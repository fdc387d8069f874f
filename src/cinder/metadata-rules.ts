// What names, descriptions and metadata may be. Pure checks; the sentences are Cinder's.

import { invalid, invalidInput } from "./faults.ts";
import { cinderLimits, type Metadata } from "./model.ts";

/** Throws "invalid" for a name or description beyond 255 characters. */
export function checkTexts(texts: { readonly name?: string | null; readonly description?: string | null }): void {
  for (const [field, text] of [
    ["name", texts.name],
    ["description", texts.description],
  ] as const) {
    if (text != null && [...text].length > cinderLimits.nameLengthMax) {
      throw invalidInput(`${field} has ${[...text].length} characters, more than ${cinderLimits.nameLengthMax}.`);
    }
  }
}

/** Throws "invalid" for blank or long keys, long values, and more than metadataItemsMax of them. */
export function checkMetadata(metadata: Metadata): void {
  const entries = Object.entries(metadata);
  if (entries.length > cinderLimits.metadataItemsMax) {
    throw invalid(`Invalid metadata: more than ${cinderLimits.metadataItemsMax} properties.`);
  }
  for (const [key, value] of entries) {
    if (key.length === 0) throw invalid("Invalid metadata: Metadata property key blank.");
    if ([...key].length > cinderLimits.metadataTextMax) {
      throw invalid("Invalid metadata size: Metadata property key greater than 255 characters.");
    }
    if ([...value].length > cinderLimits.metadataTextMax) {
      throw invalid("Invalid metadata size: Metadata property value greater than 255 characters.");
    }
  }
}

/** A copy of `metadata` without `key`. */
export function withoutKey(metadata: Metadata, key: string): Metadata {
  return Object.fromEntries(Object.entries(metadata).filter(([present]) => present !== key));
}
