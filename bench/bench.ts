// The benchmarks' command line:
//
//     npm run bench -- data [--json] [--quick] [--rounds N] [--only ROW] [--record]      our figures beside the peers', as ratios
//                           [--full-page-cache] [--client-limit]
//     npm run bench -- api (as in the first line)                           the Block Storage API beside Debian's Cinder
//     npm run bench -- scale (the same, and --full-page-cache)              what must hold whatever the size, beside limits
//     npm run bench -- profile [--quick] [--only PHASE]                     where a request's microseconds go
//     npm run bench -- rows                                                 the names that --only understands
//
// - With --json standard output has one object, {"rows": [...]}, and nothing else; progress goes to standard error.
// - Missing peers are installed when run as root, as the tests' are; without them it ends with the line that would do it.
// - Files and processes belong to a run directory, as those of the tests do: they go with the run, however it ends.
// - The exit code says whether it ran, not whether the aims were reached.

import { parseArgs } from "node:util";
import { beginOwnRun } from "../scripts/own-run.ts";
import { aptLine, ensurePeers } from "../scripts/peers.ts";
import { apiBenchRowNames, fullApiScale, measureApiBeside, quickApiScale } from "./api.ts";
import { dataRowNames, measureData } from "./data.ts";
import { recordRun } from "./history.ts";
import { fullScale, quickScale } from "./lab.ts";
import { measureProfile } from "./profile.ts";
import { formatRows } from "./row.ts";
import { fullSizes, quickSizes } from "./scale-lab.ts";
import { measureScale, scaleRowNames } from "./scale.ts";

const usage =
  "usage: npm run bench -- data|api|scale [--json] [--quick] [--rounds N] [--only ROW] [--record], " +
  "data|scale [--full-page-cache], data [--client-limit] | profile [--quick] [--only PHASE] | rows";
const say = (line: string): void => console.error(`bench: ${line}`);

beginOwnRun("bench", say);
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

/** --rounds makes a run shorter and its ranges mean less. */
function withRounds<T extends { readonly rounds: number }>(scale: T, rounds: string | undefined): T {
  if (rounds === undefined) return scale;
  if (!/^[1-9]\d?$/.test(rounds)) throw new Error(`--rounds takes a number from 1 to 99, not ${rounds}`);
  return { ...scale, rounds: Number(rounds) };
}

async function main(argv: string[]): Promise<number> {
  const flag = { type: "boolean", default: false } as const;
  const marks = { json: flag, quick: flag, record: flag, "full-page-cache": flag, "client-limit": flag } as const;
  const options = { ...marks, only: { type: "string" }, rounds: { type: "string" } } as const;
  const { values, positionals } = parseArgs({ args: argv, options, allowPositionals: true });
  const bench = positionals[0];
  if (positionals.length !== 1 || !["data", "api", "scale", "profile", "rows"].includes(bench ?? "")) {
    say(usage);
    return 2;
  }
  if (bench === "rows") {
    console.log([...dataRowNames, ...apiBenchRowNames, ...scaleRowNames].join("\n"));
    return 0;
  }
  const { missing, reason } = ensurePeers(say);
  if (reason !== undefined) {
    say(`programs to be compared with are missing (${reason}). To install them, as root:\n  ${aptLine(missing)}`);
    return 1;
  }
  const { only, quick, rounds, "full-page-cache": fullPageCache, "client-limit": clientLimit } = values;
  if (bench !== "data" && clientLimit) throw new Error("--client-limit belongs to data");
  if (bench !== "data" && bench !== "scale" && fullPageCache) throw new Error("--full-page-cache belongs to data and scale");
  const scale = withRounds(quick ? quickScale : fullScale, rounds);
  if (bench === "profile") {
    console.log(await measureProfile({ scale, only, say }));
    return 0;
  }
  const measured =
    bench === "api"
      ? await measureApiBeside({ only, say }, withRounds(quick ? quickApiScale : fullApiScale, rounds))
      : bench === "scale"
        ? await measureScale({ sizes: withRounds(quick ? quickSizes : fullSizes, rounds), only, fullPageCache, say })
        : await measureData({ scale, only, fullPageCache, clientLimit, say });
  if (values.record) await recordRun(fullPageCache ? `${bench}, page cache full` : bench!, quick, measured);
  console.log(values.json ? JSON.stringify({ rows: measured }) : formatRows(measured));
  return 0;
}
