// Images on their way into volumes: what is under way in this process, step by step.
//
//   raw, iso   stream ─► hash ─► head looked at ─► volume, without zeroes           (anybody else goes on, at a whole MiB)
//   others     stream ─► hash ─► scratch file ─► inspected ─► qemu-img ─► volume    (anybody else begins anew)
//
// - Between two steps of one claim stream, hash and volume stay open. A step that fails gives all of it up; the next one opens
//   anew at the task's offset, and has the hash again by reading the volume back.
// - Nothing is said to be done before the hash was right.

import type { FileHandle } from "node:fs/promises";
import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { ExportSession } from "../engine/device.ts";
import { conversionMsMax, convertImage } from "./conversion.ts";
import { headBytes } from "./head.ts";
import { RunningHash, chooseHash } from "./image-hash.ts";
import { type ImageSignature, RunningSignature } from "./image-signature.ts";
import { unacceptable } from "./image-source.ts";
import { checkCopiedHead, inspectImage, wayOf } from "./inspection.ts";
import type { Scratch, ScratchPlace } from "./scratch.ts";
import { SparseWriter } from "./sparse-writer.ts";

export interface CopiedImage {
  readonly id: string;
  readonly diskFormat: string | null;
  readonly containerFormat: string | null;
  readonly checksum: string | null;
  readonly hash: { readonly algorithm: string; readonly value: string } | null;
  readonly sizeBytes: number;
  /** To be verified. */
  readonly signature?: ImageSignature;
}

export interface Task {
  readonly jobId: string;
  readonly generation: number;
  readonly image: CopiedImage;
  readonly exportName: string;
  readonly offset: number;
  /** The volume may hold other bytes, which are zeroed before the first one is written. */
  readonly overwrites: boolean;
}

/** What a step may do, and for how long. */
export interface StepRun {
  readonly signal: AbortSignal;
  shouldYield(): boolean;
}

export interface ImageCopiesOptions<T extends Task> {
  /** The image's bytes from `offset` on, to its end; throws as it is read. */
  readonly openBytes: (task: T, offset: number, signal: AbortSignal) => AsyncGenerator<Buffer, void, undefined>;
  readonly openExport: (exportName: string) => Promise<ExportSession>;
  readonly scratch: Scratch;
  readonly vmdkAllowedTypes: readonly string[];
  /** image_conversion_disable. */
  readonly isConversionDisabled: boolean;
  readonly cpuSecondsPerGib: number;
  readonly addressSpaceBytesMax: number;
  readonly clock: Clock;
}

interface Underway {
  readonly jobId: string;
  readonly generation: number;
  readonly device: ExportSession;
  readonly bytes: AsyncGenerator<Buffer, void, undefined>;
  readonly stop: AbortController;
  readonly hash: BytesCheck;
  readonly sink: Sink;
}

/** Sees all of the bytes, in order, and says in the end whether they are right. */
interface BytesCheck {
  update(bytes: Buffer): void;
  check(): void;
}

function allOf(checks: readonly BytesCheck[]): BytesCheck {
  return {
    update: (bytes) => checks.forEach((one) => one.update(bytes)),
    check: () => checks.forEach((one) => one.check()),
  };
}

/** Where the bytes go. */
interface Sink {
  write(bytes: Buffer): Promise<void>;
  /** How much of the image need not be read again by this claim; by another one only if it is in the volume. */
  settle(): Promise<number>;
  /** After the last byte, the hash being right. */
  finish(signal: AbortSignal): Promise<void>;
  /** In any case, at last. */
  close(): Promise<void>;
}

const rereadBytes = 1024 * 1024;

export class ImageCopies<T extends Task> {
  readonly #options: ImageCopiesOptions<T>;
  readonly #underway = new Map<string, Underway>();

  constructor(options: ImageCopiesOptions<T>) {
    this.#options = options;
  }

  async stop(): Promise<void> {
    for (const jobId of [...this.#underway.keys()]) await this.end(jobId);
  }

  async step(task: T, run: StepRun): Promise<{ readonly offset: number; readonly isDone: boolean }> {
    const { jobId, generation, offset } = task;
    try {
      if (this.#underway.get(jobId)?.generation !== generation) await this.end(jobId);
      const present = this.#underway.get(jobId) ?? (await this.#begin(task, run.signal));
      return await this.#goOn(present, offset, run);
    } catch (error) {
      await this.end(jobId);
      throw error;
    }
  }

  /** Gives up what is under way for the job, if anything. */
  async end(jobId: string): Promise<void> {
    const present = this.#underway.get(jobId);
    if (present === undefined) return;
    this.#underway.delete(jobId);
    present.stop.abort();
    await present.bytes.return().catch(() => undefined);
    try {
      await present.sink.close();
    } finally {
      await present.device.close();
    }
  }

  async #goOn(present: Underway, offset: number, run: StepRun): Promise<{ offset: number; isDone: boolean }> {
    const { bytes, hash, sink, stop } = present;
    const breakOff = (): void => stop.abort(run.signal.reason);
    run.signal.throwIfAborted();
    run.signal.addEventListener("abort", breakOff);
    try {
      for (let next = await bytes.next(); next.done !== true; next = await bytes.next()) {
        run.signal.throwIfAborted();
        hash.update(next.value);
        await sink.write(next.value);
        if (!run.shouldYield()) continue;
        const settled = await sink.settle();
        if (settled > offset) return { offset: settled, isDone: false };
      }
      hash.check();
      await sink.finish(run.signal);
    } finally {
      run.signal.removeEventListener("abort", breakOff);
    }
    await this.end(present.jobId);
    return { offset, isDone: true };
  }

  async #begin(task: T, signal: AbortSignal): Promise<Underway> {
    const { image } = task;
    const way = wayOf(image.diskFormat, image.containerFormat);
    if (way === "converted" && this.#options.isConversionDisabled) throw unacceptable("images are not converted here");
    const device = await this.#options.openExport(task.exportName);
    try {
      if (way === "copied" && image.sizeBytes > device.device.sizeBytes) throw unacceptable("it is larger than the volume");
      const hash = allOf([
        new RunningHash(chooseHash(image)),
        ...(image.signature === undefined ? [] : [new RunningSignature(image.signature)]),
      ]);
      const start = way === "copied" ? task.offset : 0;
      if (start > 0) await reread(device, start, hash, signal);
      const clear = (): Promise<void> => (task.overwrites ? zero(device) : Promise.resolve());
      const sink =
        way === "copied" ? new CopySink(device, image.diskFormat!, start, clear) : await this.#scratchSink(task, device, clear);
      const stop = new AbortController();
      const present = {
        jobId: task.jobId,
        generation: task.generation,
        device,
        hash,
        sink,
        stop,
        bytes: this.#options.openBytes(task, start, stop.signal),
      };
      this.#underway.set(task.jobId, present);
      // Whoever revoked it waits until it is closed.
      device.onRevoked(() => void this.end(task.jobId).catch(() => undefined));
      return present;
    } catch (error) {
      await device.close();
      throw error;
    }
  }

  async #scratchSink({ image }: T, { device }: ExportSession, clear: () => Promise<void>): Promise<Sink> {
    const place = await this.#options.scratch.take(image.sizeBytes);
    return new ScratchSink(place, async (signal) => {
      const { vmdkAllowedTypes, cpuSecondsPerGib, addressSpaceBytesMax, clock } = this.#options;
      const inspected = await inspectImage(sourceOfFile(place.file, image.sizeBytes), image.diskFormat!, { vmdkAllowedTypes });
      const limits = { cpuSecondsPerGib, addressSpaceBytesMax, wallMsMax: conversionMsMax };
      await clear();
      await convertImage({ folder: place.folder, image: inspected, device, ...limits, signal, clock });
    });
  }
}

/** Straight into the volume. Nothing is written before the head was looked at. */
class CopySink implements Sink {
  readonly #diskFormat: string;
  readonly #writer: SparseWriter;
  readonly #clear: () => Promise<void>;
  /** The first bytes, until they are enough; undefined from then on. */
  #head: Buffer[] | undefined;
  #headBytes = 0;

  /** `clear`: before the first byte is written. */
  constructor(device: ExportSession, diskFormat: string, start: number, clear: () => Promise<void>) {
    this.#diskFormat = diskFormat;
    this.#clear = clear;
    this.#writer = new SparseWriter(device.device, start);
    this.#head = start === 0 ? [] : undefined;
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.#head === undefined) return this.#writer.write(bytes);
    this.#head.push(Buffer.from(bytes));
    this.#headBytes += bytes.length;
    if (this.#headBytes >= headBytes) await this.#passHead();
  }

  async settle(): Promise<number> {
    return this.#head === undefined ? this.#writer.settle() : 0;
  }

  async finish(): Promise<void> {
    await this.#passHead();
    await this.#writer.flush();
  }

  async close(): Promise<void> {
    await this.#writer.idle();
  }

  async #passHead(): Promise<void> {
    if (this.#head === undefined) return;
    const head = Buffer.concat(this.#head);
    checkCopiedHead(this.#diskFormat, head.subarray(0, headBytes));
    await this.#clear();
    this.#head = undefined;
    await this.#writer.write(head);
  }
}

/** Into a file, and from there by qemu-img. */
class ScratchSink implements Sink {
  readonly #place: ScratchPlace;
  readonly #convert: (signal: AbortSignal) => Promise<void>;

  constructor(place: ScratchPlace, convert: (signal: AbortSignal) => Promise<void>) {
    this.#place = place;
    this.#convert = convert;
  }

  write(bytes: Buffer): Promise<void> {
    return this.#place.append(bytes);
  }

  async settle(): Promise<number> {
    return this.#place.writtenBytes;
  }

  finish(signal: AbortSignal): Promise<void> {
    return this.#convert(signal);
  }

  close(): Promise<void> {
    return this.#place.release();
  }
}

function sourceOfFile(file: FileHandle, sizeBytes: number): Parameters<typeof inspectImage>[0] {
  return {
    sizeBytes,
    async read(offset, lengthBytes) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(lengthBytes), 0, lengthBytes, offset);
      if (bytesRead !== lengthBytes) throw new AndironError("internal", "a scratch file is shorter than what was written");
      return buffer;
    },
  };
}

function zero({ device }: ExportSession): Promise<void> {
  return device.writeZeroes(0, device.sizeBytes, { fua: false, noHole: false });
}

/** The hash of what an earlier claim wrote. */
async function reread(session: ExportSession, end: number, hash: BytesCheck, signal: AbortSignal): Promise<void> {
  for (let at = 0; at < end; at += rereadBytes) {
    signal.throwIfAborted();
    const piece = Buffer.alloc(Math.min(rereadBytes, end - at));
    await session.device.read(at, piece);
    hash.update(piece);
  }
}
