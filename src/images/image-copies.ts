// Images on their way into volumes: what is under way in this process, step by step.
//
//   raw, iso   stream ─► hash ─► head looked at ─► volume, without zeroes           (anybody else goes on, at a whole MiB)
//   others     stream ─► hash ─► scratch file ─► inspected ─► qemu-img ─► volume    (anybody else begins anew)
//
// - Between two steps of one claim stream, hash and volume stay open. A step that fails gives all of it up; the next one opens
//   anew at the task's offset, and has the hash again by reading the volume back.
// - Nothing is said to be done before the hash was right.
// - Scratch directories of this host are removed at the start: nobody can be using them.

import { type FileHandle, mkdir, mkdtemp, open, readdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { ExportSession } from "../engine/device.ts";
import { convertImage, imageFileName } from "./conversion.ts";
import { headBytes } from "./head.ts";
import { RunningHash, chooseHash } from "./image-hash.ts";
import { unacceptable } from "./image-source.ts";
import { checkCopiedHead, inspectImage, wayOf } from "./inspection.ts";
import { SparseWriter } from "./sparse-writer.ts";

export interface CopiedImage {
  readonly id: string;
  readonly diskFormat: string | null;
  readonly containerFormat: string | null;
  readonly checksum: string | null;
  readonly hash: { readonly algorithm: string; readonly value: string } | null;
  readonly sizeBytes: number;
}

export interface Task {
  readonly jobId: string;
  readonly generation: number;
  readonly image: CopiedImage;
  readonly exportName: string;
  readonly offset: number;
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
  /** image_conversion_dir. */
  readonly scratch: string;
  /** Of this host: names of its own in a directory that others may share. */
  readonly host: string;
  readonly vmdkAllowedTypes: readonly string[];
  /** image_conversion_disable. */
  readonly isConversionDisabled: boolean;
  readonly cpuSecondsMax: number;
  readonly addressSpaceBytesMax: number;
  readonly clock: Clock;
}

interface Underway {
  readonly jobId: string;
  readonly generation: number;
  readonly device: ExportSession;
  readonly bytes: AsyncGenerator<Buffer, void, undefined>;
  readonly stop: AbortController;
  readonly hash: RunningHash;
  readonly sink: Sink;
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

/** What mkdtemp() adds. */
const chanceLength = 6;
const rereadBytes = 1024 * 1024;
const conversionMsMax = 30 * 60 * 1000;

export class ImageCopies<T extends Task> {
  readonly #options: ImageCopiesOptions<T>;
  readonly #underway = new Map<string, Underway>();
  readonly #scratchSinks = new Set<ScratchSink>();

  constructor(options: ImageCopiesOptions<T>) {
    this.#options = options;
  }

  /** Makes the scratch directory, and removes what an earlier process of this host left in it. */
  async start(): Promise<void> {
    const { scratch } = this.#options;
    await mkdir(scratch, { recursive: true, mode: 0o700 });
    for (const name of await readdir(scratch)) {
      const isOurs = name.startsWith(this.#prefix) && name.length === this.#prefix.length + chanceLength;
      if (isOurs) await rm(join(scratch, name), { recursive: true, force: true });
    }
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
      const hash = new RunningHash(chooseHash(image));
      const start = way === "copied" ? task.offset : 0;
      if (start > 0) await reread(device, start, hash, signal);
      const sink = way === "copied" ? new CopySink(device, image.diskFormat!, start) : await this.#scratchSink(task, device);
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

  async #scratchSink({ image }: T, device: ExportSession): Promise<Sink> {
    const { scratch, vmdkAllowedTypes } = this.#options;
    const free = await statfs(scratch);
    let promisedBytes = 0;
    for (const sink of this.#scratchSinks) promisedBytes += sink.missingBytes;
    if (free.bavail * free.bsize - promisedBytes < image.sizeBytes) {
      throw new AndironError("scratch_full", `there is no room for an image of ${image.sizeBytes} bytes in ${scratch}`);
    }
    const folder = await mkdtemp(join(scratch, this.#prefix));
    const file = await open(join(folder, imageFileName), "wx+", 0o600);
    const close = async (): Promise<void> => {
      this.#scratchSinks.delete(sink);
      await file.close();
      await rm(folder, { recursive: true, force: true });
    };
    const convert = async (signal: AbortSignal): Promise<void> => {
      const inspected = await inspectImage(sourceOfFile(file, image.sizeBytes), image.diskFormat!, { vmdkAllowedTypes });
      const { cpuSecondsMax, addressSpaceBytesMax, clock } = this.#options;
      const limits = { cpuSecondsMax, addressSpaceBytesMax, wallMsMax: conversionMsMax };
      await convertImage({ folder, image: inspected, device: device.device, ...limits, signal, clock });
    };
    const sink = new ScratchSink(file, image.sizeBytes, convert, close);
    this.#scratchSinks.add(sink);
    return sink;
  }

  get #prefix(): string {
    return `andiron-image-${this.#options.host.replaceAll(/[^A-Za-z0-9.-]/g, "_")}-`;
  }
}

/** Straight into the volume. Nothing is written before the head was looked at. */
class CopySink implements Sink {
  readonly #diskFormat: string;
  readonly #writer: SparseWriter;
  /** The first bytes, until they are enough; undefined from then on. */
  #head: Buffer[] | undefined;
  #headBytes = 0;

  constructor(device: ExportSession, diskFormat: string, start: number) {
    this.#diskFormat = diskFormat;
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
    this.#head = undefined;
    await this.#writer.write(head);
  }
}

/** Into a file, and from there by qemu-img. */
class ScratchSink implements Sink {
  readonly #file: FileHandle;
  readonly #sizeBytes: number;
  readonly #convert: (signal: AbortSignal) => Promise<void>;
  readonly #close: () => Promise<void>;
  #position = 0;

  constructor(file: FileHandle, sizeBytes: number, convert: (signal: AbortSignal) => Promise<void>, close: () => Promise<void>) {
    this.#file = file;
    this.#sizeBytes = sizeBytes;
    this.#convert = convert;
    this.#close = close;
  }

  async write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#position);
      at += bytesWritten;
      this.#position += bytesWritten;
    }
  }

  /** Promised, and not written yet. */
  get missingBytes(): number {
    return this.#sizeBytes - this.#position;
  }

  async settle(): Promise<number> {
    return this.#position;
  }

  finish(signal: AbortSignal): Promise<void> {
    return this.#convert(signal);
  }

  close(): Promise<void> {
    return this.#close();
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

/** The hash of what an earlier claim wrote. */
async function reread(session: ExportSession, end: number, hash: RunningHash, signal: AbortSignal): Promise<void> {
  for (let at = 0; at < end; at += rereadBytes) {
    signal.throwIfAborted();
    const piece = Buffer.alloc(Math.min(rereadBytes, end - at));
    await session.device.read(at, piece);
    hash.update(piece);
  }
}
