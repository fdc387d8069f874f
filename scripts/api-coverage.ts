// docs/api-coverage.md: each operation of openapi.yaml with its microversion, policy rules, status and the tests that saw it
// succeed, and each of Cinder's that Andiron does not serve. Made of openapi.yaml, the list of Cinder's operations and the
// record that tests check (test/harness/operation-record.ts); nothing is written here by hand. Rendering runs no test.

import { fileURLToPath } from "node:url";
import { loadOperationFacts, type OperationFacts } from "../src/api/operations.ts";
import { readRecord, type Sighting } from "../test/harness/operation-record.ts";
import { type CinderOperation, cinderOperations, lacks } from "./cinder-operations.ts";

export interface Coverage {
  readonly served: readonly OperationFacts[];
  readonly cinders: readonly CinderOperation[];
  /** Why operations are not served, by area or action. */
  readonly lacks: Readonly<Record<string, string>>;
  readonly record: readonly Sighting[];
}

const tour = "src/api/all-operations.test.ts";
const unknownArea = "Unknown actions";
const ownArea = "Andiron's own";
const newest = 71;

export async function loadCoverage(): Promise<Coverage> {
  const served = await loadOperationFacts(fileURLToPath(new URL("../openapi.yaml", import.meta.url)));
  return { served, cinders: cinderOperations, lacks, record: readRecord() };
}

/** Sentences about what does not fit together: unproved or unknown operations, other microversions than Cinder's, dead rows. */
export function findCoverageProblems({ served, cinders, lacks: reasons, record }: Coverage): string[] {
  const problems: string[] = [];
  const theirs = new Map(cinders.map((one) => [keyOf(one), one]));
  const mine = new Map<string, number>();
  for (const operation of served) {
    const { id, path, sinceMinor, refusal } = operation;
    const key = keyOf({ ...operation, path: shortPath(path) });
    mine.set(key, Math.min(sinceMinor, mine.get(key) ?? newest));
    const isCinders = theirs.has(key) || refusal !== undefined; // what refuses unknown actions is in no list of operations
    if (path.startsWith("/v3/") && !isCinders) problems.push(`${id} is no operation of Cinder's`);
    const isSeen = record.some((row) => row.file === tour && row.operationId === id);
    if (refusal === undefined && !isSeen) problems.push(`no stop of ${tour} saw ${id} succeed: run it with RECORD_OPERATIONS=1`);
    if (refusal !== undefined && isSeen) problems.push(`${id} succeeds, though its x-refuses says that it never does`);
  }
  for (const [key, { since }] of theirs) {
    const minor = mine.get(key);
    if (minor !== undefined && `3.${minor}` !== since) problems.push(`${key} is there since ${since} in Cinder, not 3.${minor}`);
  }
  const missing = cinders.filter((one) => !mine.has(keyOf(one)));
  const used = new Set<string | undefined>();
  for (const one of missing) {
    const name = reasonName(reasons, one);
    used.add(name);
    if (name === undefined) problems.push(`${keyOf(one)} is not served, and scripts/cinder-operations.ts does not say why`);
  }
  for (const name of Object.keys(reasons)) {
    if (!used.has(name)) problems.push(`${name} is served: take its reason out of scripts/cinder-operations.ts`);
  }
  const ids = new Set(served.map(({ id }) => id));
  for (const row of record) {
    if (!ids.has(row.operationId)) problems.push(`the record of ${row.file} names ${row.operationId}, which is no operation`);
  }
  return problems;
}

/** Throws with all problems when there are any: a table that does not fit must not be written. */
export function renderCoverage(coverage: Coverage): string {
  const problems = findCoverageProblems(coverage);
  if (problems.length > 0) throw new Error(`docs/api-coverage.md cannot be made:\n${problems.join("\n")}`);
  const { served, cinders } = coverage;
  const byKey = Map.groupBy(served, (operation) => keyOf({ ...operation, path: shortPath(operation.path) }));
  const missing = cinders.filter((one) => !byKey.has(keyOf(one)));
  const areas = new Map<string, string[]>();
  const add = (area: string, operations: readonly OperationFacts[]): void => {
    const rows = operations.map((operation) => rowOf(operation, coverage.record));
    if (rows.length > 0) areas.set(area, [...(areas.get(area) ?? []), ...rows]);
  };
  for (const one of cinders) add(one.area, byKey.get(keyOf(one)) ?? []);
  add(
    unknownArea,
    served.filter((one) => one.refusal !== undefined && !isListed(one, cinders)),
  );
  add(
    ownArea,
    served.filter(({ path }) => !path.startsWith("/v3/") && path !== "/"),
  );
  const columns =
    "| operation | since | success | policy rule | seen to succeed in | also by |\n" + "| --- | --- | --- | --- | --- | --- |\n";
  const tables = [...areas].map(([area, rows]) => `\n## ${area}\n\n${columns}${rows.join("")}`);
  return introduce(coverage, missing.length) + tables.join("") + renderMissing(coverage.lacks, missing);
}

function introduce({ served, cinders, record }: Coverage, missingCount: number): string {
  const files = [...new Set(record.map(({ file }) => file))].filter((file) => file !== tour);
  const refused = served.filter((one) => one.refusal !== undefined && isListed(one, cinders)).length;
  const others = files.map((file) => `- ${nameOf(file)}: \`${file}\`\n`);
  return (
    "# Which operations are there\n\n" +
    "<!-- Written by `npm run gen` from openapi.yaml, scripts/cinder-operations.ts and test/operations-seen.md. -->\n\n" +
    `Cinder's API v3 has ${cinders.length} operations up to microversion 3.${newest} (a method and a path, or an action in ` +
    `the body). Andiron\nserves ${cinders.length - missingCount} of them, ${refused} of these only to refuse as Cinder does` +
    `${missingCount === 0 ? "" : `; [${missingCount} are not there yet](#not-yet)`}.\n\n` +
    "*Since* is the first microversion, *success* the status. The first *policy rule* is asked of every request, others of\n" +
    "some; *any token* means that there is no rule, and rows are those of the caller's project. Rules that only leave fields\n" +
    "out of answers stand in `x-field-policy` of openapi.yaml, all defaults in\n" +
    "[policy.yaml.sample](../etc/andiron/policy.yaml.sample).\n\n" +
    `*Seen to succeed in* names a stop of the tour of all operations (\`${tour}\`), which sends each\n` +
    "operation with the project in the URL and without, checks answers against openapi.yaml, and fails when this page says\n" +
    "what it has not seen, or other rules than were asked. *Also by* names tests of the whole service that saw it succeed:\n\n" +
    others.join("")
  );
}

function rowOf(operation: OperationFacts, record: readonly Sighting[]): string {
  const { id, method, path, action, sinceMinor, status, rules, refusal, open } = operation;
  const sightings = record.filter(({ operationId }) => operationId === id);
  const stop = sightings.find(({ file }) => file === tour)?.test ?? `(refuses: ${refusal})`;
  const others = sightings.filter(({ file }) => file !== tour).map(({ file }) => nameOf(file));
  const where = `\`${method} ${path}\`${action === undefined ? "" : ` \`${action}\``}`;
  const asked = rules.length === 0 ? (open ? "no token" : "any token") : rules.map((rule) => `\`${rule}\``).join(", ");
  const success = refusal === undefined ? String(status) : "none";
  return `| ${[where, `3.${sinceMinor}`, success, asked, stop, others.join(", ")].join(" | ")} |\n`;
}

function renderMissing(reasons: Coverage["lacks"], missing: readonly CinderOperation[]): string {
  if (missing.length === 0) return "";
  const rows = missing.map((one) => {
    const { method, path, action, since } = one;
    const where = `\`${method} /v3${path}\`${action === undefined ? "" : ` \`${action}\``}`;
    return `| ${where} | ${since} | not yet | ${reasons[reasonName(reasons, one) ?? ""]} |\n`;
  });
  return (
    "\n## Not yet\n\nPaths that are not there answer 404, actions 400.\n\n" +
    "| operation of Cinder's | since | here | it needs |\n| --- | --- | --- | --- |\n" +
    rows.join("")
  );
}

function reasonName(reasons: Coverage["lacks"], { area, action }: CinderOperation): string | undefined {
  return [action, area].find((name) => name !== undefined && Object.hasOwn(reasons, name));
}

/** Whether Cinder documents it: an answer to unknown actions is no operation. */
function isListed(operation: OperationFacts, cinders: readonly CinderOperation[]): boolean {
  const key = keyOf({ ...operation, path: shortPath(operation.path) });
  return cinders.some((one) => keyOf(one) === key);
}

/** "POST /volumes/{}/action#os-extend": parameters by place, not by name. */
function keyOf({ method, path, action }: Pick<CinderOperation, "method" | "path" | "action">): string {
  return `${method} ${path.replaceAll(/\{\w+\}/g, "{}")}${action === undefined ? "" : `#${action}`}`;
}

/** As the list of Cinder's has it: below /v3, but for /v3/ itself. */
function shortPath(path: string): string {
  return path.replace(/^\/v3(?=\/.)/, "");
}

/** "openstack-client" of test/openstack-client.peer.test.ts. */
function nameOf(file: string): string {
  return file.replace(/^.*\//, "").replace(/(\.peer)?\.test\.ts$/, "");
}
