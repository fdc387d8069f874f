// The metrics of a process: typed handles on the rows of metric-table.ts, and their rendering for Prometheus.
//
// - A handle can be taken only for a row of the table, with that row's labels: the compiler says so.
// - One Metrics a process, made by bin/ and passed down; tests make their own and see only what they count.
// - Counting never fails and never waits. It knows nothing of HTTP.

import type * as Client from "@prometheus-io/client";
import { type CounterRow, type HistogramRow, counterTable, gaugeTable, histogramTable } from "./metric-table.ts";
import { Counter, Gauge, Histogram, Registry, collectProcessMetrics } from "./prometheus-parts.ts";

export type CounterName = keyof typeof counterTable;
export type GaugeName = keyof typeof gaugeTable;
export type HistogramName = keyof typeof histogramTable;

/** Values for the labels of a row; all of them, each time. */
export type LabelsOf<Row extends CounterRow> = Readonly<Record<Row["labels"][number], string>>;

export interface CounterHandle<Row extends CounterRow> {
  add(labels: LabelsOf<Row>, count?: number): void;
  /** For what is counted with each request: adds to the same row, and costs an addition. Make it once. */
  tally(labels: LabelsOf<Row>): Tally;
}

/** One row of a counter. What was added is handed on when the metrics are read. */
export class Tally {
  #count = 0;

  add(count = 1): void {
    this.#count += count;
  }

  take(): number {
    const count = this.#count;
    this.#count = 0;
    return count;
  }
}

export interface GaugeHandle<Row extends CounterRow> {
  set(labels: LabelsOf<Row>, value: number): void;
}

export interface HistogramHandle<Row extends CounterRow> {
  observe(labels: LabelsOf<Row>, value: number): void;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Client.Counter<string>>();
  readonly #gauges = new Map<string, Client.Gauge<string>>();
  readonly #histograms = new Map<string, Client.Histogram<string>>();
  readonly #readers: (() => void)[] = [];

  /** The counter of that name; the same one for each call. */
  counter<Name extends CounterName>(name: Name): CounterHandle<(typeof counterTable)[Name]> {
    const { help, labels }: CounterRow = counterTable[name];
    const counter = obtain(this.#counters, name, () => {
      return new Counter({ name, help, labelNames: [...labels], registers: [this.#registry] });
    });
    const tally = (values: LabelsOf<(typeof counterTable)[Name]>): Tally => {
      const made = new Tally();
      this.#readers.push(() => {
        const count = made.take();
        if (count > 0) counter.inc(values, count);
      });
      return made;
    };
    return { add: (values, count = 1) => counter.inc(values, count), tally };
  }

  gauge<Name extends GaugeName>(name: Name): GaugeHandle<(typeof gaugeTable)[Name]> {
    const { help, labels }: CounterRow = gaugeTable[name];
    const gauge = obtain(this.#gauges, name, () => {
      return new Gauge({ name, help, labelNames: [...labels], registers: [this.#registry] });
    });
    return { set: (values, value) => gauge.set(values, value) };
  }

  /** A gauge whose value is asked for whenever the metrics are read. `read` must be quick and must not throw. */
  gaugeFrom<Name extends GaugeName>(name: Name, labels: LabelsOf<(typeof gaugeTable)[Name]>, read: () => number): void {
    const handle = this.gauge(name);
    this.#readers.push(() => handle.set(labels, read()));
  }

  histogram<Name extends HistogramName>(name: Name): HistogramHandle<(typeof histogramTable)[Name]> {
    const row: HistogramRow = histogramTable[name];
    const { help, labels, buckets } = row;
    const histogram = obtain(this.#histograms, name, () => {
      return new Histogram({ name, help, labelNames: [...labels], buckets: [...buckets], registers: [this.#registry] });
    });
    return { observe: (values, value) => histogram.observe(values, value) };
  }

  /** Adds what Prometheus clients say of any process (process_*) and of Node (nodejs_*): for bin/ only. */
  collectProcess(): void {
    collectProcessMetrics(this.#registry);
  }

  /** Content-Type of render(). */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything counted, in Prometheus' text format. */
  async render(): Promise<string> {
    for (const read of this.#readers) read();
    return this.#registry.metrics();
  }
}

function obtain<T>(made: Map<string, T>, name: string, make: () => T): T {
  const found = made.get(name);
  if (found !== undefined) return found;
  const created = make();
  made.set(name, created);
  return created;
}
