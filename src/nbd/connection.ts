// One client of the NBD server, from accept to the end: owns the socket and says which phase its bytes belong to.
//
//            accept
//              │
//              ▼           STARTTLS
//          HANDSHAKE ────────────────► TLS (handshake of TLS itself)
//              │  ▲                     │
//              │  └─────── secure ──────┘
//              │ GO, EXPORT_NAME
//              ▼
//        TRANSMISSION ── DISC, EOF, drained ──► ENDING (all replies are out, FIN sent, input ignored)
//              │                                   │ peer hangs up, or lingerMs
//   deadline, violation, revoked, fenced,          ▼
//   socket error, stop ────────────────────────► CLOSED
//
// - The session is closed exactly once: when the socket has closed and no request is left in the device.
// - A cut drops what was not answered: a client can't tell it from a lost packet, and asks again after a reconnect.

import { Socket } from "node:net";
import { AssertionError } from "../common/assert.ts";
import type { Clock, Timer } from "../common/clock.ts";
import type { ExportDirectory } from "../engine/device.ts";
import type { BusyPoll } from "./busy-poll.ts";
import type { NbdLimits } from "./limits.ts";
import { Negotiation, type Agreement, type Step, type TlsMode } from "./negotiation.ts";
import type { Logger, NbdMetrics } from "./observer.ts";
import { encodeGreeting, OptionParser } from "./option-codec.ts";
import { ReplyQueue } from "./reply-queue.ts";
import type { Slab, SlabPool } from "./slab.ts";
import { SocketInput, type ByteSink } from "./socket-input.ts";
import { rejectionOf, upgradeServerSocket, type ServerTlsContext } from "./tls.ts";
import type { TurnShares } from "./turn-shares.ts";
import { Transmission } from "./transmission.ts";

export interface ConnectionOptions {
  readonly directory: ExportDirectory;
  readonly clock: Clock;
  readonly limits: NbdLimits;
  readonly pool: SlabPool;
  readonly shares: TurnShares;
  readonly busyPoll: BusyPoll;
  readonly logger: Logger;
  readonly metrics: NbdMetrics;
  readonly tlsMode: TlsMode;
  readonly tls: ServerTlsContext | undefined;
  /** The handshake is over: this connection does not count as a stranger any more. */
  readonly onTransmission: (connection: Connection) => void;
  readonly onClosed: (connection: Connection) => void;
}

type Phase = "handshake" | "tls" | "transmission" | "ending" | "closed";

/** node's handle of an accepted socket: it can be given to another socket, that reads it differently. */
interface AcceptedSocket {
  _handle: object | null;
}

export class Connection implements ByteSink {
  readonly #options: ConnectionOptions;
  readonly #negotiation: Negotiation;
  readonly #parser: OptionParser;
  #input: SocketInput;
  /** Of the socket before TLS, whose handle still knows its buffer. */
  #plainInput: SocketInput | undefined;
  #socket: Socket;
  #phase: Phase = "handshake";
  #deadline: Timer | undefined;
  #optionCount = 0;
  #answering = false;
  #peerEnded = false;
  /** The peer has hung up behind bytes that still wait. */
  #endWaits = false;
  #agreement: Agreement | undefined;
  #transmission: Transmission | undefined;
  /** Of its requests under way `busyPoll` knows. */
  #polledFor = 0;
  #endReason = "client";

  /** Takes over `accepted`, which must not have been read from (pauseOnConnect). */
  constructor(accepted: Socket, options: ConnectionOptions) {
    this.#options = options;
    this.#negotiation = new Negotiation(options);
    this.#parser = new OptionParser(options.limits.optionBytesMax);
    const owner = accepted as unknown as AcceptedSocket;
    const handle = owner._handle;
    owner._handle = null;
    this.#input = new SocketInput(this, options.pool, options.limits.slabBytes);
    // `handle` is missing from the published types of SocketConstructorOpts.
    const socketOptions = { handle, allowHalfOpen: true, onread: this.#input.onread };
    this.#socket = new Socket(socketOptions as object);
    this.#socket.setNoDelay(true);
    this.#socket.setKeepAlive(true, options.limits.keepAliveMs);
    this.#listen(this.#socket);
    this.#deadline = options.clock.after(options.limits.handshakeTimeoutMs, () => this.cut("handshake timeout"));
    this.#socket.write(encodeGreeting());
  }

  /** Ends at once: nothing more is answered. `reason` is a constant word for the metrics, `detail` is for the log. */
  cut(reason: string, detail = ""): void {
    if (this.#phase === "closed" || this.#socket.destroyed) return;
    this.#endReason = reason;
    this.#options.logger.debug("NBD connection cut", { reason, detail, phase: this.#phase });
    this.#socket.destroy();
  }

  /** Finishes what is in flight, answers ESHUTDOWN to what comes meanwhile, then ends. */
  drain(): void {
    this.#endReason = "shutdown";
    this.#negotiation.shutDown();
    if (this.#phase === "transmission") this.#transmission?.drain();
    else if (this.#phase !== "ending") this.cut("shutdown");
  }

  receive(slab: Slab, start: number, end: number): boolean {
    if (this.#phase === "ending") return true;
    this.#options.busyPoll.arrived();
    return this.#guard(() => {
      if (this.#transmission !== undefined) return this.#counted(this.#transmission.receive(slab, start, end));
      this.#parser.offer(slab.buffer, start, end);
      return this.#haggle(slab);
    });
  }

  directTarget(): Buffer | undefined {
    return this.#phase === "transmission" ? this.#transmission?.directTarget() : undefined;
  }

  wantedBytes(): number {
    return this.#transmission?.wantedBytes() ?? this.#options.limits.slabBytes;
  }

  receiveDirect(count: number): boolean {
    if (this.#phase === "ending") return true;
    this.#options.busyPoll.arrived();
    return this.#guard(() => this.#counted(this.#transmission!.receiveDirect(count)));
  }

  /** Tells `busyPoll` how many requests are under way now. */
  #counted(goesOn: boolean): boolean {
    const count = this.#phase === "closed" ? 0 : this.#transmission!.requestsInFlight;
    if (count !== this.#polledFor) this.#options.busyPoll.inFlight(count - this.#polledFor);
    this.#polledFor = count;
    return goesOn;
  }

  #readOn(): void {
    if (!this.#input.resume()) return;
    if (this.#endWaits) this.#peerHungUp();
    else this.#socket.resume();
  }

  #listen(socket: Socket): void {
    socket.on("error", (error) => {
      if (this.#endReason === "client") this.#endReason = "socket";
      this.#options.logger.debug("NBD socket failed", { error: error.message });
    });
    socket.on("end", () => {
      if (socket !== this.#socket) return;
      if (this.#input.stopped) this.#endWaits = true;
      else this.#peerHungUp();
    });
    socket.on("close", () => {
      if (socket === this.#socket) this.#closed();
    });
  }

  /** Ends the connection when the peer breaks the protocol. */
  #guard(parse: () => boolean): boolean {
    try {
      return parse() || this.#phase === "ending";
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      this.cut("protocol", String(error));
      return false;
    }
  }

  #peerHungUp(): void {
    this.#peerEnded = true;
    if (this.#phase !== "transmission") return void this.#socket.destroy();
    this.#clientGone();
    this.#transmission?.end();
  }

  /** Answers the options that have come. False while one is being answered: the rest waits in `slab`. */
  #haggle(slab: Slab): boolean {
    while (!this.#answering && this.#phase === "handshake") {
      const asked = this.#parser.next();
      if (asked === undefined) return true;
      this.#optionCount += 1;
      if (this.#optionCount > this.#options.limits.optionsMax) {
        this.cut("too many options");
        return false;
      }
      const step = this.#negotiation.handle(asked, this.#parser.clientFlags);
      if (step instanceof Promise) this.#haggleLater(step, slab);
      else if (this.#take(step, slab)) return false;
    }
    return false;
  }

  #haggleLater(pending: Promise<Step>, slab: Slab): void {
    this.#answering = true;
    slab.hold();
    pending.then(
      (step) => {
        this.#answering = false;
        const goesOn = this.#guard(() => !this.#take(step, slab) && this.#haggle(slab));
        slab.release();
        if (goesOn) this.#readOn();
      },
      (error: unknown) => {
        slab.release();
        if (error instanceof AssertionError) throw error;
        this.#options.logger.error("NBD handshake failed", { error: String(error) });
        this.cut("internal");
      },
    );
  }

  /** Does what an answered option asks for. True when reading options is over, or stops for now. */
  #take(step: Step, slab: Slab): boolean {
    this.#agreement = step.agreement;
    if (this.#phase === "closed" || this.#socket.destroyed) {
      this.#closeSession();
      return true;
    }
    const bytes = Buffer.concat(step.replies);
    switch (step.then) {
      case "continue":
        this.#socket.write(bytes);
        return false;
      case "close":
        if (bytes.length > 0) this.#socket.write(bytes);
        else this.#options.metrics.refused("export");
        this.#finish();
        return true;
      case "start-tls":
        this.#startTls(bytes);
        return true;
      case "transmit":
        this.#socket.write(bytes);
        this.#transmit(step.agreement!, slab);
        return true;
    }
  }

  #startTls(acknowledgement: Buffer): void {
    if (this.#parser.remainingBytes > 0) return this.cut("protocol", "bytes in the clear behind STARTTLS");
    this.#phase = "tls";
    this.#socket.pause();
    const plain = this.#socket;
    plain.write(acknowledgement, () => {
      if (plain.destroyed) return;
      this.#plainInput = this.#input;
      this.#input = new SocketInput(this, this.#options.pool, this.#options.limits.slabBytes);
      const secure = upgradeServerSocket(plain, this.#options.tls!, this.#input.onread);
      this.#socket = secure;
      this.#listen(secure);
      secure.on("_tlsError", (error: Error) => this.cut("tls", error.message));
      secure.once("secure", () => {
        const rejection = rejectionOf(secure, this.#options.tls!);
        if (rejection !== undefined) return this.cut("tls", rejection);
        this.#phase = "handshake";
      });
    });
  }

  #transmit(agreement: Agreement, slab: Slab): void {
    const { limits, pool, logger, metrics, shares, busyPoll } = this.#options;
    const share = shares.of(agreement.exportName);
    this.#phase = "transmission";
    this.#deadline?.cancel();
    const transmission = new Transmission(
      {
        ...{ device: agreement.session.device, negotiated: agreement.negotiated, limits, pool, share, logger, metrics },
        onResume: () => this.#readOn(),
        onIdle: () => this.#finish(),
        onQuiet: () => this.#closeSession(),
        onCut: (reason, detail) => this.cut(reason, detail),
      },
      (sent) => {
        const onSent = (requests: number, bytes: number): void => {
          busyPoll.answered();
          sent(requests, bytes);
          this.#counted(true);
        };
        return new ReplyQueue(this.#socket, { pool, ...limits, onSent });
      },
    );
    this.#transmission = transmission;
    agreement.session.onRevoked(() => this.cut("revoked"));
    this.#options.onTransmission(this);
    const start = this.#parser.position;
    const goesOn = this.#guard(() => transmission.receive(slab, start, start + this.#parser.remainingBytes));
    if (this.#peerEnded) transmission.end();
    else if (goesOn) this.#readOn();
  }

  /** Everything has been said: FIN, then wait a little for the peer to hang up, so that it gets all of it. */
  #finish(): void {
    if (this.#phase === "ending" || this.#phase === "closed") return;
    this.#phase = "ending";
    this.#deadline?.cancel();
    if (this.#peerEnded) this.#socket.end(() => this.#socket.destroy());
    else {
      this.#socket.end();
      this.#readOn();
      this.#deadline = this.#options.clock.after(this.#options.limits.lingerMs, () => this.#socket.destroy());
    }
  }

  #closed(): void {
    if (this.#phase === "closed") return;
    if (this.#phase === "handshake" || this.#phase === "tls") this.#options.metrics.refused("handshake");
    this.#phase = "closed";
    this.#deadline?.cancel();
    this.#clientGone();
    this.#transmission?.dispose();
    if (this.#transmission !== undefined) this.#counted(false);
    this.#input.dispose();
    this.#plainInput?.dispose();
    this.#options.metrics.disconnected(this.#endReason);
    this.#options.onClosed(this);
    if (this.#transmission === undefined || this.#transmission.inDevice === 0) this.#closeSession();
  }

  /** Not after a disconnect request: what came before that is carried out. */
  #clientGone(): void {
    if (this.#transmission?.isDisconnected === false) this.#agreement?.session.clientGone();
  }

  #closeSession(): void {
    const session = this.#agreement?.session;
    this.#agreement = undefined;
    session?.close().catch((error: unknown) => {
      this.#options.logger.error("NBD session could not be closed", { error: String(error) });
    });
  }
}
