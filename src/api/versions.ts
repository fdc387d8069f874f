// GET / and GET /v3/: which versions there are. The document is what the SDKs, Horizon and Nova discover us by.

import type { Links } from "./links.ts";
import { minorMax, minorMin } from "./microversion.ts";

/** The body of both; only the links depend on the request. */
export function describeVersions(links: Links): unknown {
  return {
    versions: [
      {
        id: "v3.0",
        status: "CURRENT",
        version: `3.${minorMax}`,
        min_version: `3.${minorMin}`,
        updated: "2023-08-31T00:00:00Z",
        links: [
          { rel: "describedby", type: "text/html", href: "https://docs.openstack.org/" },
          { rel: "self", href: links.version() },
        ],
        "media-types": [{ base: "application/json", type: "application/vnd.openstack.volume+json;version=3" }],
      },
    ],
  };
}
