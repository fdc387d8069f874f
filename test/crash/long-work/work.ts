// What the campaign over long work asks of a kind of it: to begin a piece, to say whether it is under way, and, when nothing is
// under way any more, how it ended. A kind looks at the service through its API alone. The service may die in the middle of
// whatever a kind asks, so that it finds what it began by a name, and not by an answer.

import type { Random } from "../../../src/common/random.ts";
import type { BlockStorage } from "../../harness/block-storage.ts";
import type { AndironProcess } from "../../harness/service.ts";
import type { ImageStore } from "./image-store.ts";

export interface Rig {
  readonly service: AndironProcess;
  readonly api: BlockStorage;
  readonly images: ImageStore;
  readonly random: Random;
  /** For files; it goes with the campaign. */
  readonly folder: string;
  /** How many snapshots a volume has that is deleted with them. */
  readonly snapshots: number;
}

/** How a piece ended: well; with an error that the user can read; or its request was not accepted before the service died. */
export type Ending = "done" | "error" | "not begun";

export interface LongWork {
  readonly name: string;
  /** About how long a piece takes: kills come within it. */
  readonly tookMs: number;
  /** Makes what the next piece needs; nothing is killed meanwhile. */
  prepare(): Promise<void>;
  /** Asks for it; rejects when the service dies before it answers. */
  begin(): Promise<void>;
  isUnderWay(): Promise<boolean>;
  /** Rejects when it ended in any other way, or with other bytes. What was made for the piece is deleted. */
  end(): Promise<Ending>;
}
