// Which differences are allowed: matching of what was found with the list (allowed-differences.ts). Pure.

import type { Difference } from "./comparison.ts";

/** Why a difference may be: there is no other reason. */
export type Kind = "newer than the reference" | "host, time or id" | "capability of a driver" | "bug of Cinder";

export interface Allowed {
  readonly kind: Kind;
  readonly reason: string;
  /** Matches "key | where | reference | andiron". */
  readonly pattern: RegExp;
}

export interface Sorted {
  readonly unexplained: readonly Difference[];
  /** How many differences each entry explains, in their order. */
  readonly uses: readonly number[];
}

export const describe = ({ key, where, reference, andiron }: Difference): string =>
  `${key} | ${where} | ${reference} | ${andiron}`;

/** The first entry that matches explains a difference. An entry that explains none is stale. */
export function sortDifferences(differences: readonly Difference[], allowed: readonly Allowed[]): Sorted {
  const uses = allowed.map(() => 0);
  const unexplained = differences.filter((difference) => {
    const text = describe(difference);
    const at = allowed.findIndex(({ pattern }) => pattern.test(text));
    if (at >= 0) uses[at]!++;
    return at < 0;
  });
  return { unexplained, uses };
}
