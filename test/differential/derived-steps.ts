// From a good step to the calls that must be refused, in the order in which they are made: before the good one, so that they
// meet the state that it meets. Pure.

import { type Caller, type Step, absentId } from "./scenario.ts";

/** `step` and what is derived from it, each with a label that is unique among them; the short form has one bad body only. */
export function expand(step: Step, inShort: boolean): { readonly label: string; readonly step: Step }[] {
  if (step.cell !== "good" || step.derive === false) return [{ label: "", step }];
  const bodies = badBodies(step);
  // What has no key names no action.
  const first = step.call.endsWith("/action") && bodies.length > 1 ? 1 : 0;
  const refused = [...missingIds(step), ...foreignCallers(step, inShort), ...(inShort ? bodies.slice(first, first + 1) : bodies)];
  return [...refused, { label: "", step }];
}

interface Labelled {
  readonly label: string;
  readonly step: Step;
}

function without(step: Step): Step {
  const { save: _save, until: _until, ...rest } = step;
  return rest;
}

/** One call for each saved id in the path. */
function missingIds(step: Step): Labelled[] {
  const names = [...step.call.matchAll(/\{([\w ]+)\}/g)].map(([, name]) => name!).filter((name) => name !== "project");
  return names.map((name) => {
    const call = step.call.replace(`{${name}}`, absentId);
    return { label: `no ${name}`, step: { ...without(step), call, cell: "missing" } };
  });
}

function foreignCallers(step: Step, inShort: boolean): Labelled[] {
  const callers: Caller[] = step.as === "admin" ? ["stranger", "member"] : ["stranger", "reader"];
  const isRead = step.call.startsWith("GET ");
  return callers
    .filter((caller) => caller === "stranger" || !(inShort || (caller === "reader" && isRead)))
    .map((as) => ({ label: `by the ${as}`, step: { ...without(step), as, cell: "foreign" } }));
}

function badBodies(step: Step): Labelled[] {
  if (step.body === null || typeof step.body !== "object") return [];
  const isBare = Object.values(step.body).every((inner) => inner !== null && typeof inner === "object" && isEmpty(inner));
  // Nobody looks at the rest of an action that has no parameters.
  if (step.call.endsWith("/action") && isBare) return [asBad(step, "and more", { ...step.body, more: 1 })];
  const bodies: [string, unknown][] = [["{}", {}]];
  for (const [key, inner] of Object.entries(step.body)) {
    bodies.push([`${key} []`, { ...step.body, [key]: [] }]);
    if (inner === null || typeof inner !== "object") continue;
    bodies.push([`${key} null`, { ...step.body, [key]: null }]);
    for (const field of Object.keys(inner as object)) {
      bodies.push([`${key}.${field} []`, { ...step.body, [key]: { ...inner, [field]: [[]] } }]);
    }
  }
  return bodies.map(([label, body]) => asBad(step, label, body));
}

function asBad(step: Step, label: string, body: unknown): Labelled {
  return { label, step: { ...without(step), body, cell: "bad body" } };
}

function isEmpty(value: object): boolean {
  return Object.keys(value).length === 0;
}
