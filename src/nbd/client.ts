// An NBD client: one connection to one export, as a BlockDevice. Requests are pipelined and answered in any order; those
// made in one turn of the event loop leave with one write.
//
//     connect() ──► HANDSHAKE ──► OPEN ──► disconnect(): waits for replies, DISC ──► CLOSED
//                                  └──── socket lost, protocol broken ─────────────► CLOSED
//
// - At most requestsInFlightMax requests and about bytesInFlightMax bytes are on their way; callers beyond that wait in
//   order, and beyond waitingMax they are refused (limit_exceeded).
// - When the connection is lost everything unanswered rejects with owner_unreachable: the request may have been done or not.
// - It does not reconnect, retry or cache: that is for whoever forwards with it.

import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { AndironError } from "../common/errors.ts";
import type { Clock } from "../common/clock.ts";
import type { BlockDevice, Extent, WriteOptions, ZeroOptions } from "../engine/device.ts";
import { ClientHandshake, HandshakeStream, type ExportInfo } from "./client-handshake.ts";
import { command, commandFlag, transmissionFlag } from "./constants.ts";
import { clientLimits, type ClientLimits } from "./limits.ts";
import type { ListenAddress } from "./listening.ts";
import { PendingRequests } from "./pending-requests.ts";
import { ReplyParser } from "./reply-parser.ts";
import { encodeRequest } from "./request-codec.ts";
import { SlabPool, type Slab } from "./slab.ts";
import { readDeciphered, SocketInput, type ByteSink } from "./socket-input.ts";
import type { ClientTls } from "./tls.ts";

export interface NbdClientOptions {
  readonly address: ListenAddress;
  readonly exportName: string;
  readonly clock: Clock;
  readonly tls?: ClientTls;
  readonly limits?: Partial<ClientLimits>;
  /** Called once when the connection has ended, with what ended it; undefined after disconnect(). */
  readonly onClosed?: (error: AndironError | undefined) => void;
}

export class NbdClient implements BlockDevice, ByteSink {
  readonly #options: NbdClientOptions;
  readonly #limits: ClientLimits;
  readonly #pool = new SlabPool(0);
  readonly #input: SocketInput;
  readonly #handshake: HandshakeStream;
  #socket: Socket;
  #info: ExportInfo | undefined;
  readonly #pending: PendingRequests;
  readonly #parser: ReplyParser;
  #failure: AndironError | undefined;
  #disconnecting = false;
  #corked = false;
  readonly #closed = Promise.withResolvers<void>();

  /** Connects, negotiates and resolves with the open device. Rejects with owner_unreachable or export_not_found. */
  static async connect(options: NbdClientOptions): Promise<NbdClient> {
    const client = new NbdClient(options);
    const timeout = options.clock.after(client.#limits.connectTimeoutMs, () => {
      client.#fail(new AndironError("owner_unreachable", "the NBD handshake timed out"));
    });
    try {
      await client.#open();
      return client;
    } catch (cause) {
      const error = cause instanceof AndironError ? cause : new AndironError("nbd_protocol", "NBD handshake failed", { cause });
      client.#fail(error);
      throw error;
    } finally {
      timeout.cancel();
    }
  }

  private constructor(options: NbdClientOptions) {
    this.#options = options;
    this.#limits = { ...clientLimits, ...options.limits };
    this.#pending = new PendingRequests(this.#limits);
    this.#parser = new ReplyParser(this.#pending, this.#limits.replyBytesMax);
    this.#handshake = new HandshakeStream(() => {
      if (this.#input.resume()) this.#socket.resume();
    });
    this.#input = new SocketInput(this, this.#pool, this.#limits.slabBytes);
    this.#socket = connectSocket({ ...options.address, onread: this.#input.onread });
    this.#socket.setNoDelay(true);
    this.#listen(this.#socket);
  }

  get sizeBytes(): number {
    return this.#export.sizeBytes;
  }

  get readOnly(): boolean {
    return (this.#export.flags & transmissionFlag.readOnly) !== 0;
  }

  /** What the server said in the handshake. */
  get exportInfo(): ExportInfo {
    return this.#export;
  }

  read(offset: number, target: Buffer): Promise<void> {
    return this.#request(command.read, 0, offset, target.length, target);
  }

  write(offset: number, data: Buffer, options: WriteOptions): Promise<void> {
    return this.#request(command.write, options.fua ? commandFlag.fua : 0, offset, data.length, data);
  }

  flush(): Promise<void> {
    return this.#request(command.flush, 0, 0, 0);
  }

  trim(offset: number, lengthBytes: number, options: WriteOptions): Promise<void> {
    return this.#request(command.trim, options.fua ? commandFlag.fua : 0, offset, lengthBytes);
  }

  writeZeroes(offset: number, lengthBytes: number, options: ZeroOptions): Promise<void> {
    const flags = (options.fua ? commandFlag.fua : 0) | (options.noHole ? commandFlag.noHole : 0);
    return this.#request(command.writeZeroes, flags, offset, lengthBytes);
  }

  cache(offset: number, lengthBytes: number): Promise<void> {
    return this.#request(command.cache, 0, offset, lengthBytes);
  }

  async extents(offset: number, lengthBytes: number, countMax: number): Promise<Extent[]> {
    if (this.#export.allocationContextId === undefined) return [{ lengthBytes, allocated: true }];
    const extents: Extent[] = [];
    const flags = countMax === 1 ? commandFlag.requestOne : 0;
    await this.#request(command.blockStatus, flags, offset, lengthBytes, undefined, extents);
    return extents.slice(0, countMax);
  }

  /** Waits for what is in flight, says goodbye and closes. Safe to call twice, and after a failure. */
  async disconnect(): Promise<void> {
    if (!this.#disconnecting && this.#failure === undefined) {
      this.#disconnecting = true;
      await this.#pending.idle();
      if (this.#failure === undefined) this.#socket.end(encodeRequest(command.disconnect, 0, 0, 0, 0));
    }
    await this.#closed.promise;
  }

  /** Ends at once; what is unanswered rejects. */
  destroy(): void {
    this.#fail(new AndironError("owner_unreachable", "the NBD connection was closed here"));
  }

  receive(slab: Slab, start: number, end: number): boolean {
    if (this.#info === undefined) return this.#handshake.receive(slab, start, end);
    return this.#guard(() => this.#parser.parse(slab.buffer, start, end));
  }

  directTarget(): Buffer | undefined {
    return this.#parser.remainder();
  }

  wantedBytes(): number {
    return this.#limits.slabBytes;
  }

  receiveDirect(count: number): boolean {
    return this.#guard(() => this.#parser.placed(count));
  }

  get #export(): ExportInfo {
    if (this.#info === undefined) throw new AndironError("owner_unreachable", "the NBD connection is not open");
    return this.#info;
  }

  async #open(): Promise<void> {
    const handshake = new ClientHandshake(this.#handshake, (bytes) => this.#socket.write(bytes), this.#limits);
    await handshake.greet();
    if (this.#options.tls !== undefined) {
      await handshake.askForTls();
      await this.#startTls(this.#options.tls);
    }
    const info = await handshake.go(this.#options.exportName);
    this.#pending.structuredReplies = info.structuredReplies;
    this.#pending.allocationContextId = info.allocationContextId;
    this.#info = info;
  }

  #startTls(tls: ClientTls): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const identity = tls.key === undefined || tls.cert === undefined ? {} : { key: tls.key, cert: tls.cert };
    const { ca, serverName } = tls;
    const secure = connectTls({ socket: this.#socket, ca, servername: serverName, minVersion: "TLSv1.2", ...identity });
    this.#socket = secure;
    this.#listen(secure);
    secure.once("secureConnect", () => {
      readDeciphered(secure, this);
      resolve();
    });
    secure.once("close", () => reject(new AndironError("owner_unreachable", "the TLS handshake failed")));
    return promise;
  }

  #listen(socket: Socket): void {
    socket.on("error", (cause) => {
      this.#fail(new AndironError("owner_unreachable", `the NBD connection failed: ${cause.message}`, { cause }));
    });
    socket.on("close", () => {
      if (socket === this.#socket) this.#socketClosed();
    });
  }

  #guard(parse: () => void): boolean {
    try {
      parse();
      return true;
    } catch (cause) {
      this.#fail(new AndironError("nbd_protocol", "the NBD server broke the protocol", { cause }));
      return false;
    }
  }

  #fail(error: AndironError): void {
    this.#failure ??= error;
    this.#socket.destroy();
  }

  #socketClosed(): void {
    if (!this.#disconnecting) this.#failure ??= new AndironError("owner_unreachable", "the NBD server hung up");
    const error = this.#failure ?? new AndironError("owner_unreachable", "the NBD connection is closed");
    this.#failure = error;
    this.#input.dispose();
    this.#handshake.fail(error);
    this.#pending.failAll(error);
    this.#closed.resolve();
    this.#options.onClosed?.(this.#disconnecting ? undefined : error);
  }

  async #request(
    type: number,
    flags: number,
    offset: number,
    lengthBytes: number,
    data?: Buffer,
    extents?: Extent[],
  ): Promise<void> {
    const carries = data === undefined ? 0 : lengthBytes;
    if (carries > this.#export.payloadBytesMax || lengthBytes >= 2 ** 32) {
      throw new AndironError("invalid_request", "the request is longer than NBD can say");
    }
    if (this.#disconnecting) throw new AndironError("owner_unreachable", "the NBD connection is being closed");
    if (!this.#pending.hasRoom(carries)) {
      await this.#pending.waitForRoom(carries);
      this.#pending.enter(carries);
    }
    if (this.#failure !== undefined) throw this.#failure;
    const target = type === command.read ? data : undefined;
    const { cookie, promise } = this.#pending.add(type, offset, lengthBytes, carries, target, extents);
    this.#cork();
    this.#socket.write(encodeRequest(type, flags, cookie, offset, lengthBytes));
    if (type === command.write && lengthBytes > 0) this.#socket.write(data!);
    await promise;
  }

  /** Holds back what is written until the end of this turn, so that it leaves with one system call. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
  }
}
