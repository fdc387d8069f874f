// A line of a benchmark's result: our figure beside a peer's, what was aimed at, and whether it was reached. Pure.
//
// - ratio is above 1 when we are better, whatever the unit: for latencies and costs it is peer / ours.
// - Figures are medians over the rounds; the ratio is that of the medians, its range that of the rounds.

export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  readonly ratio: number;
  /** The smallest and the largest ratio of one round. */
  readonly ratioMin: number;
  readonly ratioMax: number;
  /** The ratio to reach; null where none was set. */
  readonly aim: number | null;
  readonly reached: boolean | null;
}

export interface RowSpec {
  readonly name: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
}

/** What to reach against one peer. */
export interface Aim {
  readonly ratio: number;
  /** Our own figure must not be above this, too. */
  readonly oursMax?: number;
}

/** The middle value; the mean of the two middle ones of an even count. Throws when there is none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  if (upper === undefined || lower === undefined) throw new Error("no values, no median");
  return (lower + upper) / 2;
}

/** Makes a row of the figures of each round; `ours` and `peers` belong together by their index and are of one length. */
export function makeRow(
  spec: RowSpec,
  peerName: string,
  ours: readonly number[],
  peers: readonly number[],
  aim: Aim | undefined,
): Row {
  const ratioOf = (mine: number, other: number): number => (spec.better === "higher" ? mine / other : other / mine);
  const ratios = ours.map((figure, round) => ratioOf(figure, peers[round]!));
  const our = median(ours);
  const peer = median(peers);
  const ratio = ratioOf(our, peer);
  return {
    name: spec.name,
    unit: spec.unit,
    ours: round(our),
    peer: round(peer),
    peerName,
    ratio: round(ratio),
    ratioMin: round(Math.min(...ratios)),
    ratioMax: round(Math.max(...ratios)),
    aim: aim === undefined ? null : round(aim.ratio),
    reached: aim === undefined ? null : ratio >= aim.ratio && our <= (aim.oursMax ?? Infinity),
  };
}

/** Three digits are more than one run can say. */
function round(value: number): number {
  return Number(value.toPrecision(3));
}

/** The rows as a table for people, one line each, columns aligned. */
export function formatRows(rows: readonly Row[]): string {
  const heads = ["test", "unit", "ours", "peer", "", "ratio", "range", "aim", "reached"];
  const lines = rows.map((row) => [
    row.name,
    row.unit,
    String(row.ours),
    String(row.peer),
    row.peerName,
    row.ratio.toFixed(2),
    `${row.ratioMin.toFixed(2)}..${row.ratioMax.toFixed(2)}`,
    row.aim === null ? "-" : row.aim.toFixed(2),
    row.reached === null ? "-" : row.reached ? "yes" : "NO",
  ]);
  return formatTable([heads, ...lines]);
}

/** Rows of cells with aligned columns: the first to the left, numbers to the right. */
export function formatTable(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const isNumber = (cell: string): boolean => /^-?[\d.]+(e[+-]?\d+)?(\.\.[\d.]+)?$/.test(cell);
  const pad = (cell: string, column: number): string =>
    isNumber(cell) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!);
  return lines.map((line) => line.map(pad).join("  ").trimEnd()).join("\n");
}
