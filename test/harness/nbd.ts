// Talking NBD to a private Andiron with our own client, where a test looks at single requests.

import { systemClock } from "../../src/common/clock.ts";
import { seededRandom } from "../../src/common/random.ts";
import { NbdClient } from "../../src/nbd/client.ts";
import type { AndironProcess } from "./service.ts";

/** One connection to the export; rejects with what the server says. */
export function openExport(service: AndironProcess, exportName: string): Promise<NbdClient> {
  const { host, port } = service.endpoints.nbd;
  return NbdClient.connect({ address: { host, port }, exportName, clock: systemClock });
}

export async function readBytes(client: NbdClient, offset: number, lengthBytes: number): Promise<Buffer> {
  const bytes = Buffer.alloc(lengthBytes);
  await client.read(offset, bytes);
  return bytes;
}

/** Bytes that don't compress and are not those of another seed. */
export const noise = (seed: number, lengthBytes: number): Buffer => seededRandom(seed).bytes(lengthBytes);
