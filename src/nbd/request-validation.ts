// The one place where a request is judged: command x flags x range x what was negotiated, to an errno. Whoever runs a
// request that passed checks nothing again.
//
// "Error values" of doc/proto.md: EINVAL for unknown commands and flags and for ranges beyond the end, but ENOSPC when
// that would have written; EPERM for writing to a read-only export. EOVERFLOW is for a READ that may not be fragmented
// and is longer than any buffer here.

import type { BlockDevice } from "../engine/device.ts";
import { command, commandFlag, errno, type Errno } from "./constants.ts";
import type { Request } from "./request-codec.ts";

export interface Negotiated {
  readonly structuredReplies: boolean;
  /** base:allocation was selected for the export that is served. */
  readonly blockStatus: boolean;
}

/** Flags that a command may bear besides FUA, which is allowed everywhere; undefined for an unknown command. */
function flagsOf(type: number, negotiated: Negotiated): number | undefined {
  switch (type) {
    case command.read:
      return negotiated.structuredReplies ? commandFlag.dontFragment : 0;
    case command.writeZeroes:
      return commandFlag.noHole | commandFlag.fastZero;
    case command.blockStatus:
      return commandFlag.requestOne;
    case command.write:
    case command.flush:
    case command.trim:
    case command.cache:
      return 0;
    default:
      return undefined;
  }
}

function changesDevice(type: number): boolean {
  return type === command.write || type === command.trim || type === command.writeZeroes;
}

/** errno.none when `request` may run on `device`, else what to answer. DISC is not a request that is answered. */
export function validateRequest(request: Request, device: BlockDevice, negotiated: Negotiated, payloadBytesMax: number): Errno {
  const type = request.command;
  const allowed = flagsOf(type, negotiated);
  if (allowed === undefined || (request.flags & ~(allowed | commandFlag.fua)) !== 0) return errno.EINVAL;
  if (type === command.flush) return request.offset === 0 && request.length === 0 ? errno.none : errno.EINVAL;
  if (type === command.blockStatus && (!negotiated.blockStatus || request.length === 0)) return errno.EINVAL;
  if (device.readOnly && changesDevice(type)) return errno.EPERM;
  if (request.offset + request.length > device.sizeBytes) {
    return type === command.write || type === command.writeZeroes ? errno.ENOSPC : errno.EINVAL;
  }
  if (request.oversized) return errno.EINVAL;
  if (type === command.read && request.length > payloadBytesMax) {
    return (request.flags & commandFlag.dontFragment) === 0 ? errno.EINVAL : errno.EOVERFLOW;
  }
  return errno.none;
}
