// What a compute host has to enforce for one volume: the pairs of its type's quality of service as connection_info carries
// them. Pure. Figures by size ("read_iops_sec_per_gb") become plain ones, within their "_per_gb_min" and "_max".

import type { Metadata, QosSpecs } from "./model.ts";

const sized = ["read_iops_sec", "read_bytes_sec", "write_iops_sec", "write_bytes_sec", "total_iops_sec", "total_bytes_sec"];

/** Null when there is nothing for the front end to do. */
export function frontEndFigures(qos: QosSpecs | undefined, sizeGib: number): Metadata | null {
  if (qos === undefined || qos.consumer === "back-end") return null;
  const figures: Record<string, string> = { ...qos.specs };
  for (const name of sized) {
    const perGib = wholeNumber(figures[`${name}_per_gb`]);
    if (perGib === undefined) continue;
    const wanted = Math.max(perGib * sizeGib, wholeNumber(figures[`${name}_per_gb_min`]) ?? 0);
    const highest = wholeNumber(figures[`${name}_max`]) ?? wanted;
    for (const used of ["_per_gb", "_per_gb_min", "_max"]) delete figures[name + used];
    figures[name] = String(Math.min(wanted, highest));
  }
  return Object.keys(figures).length === 0 ? null : figures;
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
