// What a volume's type says of its quality of service, as figures for who enforces them: the compute host (the pairs as
// connection_info carries them) or the storage router (docs/design/qos.md). Pure. Figures by size ("read_iops_sec_per_gb") become
// plain ones, within their "_per_gb_min" and "_max".

import type { IoLimits, RateLimit } from "../engine/control.ts";
import type { Metadata, QosSpecs } from "./model.ts";

const limited = (["total", "read", "write"] as const).flatMap((of) => [
  { name: `${of}_iops_sec`, of, unit: "requests" } as const,
  { name: `${of}_bytes_sec`, of, unit: "bytes" } as const,
]);

/** Null when there is nothing for the front end to do. */
export function frontEndFigures(qos: QosSpecs | undefined, sizeGib: number): Metadata | null {
  if (qos === undefined || qos.consumer === "back-end") return null;
  const figures = plainFigures(qos, sizeGib);
  return Object.keys(figures).length === 0 ? null : figures;
}

/** Undefined when there is nothing for the storage router to do. */
export function backEndLimits(qos: QosSpecs | undefined, sizeGib: number): IoLimits | undefined {
  if (qos === undefined || qos.consumer === "front-end") return undefined;
  const figures = plainFigures(qos, sizeGib);
  const rates: RateLimit[] = [];
  for (const { name, of, unit } of limited) {
    const perSecond = aboveZero(figures[name]);
    if (perSecond === undefined) continue;
    const highest = aboveZero(figures[`${name}_max`]);
    const seconds = aboveZero(figures[`${name}_max_length`]) ?? 1;
    rates.push({ of, unit, perSecond, ...(highest === undefined ? {} : { burst: { perSecond: highest, seconds } }) });
  }
  if (rates.length === 0) return undefined;
  const requestBytes = aboveZero(figures["size_iops_sec"]);
  return { rates, ...(requestBytes === undefined ? {} : { requestBytes }) };
}

function plainFigures({ specs }: QosSpecs, sizeGib: number): Record<string, string> {
  const figures: Record<string, string> = { ...specs };
  for (const { name } of limited) {
    const perGib = wholeNumber(figures[`${name}_per_gb`]);
    if (perGib === undefined) continue;
    const wanted = Math.max(perGib * sizeGib, wholeNumber(figures[`${name}_per_gb_min`]) ?? 0);
    const highest = wholeNumber(figures[`${name}_max`]) ?? wanted;
    for (const used of ["_per_gb", "_per_gb_min", "_max"]) delete figures[name + used];
    figures[name] = String(Math.min(wanted, highest));
  }
  return figures;
}

function aboveZero(text: string | undefined): number | undefined {
  const figure = wholeNumber(text);
  return figure === 0 ? undefined : figure;
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
