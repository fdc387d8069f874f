// Volumes on their way into images: what is under way in this process, step by step.
//
//   raw      device, holes as zeroes ─────────────────────► hash ─► PUT ─► image active: size and hash looked at ─► done
//   others   device ─► qemu-img ─► scratch file ─► read ──► hash ─► PUT ─► ...
//
// - One PUT carries an image; it goes on between the steps of one claim, and a step only tells how far it came. What broke off
//   begins anew, with all of its bytes: Glance has no other way, and takes an image's bytes once the broken PUT is over.
// - An image that is active already when a claim begins had all of its bytes: the answer to an earlier claim was lost.
// - An image that has other bytes than were sent is taken away again.

import { type Hash, createHash } from "node:crypto";
import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { ExportSession } from "../engine/device.ts";
import { countData, readDevice } from "./device-bytes.ts";
import { conversionMsMax } from "./conversion.ts";
import { convertDevice, isConverted } from "./device-conversion.ts";
import type { StepRun } from "./image-copies.ts";
import { unacceptable } from "./image-source.ts";
import type { Scratch, ScratchPlace } from "./scratch.ts";

export interface UploadTask {
  readonly jobId: string;
  readonly generation: number;
  readonly image: { readonly id: string; readonly diskFormat: string };
  readonly exportName: string;
  /** Bytes that an earlier step sent. */
  readonly sent: number;
}

export interface UploadProgress {
  /** Beyond the task's unless it is done. */
  readonly sent: number;
  readonly isDone: boolean;
}

/** What Glance says of an image. */
export interface SeenImage {
  readonly status: string;
  readonly sizeBytes: number | null;
  readonly hash: { readonly algorithm: string; readonly value: string } | null;
}

export interface VolumeUploadsOptions<T extends UploadTask> {
  readonly look: (task: T) => Promise<SeenImage>;
  /** Sends all that `open` yields; may open it several times, one after the other. */
  readonly put: (task: T, open: () => AsyncIterable<Buffer>, signal: AbortSignal) => Promise<void>;
  readonly remove: (task: T) => Promise<void>;
  readonly openExport: (exportName: string) => Promise<ExportSession>;
  readonly scratch: Scratch;
  /** image_conversion_disable. */
  readonly isConversionDisabled: boolean;
  /** image_compress_on_upload. */
  readonly isCompressed: boolean;
  /** For each GiB. */
  readonly cpuSecondsPerGib: number;
  readonly addressSpaceBytesMax: number;
  /** How long nobody may want the next bytes. */
  readonly stallMsMax: number;
  readonly clock: Clock;
}

interface Source {
  read(signal: AbortSignal): AsyncGenerator<Buffer, void, undefined>;
  close(): Promise<void>;
}

type Outcome = { readonly error?: unknown };

interface Underway {
  readonly jobId: string;
  readonly generation: number;
  readonly stop: AbortController;
  readonly source: Source;
  readonly meter: Meter;
  /** Never rejects. */
  readonly outcome: Promise<Outcome>;
}

/** What went out of the door in the PUT that is under way. */
interface Meter {
  sent: number;
  hash: Hash;
}

const lookMs = 200;
const scratchSlackBytes = 16 * 1024 * 1024;
const readBytes = 1024 * 1024;

export class VolumeUploads<T extends UploadTask> {
  readonly #options: VolumeUploadsOptions<T>;
  readonly #underway = new Map<string, Underway>();

  constructor(options: VolumeUploadsOptions<T>) {
    this.#options = options;
  }

  async stop(): Promise<void> {
    for (const jobId of [...this.#underway.keys()]) await this.end(jobId);
  }

  async step(task: T, run: StepRun): Promise<UploadProgress> {
    const { jobId, generation } = task;
    try {
      if (this.#underway.get(jobId)?.generation !== generation) await this.end(jobId);
      const present = this.#underway.get(jobId) ?? (await this.#begin(task, run.signal));
      if (present !== undefined) {
        const sent = await this.#follow(present, task.sent, run);
        if (sent !== undefined) return { sent, isDone: false };
        await this.#check(task, present.meter);
      }
    } catch (error) {
      await this.end(jobId);
      throw error;
    }
    await this.end(jobId);
    return { sent: task.sent, isDone: true };
  }

  /** Gives up what is under way for the job, if anything. */
  async end(jobId: string): Promise<void> {
    const present = this.#underway.get(jobId);
    if (present === undefined) return;
    this.#underway.delete(jobId);
    present.stop.abort();
    await present.outcome;
    await present.source.close();
  }

  /** How much was sent, when that is more than before; undefined when all of it was. */
  async #follow({ meter, outcome, stop }: Underway, before: number, run: StepRun): Promise<number | undefined> {
    const breakOff = (): void => stop.abort(run.signal.reason);
    run.signal.throwIfAborted();
    run.signal.addEventListener("abort", breakOff);
    try {
      for (;;) {
        const end = await Promise.race([outcome, this.#options.clock.sleep(lookMs)]);
        run.signal.throwIfAborted();
        if (end !== undefined && "error" in end) throw end.error;
        if (end !== undefined) return undefined;
        if (run.shouldYield() && meter.sent > before) return meter.sent;
      }
    } finally {
      run.signal.removeEventListener("abort", breakOff);
    }
  }

  /** undefined when the image has its bytes. */
  async #begin(task: T, signal: AbortSignal): Promise<Underway | undefined> {
    const { look, openExport, isConversionDisabled } = this.#options;
    const { id, diskFormat } = task.image;
    const { status } = await look(task);
    if (status === "active") return undefined;
    if (status === "saving") {
      throw new AndironError("glance_unavailable", `Glance still waits for an upload of image ${id} that broke off`);
    }
    if (status !== "queued") throw new AndironError("image_not_found", `image ${id} is ${status}`);
    if (isConverted(diskFormat) && isConversionDisabled) throw unacceptable("images are not converted here");
    const device = await openExport(task.exportName);
    let source: Source;
    try {
      source = isConverted(diskFormat) ? await this.#convert(diskFormat, device, signal) : rawSource(device);
    } catch (error) {
      await device.close();
      throw error;
    }
    const stop = new AbortController();
    const meter: Meter = { sent: 0, hash: createHash("sha512") };
    const outcome = this.#options
      .put(task, () => this.#metered(source, meter, stop), stop.signal)
      .then(
        (): Outcome => ({}),
        (error: unknown): Outcome => ({ error: stop.signal.aborted ? stop.signal.reason : error }),
      );
    const present = { jobId: task.jobId, generation: task.generation, stop, source, meter, outcome };
    this.#underway.set(task.jobId, present);
    // Whoever revoked it waits until it is closed.
    device.onRevoked(() => void this.end(task.jobId).catch(() => undefined));
    return present;
  }

  /** What goes into one PUT, from the start. It is broken off when nobody wants more of it for long. */
  async *#metered(source: Source, meter: Meter, stop: AbortController): AsyncGenerator<Buffer, void, undefined> {
    const { clock, stallMsMax } = this.#options;
    meter.sent = 0;
    meter.hash = createHash("sha512");
    for await (const piece of source.read(stop.signal)) {
      meter.hash.update(piece);
      const stalled = (): void => stop.abort(new AndironError("glance_unavailable", "Glance takes no more bytes of the image"));
      const timer = clock.after(stallMsMax, stalled);
      try {
        yield piece;
      } finally {
        timer.cancel();
      }
      meter.sent += piece.length;
    }
  }

  async #convert(diskFormat: string, session: ExportSession, signal: AbortSignal): Promise<Source> {
    const { scratch, isCompressed, cpuSecondsPerGib, addressSpaceBytesMax, clock } = this.#options;
    const place = await scratch.take((await countData(session.device, signal)) + scratchSlackBytes);
    try {
      const limits = { cpuSecondsPerGib, addressSpaceBytesMax, wallMsMax: conversionMsMax };
      const { folder } = place;
      await convertDevice({ folder, diskFormat, isCompressed, device: session.device, ...limits, signal, clock });
    } catch (error) {
      await place.release();
      throw error;
    }
    return fileSource(place, session);
  }

  async #check(task: T, { sent, hash }: Meter): Promise<void> {
    const { status, sizeBytes, hash: seen } = await this.#options.look(task);
    const isSame = seen?.algorithm !== "sha512" || seen.value === hash.digest("hex");
    if (status === "active" && sizeBytes === sent && isSame) return;
    if (status !== "active") throw new AndironError("glance_unavailable", `image ${task.image.id} is ${status} after its upload`);
    await this.#options.remove(task);
    throw unacceptable(`Glance has other bytes of image ${task.image.id} than were sent`);
  }
}

function rawSource(session: ExportSession): Source {
  return { read: (signal) => readDevice(session.device, signal), close: () => session.close() };
}

function fileSource(place: ScratchPlace, session: ExportSession): Source {
  return {
    async *read(signal) {
      for (let at = 0; ;) {
        signal.throwIfAborted();
        const { buffer, bytesRead } = await place.file.read(Buffer.allocUnsafe(readBytes), 0, readBytes, at);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
        at += bytesRead;
      }
    },
    async close() {
      try {
        await place.release();
      } finally {
        await session.close();
      }
    },
  };
}
