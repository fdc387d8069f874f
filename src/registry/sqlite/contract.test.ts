// The registry's contract, held by the embedded implementation.

import { registryContract } from "../contract.ts";
import { makeSqliteStore } from "./contract-open.ts";

registryContract("SQLite", makeSqliteStore);
