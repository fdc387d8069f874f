// The end of an answer to a client that is still sending: a connection that is closed with bytes unread is reset, and the
// reset overtakes the answer. So the rest of the request is read and thrown away for a while before the connection ends.
//
//     answer written ──► request over, or enough read, or time up ──► ended
//
// It bounds bytes and time; it does not look at what it reads.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../common/clock.ts";

const lingerMsMax = 5000;
const lingerBytesMax = 64 * 1024 * 1024;

/** Writes `text`, all that the head of `response` has announced, and ends it when the client has had the time to read it. */
export function endLingering(request: IncomingMessage, response: ServerResponse, text: string, clock: Clock): void {
  if (request.complete) {
    response.end(text);
    return;
  }
  let left = lingerBytesMax;
  const timer = clock.after(lingerMsMax, () => end());
  const read = (chunk: Buffer): void => {
    left -= chunk.length;
    if (left < 0) end();
  };
  const end = (): void => {
    timer.cancel();
    request.off("data", read);
    request.off("end", end);
    request.off("close", end);
    response.end();
  };
  request.on("data", read);
  request.once("end", end);
  request.once("close", end);
  response.write(text);
}
