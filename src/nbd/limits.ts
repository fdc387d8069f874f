// Every limit of the NBD server and client, in one place. A limit that is reached either stops reading from the peer
// (requests, bytes: back-pressure), refuses with an error of the protocol (options, payloads) or ends the connection
// (handshakes, connections, deadlines). None of them makes anything grow.

import { assert } from "../common/assert.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

export interface NbdLimits {
  /** Data of one option; longer ones are skipped unread and answered ERR_TOO_BIG. */
  readonly optionBytesMax: number;
  /** "a string MUST be no longer than 4096 bytes". */
  readonly nameBytesMax: number;
  /** Queries in one LIST/SET_META_CONTEXT, information requests in one INFO/GO. */
  readonly optionItemsMax: number;
  /** Options in one handshake; one more ends the connection. */
  readonly optionsMax: number;
  /** From accept to the transmission phase, TLS included. */
  readonly handshakeTimeoutMs: number;
  readonly connectionsMax: number;
  /** Connections still in the handshake; one more ends the oldest of them. */
  readonly handshakesMax: number;
  /** READ and WRITE length, as advertised in INFO_BLOCK_SIZE. */
  readonly payloadBytesMax: number;
  /** Requests taken from a connection whose reply has not left for the kernel yet. */
  readonly requestsInFlightMax: number;
  /** Payload of those requests and replies. One request may overshoot it, so memory is this plus one payload. */
  readonly bytesInFlightMax: number;
  /** What one export may begin in one turn of the event loop; a request costs requestCostBytesMin at least, a change twice. */
  readonly turnBytesMax: number;
  /** The same while others are at work, too. */
  readonly besideTurnBytesMax: number;
  readonly requestCostBytesMin: number;
  /** How long after an answer the loop looks for the next request instead of sleeping; 0 for not at all. */
  readonly busyPollMs: number;
  /** A READ is begun only while less than this waits for the kernel to take it: so much work for one client in a turn. */
  readonly unsentBytesMax: number;
  /** Content of one chunk of a structured read. */
  readonly readChunkBytesMax: number;
  /** Structured reads from this size ask for the extents first, and send holes as holes. */
  readonly sparseReadBytesMin: number;
  /** Extents asked of the device for one sparse read, and for one BLOCK_STATUS. */
  readonly sparseReadExtentsMax: number;
  readonly blockStatusExtentsMax: number;
  /** Buffer a socket is read into, and small replies are written from. */
  readonly slabBytes: number;
  /** Free buffers kept for reuse by the whole server. */
  readonly pooledBytesMax: number;
  /** TCP keep-alive: idle time before the kernel looks whether a silent peer still lives. */
  readonly keepAliveMs: number;
  /** After the last reply: how long the peer may take to hang up, before we do. */
  readonly lingerMs: number;
  /** How long drain() waits for requests in flight before it cuts what is left. */
  readonly drainTimeoutMs: number;
}

export const nbdLimits: NbdLimits = {
  optionBytesMax: 16 * KiB,
  nameBytesMax: 4096,
  optionItemsMax: 64,
  optionsMax: 64,
  handshakeTimeoutMs: 30_000,
  connectionsMax: 1024,
  handshakesMax: 256,
  payloadBytesMax: 32 * MiB,
  requestsInFlightMax: 512,
  bytesInFlightMax: 32 * MiB,
  turnBytesMax: 512 * KiB,
  besideTurnBytesMax: 32 * KiB,
  requestCostBytesMin: 4 * KiB,
  busyPollMs: 0.05,
  unsentBytesMax: 2 * MiB,
  readChunkBytesMax: 1 * MiB,
  sparseReadBytesMin: 64 * KiB,
  sparseReadExtentsMax: 64,
  blockStatusExtentsMax: 1024,
  slabBytes: 256 * KiB,
  pooledBytesMax: 64 * MiB,
  keepAliveMs: 60_000,
  lingerMs: 1_000,
  drainTimeoutMs: 10_000,
};

/** Asserts what the limits must be to each other; the server does so when it is made. */
export function assertLimits(limits: NbdLimits): void {
  assert(limits.optionBytesMax >= limits.nameBytesMax + 8, "an option must hold a name");
  assert(limits.readChunkBytesMax >= 64 * KiB, "reads of 64 KiB must not be fragmented under DF");
  assert(limits.sparseReadBytesMin >= 1 && limits.sparseReadExtentsMax >= 1, "a sparse read covers at least one extent");
  assert(limits.payloadBytesMax >= 64 * KiB && limits.payloadBytesMax <= 2 ** 31, "block size information is 32 bits");
  assert(limits.slabBytes >= 64 * KiB, "a slab must hold a few small requests");
  assert(limits.requestsInFlightMax >= 1 && limits.bytesInFlightMax >= 1, "something must be allowed in flight");
}

/** What the client of this module allows itself and its server. */
export interface ClientLimits {
  readonly connectTimeoutMs: number;
  /** Requests sent and not answered; further callers wait their turn. */
  readonly requestsInFlightMax: number;
  readonly bytesInFlightMax: number;
  /** Callers waiting for their turn; one more is refused. */
  readonly waitingMax: number;
  /** Payload of a reply that is not read data: block status and errors. */
  readonly replyBytesMax: number;
  /** Data of one reply to an option, and replies to one option. */
  readonly optionReplyBytesMax: number;
  readonly optionRepliesMax: number;
  readonly slabBytes: number;
}

export const clientLimits: ClientLimits = {
  connectTimeoutMs: 10_000,
  requestsInFlightMax: 128,
  bytesInFlightMax: 32 * MiB,
  waitingMax: 4096,
  replyBytesMax: 1 * MiB,
  optionReplyBytesMax: 64 * KiB,
  optionRepliesMax: 256,
  slabBytes: 256 * KiB,
};
