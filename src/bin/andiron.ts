// What `npm start` runs: Andiron, all of it in one process (andiron-service.ts). The service's modules are imported when it is
// settled how, so that they are found compiled (compile-cache.ts).

import "./thread-pool.ts"; // first: see there
import "./compile-cache.ts";

await import("./andiron-service.ts");
