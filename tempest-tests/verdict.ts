// Judges a run of Tempest against the two lists beside this file. Pure: results and lists in, complaints out.
//
// A list has one row for each test, "NAME  REASON", under headings ("## ..."). A NAME is the test's without its tags, or
// "setUpClass NAME-OF-CLASS" where the class itself fails or is skipped. A row allows one outcome of one test: what happens
// without a row is a complaint, and so is a row that is not needed any more. Rows below a heading that begins with "With
// Nova:" or "Without Nova:" are for such a cloud only; all others are for both.

export type Outcome = "success" | "fail" | "skip";

export interface TestResult {
  readonly name: string;
  readonly outcome: Outcome;
  readonly seconds: number;
}

export interface ListRow {
  readonly name: string;
  readonly heading: string;
  readonly reason: string;
}

export interface Lists {
  readonly failures: readonly ListRow[];
  readonly skips: readonly ListRow[];
}

const rowPattern = /^((?:setUpClass )?\S+)\s{2,}(\S.*)$/;
const outcomes = new Map<string, Outcome>([
  ["success", "success"],
  ["failure", "fail"],
  ["error", "fail"],
  ["skip", "skip"],
]);

/** The rows of a list; throws on a line that is none, on a row without a heading or a reason, and on a name listed twice. */
export function parseList(text: string): ListRow[] {
  const rows: ListRow[] = [];
  let heading = "";
  for (const [index, line] of text.split("\n").entries()) {
    if (line.startsWith("## ")) heading = line.slice(3);
    if (line === "" || line.startsWith("#")) continue;
    const [, name, reason] = rowPattern.exec(line) ?? [];
    if (name === undefined || reason === undefined || heading === "") throw new Error(`line ${index + 1} is no row: ${line}`);
    if (rows.some((row) => row.name === name)) throw new Error(`line ${index + 1} lists ${name} once more`);
    rows.push({ name, heading, reason });
  }
  return rows;
}

/** Those of the rows that are for a cloud with Nova, or for one without it. */
export function rowsFor(rows: readonly ListRow[], withNova: boolean): ListRow[] {
  return rows.filter(({ heading }) => !heading.startsWith(withNova ? "Without Nova:" : "With Nova:"));
}

/** What subunit2csv prints: test, status, start and end. Throws on a status that it does not know. */
export function parseResults(csv: string): TestResult[] {
  const lines = csv.split("\n").slice(1);
  return lines.flatMap((line) => {
    const [, id, status, start, end] = /^(.+),(\w+),([^,]*),([^,]*)\r?$/.exec(line) ?? [];
    if (id === undefined || status === undefined) return [];
    const outcome = outcomes.get(status);
    if (outcome === undefined) throw new Error(`subunit2csv knows an outcome that we do not: ${line}`);
    const seconds = (Date.parse(end ?? "") - Date.parse(start ?? "")) / 1000;
    return [{ name: nameOf(id), outcome, seconds: Number.isNaN(seconds) ? 0 : seconds }];
  });
}

/** A test's id without quotes and tags; a class is named as the lists have it. */
function nameOf(id: string): string {
  const bare = id.replace(/^"|"$/g, "").replace(/\[.*\]$/, "");
  return bare.replace(/^(\w+) \((.*)\)$/, "$1 $2");
}

/** What is wrong with a run. `whole`: every test was to run, so that a row without a result is out of date. */
export function findComplaints(results: readonly TestResult[], lists: Lists, whole: boolean): string[] {
  const complaints: string[] = [];
  const seen = new Map(results.map((result) => [result.name, result.outcome]));
  const allowed = { success: new Set<string>(), fail: namesOf(lists.failures), skip: namesOf(lists.skips) };
  for (const { name, outcome } of results) {
    if (outcome === "fail" && !allowed.fail.has(name)) complaints.push(`failed: ${name}`);
    if (outcome === "skip" && !allowed.skip.has(name)) complaints.push(`skipped, and nobody said that it may be: ${name}`);
  }
  for (const [list, wanted] of [
    [lists.failures, "fail"],
    [lists.skips, "skip"],
  ] as const) {
    for (const { name } of list) {
      const outcome = seen.get(name);
      if (outcome === undefined && !whole) continue;
      if (outcome === undefined) complaints.push(`listed as ${wanted}, but there is no such test: ${name}`);
      else if (outcome !== wanted) complaints.push(`listed as ${wanted}, but its outcome is ${outcome}: take it off: ${name}`);
    }
  }
  return complaints;
}

/** "PASSED passed, FAILED failed, SKIPPED skipped, TOTAL in all". */
export function countResults(results: readonly TestResult[]): string {
  const count = (outcome: Outcome): number => results.filter((result) => result.outcome === outcome).length;
  return `${count("success")} passed, ${count("fail")} failed, ${count("skip")} skipped, ${results.length} in all`;
}

/** What Tempest printed about a test that failed: its traceback without the captured log. */
export function excerpt(output: string, name: string): string {
  const begin = output.lastIndexOf(name.replace(/^setUpClass (.*)$/, "setUpClass ($1)"));
  if (begin === -1) return "(Tempest printed nothing about it)";
  const end = output.indexOf("Captured pythonlogging", begin);
  return output.slice(begin, end === -1 ? undefined : end).slice(0, 3000);
}

function namesOf(rows: readonly ListRow[]): Set<string> {
  return new Set(rows.map(({ name }) => name));
}
