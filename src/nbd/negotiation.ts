// Option haggling: what the server answers to each option, and when the handshake is over. No sockets: an option goes
// in, bytes and the next step come out.
//
//                 ┌────────── any other option: answered, go on ─────────┐
//                 ▼                                                       │
//   HAGGLING ──► handle(option) ──► "continue" ───────────────────────────┘
//                    ├──► "start-tls"   ACK sent; all that was negotiated before is forgotten
//                    ├──► "transmit"    GO or EXPORT_NAME found the export; its session is open
//                    └──► "close"       ABORT, or an EXPORT_NAME that can't be served (it has no error reply)
//
// - LIST names nothing: a client must know the name of its export, and unknown and dead names look the same.
// - With TLS required, everything but STARTTLS and ABORT is ERR_TLS_REQD until TLS runs.

import { AndironError, errorCodeOf } from "../common/errors.ts";
import type { BlockDevice, ExportDirectory, ExportSession } from "../engine/device.ts";
import { allocationContext, infoType, option, optionReply, transmissionFlag } from "./constants.ts";
import type { NbdLimits } from "./limits.ts";
import {
  encodeBlockSizeInfo,
  encodeExportNameReply,
  encodeInfo,
  encodeMetaContext,
  encodeOptionReply,
  encodeSizeAndFlags,
  parseInfoRequest,
  parseMetaContextRequest,
  parseName,
  type ClientOption,
  type InfoRequest,
} from "./option-codec.ts";
import type { Negotiated } from "./request-validation.ts";

export type TlsMode = "off" | "allow" | "require";

export interface NegotiationOptions {
  readonly directory: ExportDirectory;
  readonly limits: NbdLimits;
  readonly tlsMode: TlsMode;
}

export interface Agreement {
  readonly exportName: string;
  readonly session: ExportSession;
  readonly negotiated: Negotiated;
}

export interface Step {
  readonly replies: readonly Buffer[];
  readonly then: "continue" | "start-tls" | "transmit" | "close";
  /** With "transmit" only. */
  readonly agreement?: Agreement;
}

/** What the export can do, for the 16 bits of transmission flags. */
export function transmissionFlagsOf(device: BlockDevice, structuredReplies: boolean): number {
  let flags = transmissionFlag.hasFlags | transmissionFlag.sendFlush | transmissionFlag.sendFua;
  flags |= transmissionFlag.sendTrim | transmissionFlag.sendWriteZeroes | transmissionFlag.sendFastZero;
  flags |= transmissionFlag.canMultiConnection | transmissionFlag.sendCache;
  if (device.readOnly) flags |= transmissionFlag.readOnly;
  if (structuredReplies) flags |= transmissionFlag.sendDontFragment;
  return flags;
}

function answer(asked: ClientOption, type: number, data: Buffer | string = ""): Step {
  return { replies: [encodeOptionReply(asked.option, type, data)], then: "continue" };
}

const closed: Step = { replies: [], then: "close" };

export class Negotiation {
  readonly #options: NegotiationOptions;
  #overTls = false;
  #shuttingDown = false;
  #structuredReplies = false;
  /** The export for which base:allocation was selected. */
  #contextExportName: string | undefined;

  constructor(options: NegotiationOptions) {
    this.#options = options;
  }

  /** From now on every option but ABORT is answered ERR_SHUTDOWN. */
  shutDown(): void {
    this.#shuttingDown = true;
  }

  /** Answers one option. The caller hands in the next one only after this has resolved.
   *  Rejects only when a session can't be closed. */
  handle(asked: ClientOption, clientFlags: number): Promise<Step> | Step {
    if (asked.option === option.abort) return { ...answer(asked, optionReply.ack), then: "close" };
    if (asked.option === option.exportName) return this.#exportName(asked, clientFlags);
    if (this.#shuttingDown) return answer(asked, optionReply.errorShutdown);
    if (asked.option !== option.startTls && this.#tlsMissing) return answer(asked, optionReply.errorTlsRequired);
    if (asked.tooBig) return answer(asked, optionReply.errorTooBig);
    switch (asked.option) {
      case option.list:
        return answer(asked, asked.data.length === 0 ? optionReply.ack : optionReply.errorInvalid);
      case option.startTls:
        return this.#startTls(asked);
      case option.structuredReply:
        if (asked.data.length > 0) return answer(asked, optionReply.errorInvalid);
        this.#structuredReplies = true;
        return answer(asked, optionReply.ack);
      case option.listMetaContext:
      case option.setMetaContext:
        return this.#metaContext(asked);
      case option.info:
      case option.go:
        return this.#infoOrGo(asked);
      default:
        return answer(asked, optionReply.errorUnsupported);
    }
  }

  get #tlsMissing(): boolean {
    return this.#options.tlsMode === "require" && !this.#overTls;
  }

  #startTls(asked: ClientOption): Step {
    if (this.#options.tlsMode === "off") return answer(asked, optionReply.errorPolicy);
    if (this.#overTls || asked.data.length > 0) return answer(asked, optionReply.errorInvalid);
    this.#overTls = true;
    this.#structuredReplies = false;
    this.#contextExportName = undefined;
    return { ...answer(asked, optionReply.ack), then: "start-tls" };
  }

  #metaContext(asked: ClientOption): Step {
    const request = parseMetaContextRequest(asked.data, this.#options.limits);
    const setting = asked.option === option.setMetaContext;
    if (setting) this.#contextExportName = undefined;
    if (request === undefined || !this.#structuredReplies) return answer(asked, optionReply.errorInvalid);
    const { queries } = request;
    const listsAll = !setting && (queries.length === 0 || queries.includes("base:"));
    const replies = [encodeOptionReply(asked.option, optionReply.ack)];
    if (listsAll || queries.includes(allocationContext)) {
      replies.unshift(encodeMetaContext(asked.option, setting));
      if (setting) this.#contextExportName = request.exportName;
    }
    return { replies, then: "continue" };
  }

  async #infoOrGo(asked: ClientOption): Promise<Step> {
    const request = parseInfoRequest(asked.data, this.#options.limits);
    if (request === undefined) return answer(asked, optionReply.errorInvalid);
    let session: ExportSession;
    try {
      session = await this.#options.directory.open(request.exportName);
    } catch (error) {
      return answer(asked, ...refusalFor(error));
    }
    const replies = this.#infoReplies(asked.option, request, session);
    if (asked.option === option.go) return this.#transmit(request.exportName, session, replies);
    await session.close();
    return { replies, then: "continue" };
  }

  #infoReplies(asked: number, request: InfoRequest, session: ExportSession): Buffer[] {
    const { device, description } = session;
    const flags = transmissionFlagsOf(device, this.#structuredReplies);
    const replies = [encodeInfo(asked, infoType.export, encodeSizeAndFlags(device.sizeBytes, flags))];
    for (const wanted of new Set(request.wanted)) {
      if (wanted === infoType.name) replies.push(encodeInfo(asked, wanted, request.exportName));
      if (wanted === infoType.description) replies.push(encodeInfo(asked, wanted, description));
      if (wanted === infoType.blockSize) replies.push(encodeBlockSizeInfo(asked, this.#options.limits));
    }
    return [...replies, encodeOptionReply(asked, optionReply.ack)];
  }

  async #exportName(asked: ClientOption, clientFlags: number): Promise<Step> {
    if (this.#shuttingDown || this.#tlsMissing || asked.tooBig) return closed;
    const exportName = parseName(asked.data, this.#options.limits);
    if (exportName === undefined) return closed;
    let session: ExportSession;
    try {
      session = await this.#options.directory.open(exportName);
    } catch {
      return closed;
    }
    const flags = transmissionFlagsOf(session.device, this.#structuredReplies);
    return this.#transmit(exportName, session, [encodeExportNameReply(session.device.sizeBytes, flags, clientFlags)]);
  }

  #transmit(exportName: string, session: ExportSession, replies: readonly Buffer[]): Step {
    const negotiated: Negotiated = {
      structuredReplies: this.#structuredReplies,
      blockStatus: this.#contextExportName === exportName,
    };
    return { replies, then: "transmit", agreement: { exportName, session, negotiated } };
  }
}

/** An export that can't be had now is told apart from one that does not exist only by those who know its name. */
function refusalFor(error: unknown): [type: number, message: string] {
  const code = errorCodeOf(error);
  if (code === "shutting_down") return [optionReply.errorShutdown, code];
  if (error instanceof AndironError && error.kind === "not-found") return [optionReply.errorUnknown, "export_not_found"];
  return [optionReply.errorPolicy, code];
}
