// The files of the repository that a program writes: `npm run gen` writes them, `npm run check` says which are stale.
// A new one is a row here. Rendering runs no test and is quick: it runs in every check.

import { type CounterRow, type HistogramRow, counterTable, gaugeTable, histogramTable } from "../src/common/metric-table.ts";
import { defaultChecks } from "../src/cinder/policy/rule-table.ts";
import type { Option } from "../src/common/option-types.ts";
import { backendOptions, optionGroups } from "../src/common/options.ts";
import { loadCoverage, renderCoverage } from "./api-coverage.ts";

export interface GeneratedFile {
  readonly path: string;
  readonly render: () => string;
}

const coverage = await loadCoverage();

export const generatedFiles: readonly GeneratedFile[] = [
  { path: "etc/andiron/andiron.conf.sample", render: renderSample },
  { path: "etc/andiron/policy.yaml.sample", render: renderPolicySample },
  { path: "docs/config.md", render: renderConfigDocs },
  { path: "docs/metrics.md", render: renderMetricDocs },
  { path: "docs/api-coverage.md", render: () => renderCoverage(coverage) },
];

type Group = Readonly<Record<string, Option<unknown>>>;

const sampleColumns = 100;

function groups(): [string, Group][] {
  return [...Object.entries<Group>(optionGroups), ["vpool1", backendOptions]];
}

export function renderSample(): string {
  const parts = [
    "# Every option of Andiron with its default. Take the leading # away to set one.\n" +
      "# Written by `npm run gen` from src/common/options.ts; docs/config.md has the same as a page.\n",
  ];
  for (const [name, group] of groups()) {
    const note = name === "vpool1" ? "# A group for each name in enabled_backends; $backend_name is the group's own name.\n" : "";
    parts.push(`\n${note}[${name}]\n`);
    for (const [option, { kind, defaultText, help }] of Object.entries(group)) {
      parts.push(`\n${wrap(`${help} (${kind})`)}#${option} = ${defaultText}`.trimEnd(), "\n");
    }
  }
  return parts.join("");
}

/** Every rule with its default: what an operator copies from. */
export function renderPolicySample(): string {
  const rules = [...defaultChecks].map(([name, check]) => `\n#"${name}": "${check}"\n`);
  return (
    "# Every policy rule of Andiron with its default. Take the leading # away to set one; docs/policy.md says how.\n" +
    "# Written by `npm run gen` from src/cinder/policy/rule-table.ts.\n" +
    rules.join("")
  );
}

export function renderConfigDocs(): string {
  const parts = [
    "# Configuration\n\n<!-- Written by `npm run gen` from src/common/options.ts. -->\n\n" +
      "Andiron reads oslo-style INI files: `--config-file FILE` (several, later ones win) and `--config-dir DIRECTORY` (its\n" +
      "`*.conf` files by name). Without either: `etc/andiron/andiron.conf` of a checkout, `/etc/andiron/andiron.conf` and\n" +
      "`/etc/andiron/andiron.conf.d` when installed. Names and meanings are Cinder's wherever the meaning is the same.\n\n" +
      "A value may refer to another option of its group or of `[DEFAULT]` by `$name` or `${name}`, to any by `${group.name}`;\n" +
      "`$$` is a dollar sign. `#` and `;` begin a comment only as a line's first character. An indented line continues a\n" +
      "value. `$hostname` is this machine's name; `$default_state_path` is `var` of a checkout, `/var/lib/andiron` when\n" +
      "installed; `$config_dir` is where the first configuration file is.\n",
  ];
  for (const [name, group] of groups()) {
    const title = name === "vpool1" ? "A group for each backend (`[vpool1]`)" : `[${name}]`;
    parts.push(`\n## ${title}\n\n| option | type | default | meaning |\n| --- | --- | --- | --- |\n`);
    for (const [option, { kind, defaultText, help }] of Object.entries(group)) {
      parts.push(`| \`${option}\` | ${kind} | ${defaultText === "" ? "" : `\`${defaultText}\``} | ${escapeCell(help)} |\n`);
    }
  }
  return parts.join("");
}

export function renderMetricDocs(): string {
  const rows = [
    ...Object.entries<CounterRow>(counterTable).map(([name, row]) => metricRow(name, "counter", row)),
    ...Object.entries<CounterRow>(gaugeTable).map(([name, row]) => metricRow(name, "gauge", row)),
    ...Object.entries<HistogramRow>(histogramTable).map(([name, row]) => {
      return metricRow(name, "histogram", { ...row, help: `${row.help} Buckets: ${row.buckets.join(", ")}.` });
    }),
  ];
  return (
    "# Metrics\n\n<!-- Written by `npm run gen` from src/common/metric-table.ts. -->\n\n" +
    "`GET /metrics` answers in Prometheus' text format. Besides the metrics below there are those that Prometheus' client\n" +
    "gives of every process (`process_*`) and of Node (`nodejs_*`; the utilization of its event loop is in the rate of\n" +
    "`andiron_event_loop_busy_seconds`).\n\n" +
    "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n" +
    rows.sort().join("")
  );
}

function metricRow(name: string, type: string, { help, labels }: CounterRow): string {
  return `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${escapeCell(help)} |\n`;
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** `text` as comment lines of at most `sampleColumns` columns, each ended by a newline. */
function wrap(text: string): string {
  const lines: string[] = [];
  let line = "#";
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > sampleColumns) {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return `${[...lines, line].join("\n")}\n`;
}
