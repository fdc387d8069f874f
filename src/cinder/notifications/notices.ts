// What verbs say so that others are told: one line in the transaction of the change. Which events that is stands in
// event-table.ts. All that one transaction tells is one record of the outbox, rewritten with each line of it.
//
// - Off, a call returns at once. At the bound, or where a message is too large to be kept, nothing is written and it is counted:
//   a request never fails because of a notification.
// - A body that runs again tells again, of the transaction that it then is.

import type { Clock } from "../../common/clock.ts";
import type { Random } from "../../common/random.ts";
import { formatUtcTime } from "../../common/utc-time.ts";
import type { Tx } from "../../registry/atomic.ts";
import type { Backup } from "../backups/backup.ts";
import type { RequestContext } from "../context.ts";
import type { Attachment, Group, GroupSnapshot, Snapshot, Volume } from "../model.ts";
import { attachmentKind, groupKind, readRecord, volumeKind } from "../records.ts";
import * as table from "./event-table.ts";
import type { NotificationEvent, PlainEvent } from "./event-table.ts";
import { contextFields } from "./message-context.ts";
import { type NotificationPriority, type OutboxMessage, type OutboxRecord, outboxPrefix } from "./outbox-record.ts";
import * as payloads from "./payloads.ts";
import type { Payload } from "./payloads.ts";

/** Where messages wait to be sent. */
export interface Outbox {
  readonly isOn: boolean;
  isFull(): boolean;
  /** A message was not written. */
  dropped(reason: "full" | "too large"): void;
}

export const noOutbox: Outbox = { isOn: false, isFull: () => false, dropped: () => undefined };

export interface NoticesOptions {
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly random: Random;
  /** [DEFAULT] host. */
  readonly host: string;
}

const messageBytesMax = 96 * 1024;
const recordBytesMax = 128 * 1024;
/** What all records of one transaction may take of it. */
const transactionBytesMax = 384 * 1024;

interface Page {
  readonly key: string;
  readonly record: OutboxRecord;
  readonly sizeBytes: number;
}

type Event = NotificationEvent;

interface BackupShown {
  readonly before: Backup;
  readonly after: Backup;
  /** How many build on it. */
  readonly dependents: number;
  /** Fields over those of the backup. */
  readonly extra?: Payload;
}

export class Notices {
  readonly #options: NoticesOptions;
  /** What each transaction under way has told so far. */
  readonly #told = new WeakMap<Tx, Page[]>();

  constructor(options: NoticesOptions) {
    this.#options = options;
  }

  /** For what is done only so that it can be told. */
  get isOn(): boolean {
    return this.#options.outbox.isOn;
  }

  /** `after`: undefined where nothing of it changes or it goes. `extra`: fields over those of the volume. */
  async volume(
    tx: Tx,
    context: RequestContext,
    verb: keyof typeof table.volumeEvents,
    before: Volume,
    after: Volume = before,
    extra?: Payload,
  ): Promise<void> {
    if (!this.#isWanted()) return;
    for (const event of table.volumeEvents[verb] as readonly Event[]) {
      await this.#tellVolume(tx, context, event, event.shows === "before" ? before : after, extra);
    }
  }

  async snapshot(
    tx: Tx,
    context: RequestContext,
    verb: keyof typeof table.snapshotEvents,
    before: Snapshot,
    after: Snapshot = before,
  ): Promise<void> {
    if (!this.#isWanted()) return;
    const host = (await readRecord(tx, volumeKind, before.volumeId))?.host ?? null;
    for (const event of table.snapshotEvents[verb] as readonly Event[]) {
      this.#tellSnapshot(tx, context, event, event.shows === "before" ? before : after, host);
    }
  }

  backup(tx: Tx, context: RequestContext, verb: keyof typeof table.backupEvents, shown: BackupShown): void {
    const { before, after, dependents, extra } = shown;
    if (!this.#isWanted()) return;
    for (const event of table.backupEvents[verb] as readonly Event[]) {
      const backup = event.shows === "before" ? before : after;
      this.#tell(tx, contextOf(context, event), {
        resource: `backup/${backup.id}`,
        publisher: this.#publisher("backup", event, null),
        event: `backup.${event.name}`,
        payload: { ...payloads.backupPayload(backup, event.status ?? backup.status, dependents), ...extra },
      });
    }
  }

  /** Of a group, and of the volumes that it has. */
  async group(tx: Tx, context: RequestContext, verb: keyof typeof table.groupEvents, group: Group): Promise<void> {
    if (!this.#isWanted()) return;
    for (const event of table.groupEvents[verb] as readonly Event[]) {
      this.#tell(tx, contextOf(context, event), {
        resource: `group/${group.id}`,
        publisher: this.#publisher("group", event, group.host),
        event: `group.${event.name}`,
        payload: payloads.groupPayload(group, event.status ?? group.status),
      });
      const { status: _ofTheGroup, ...ofVolumes } = event;
      for (const id of group.volumeIds) {
        const volume = await readRecord(tx, volumeKind, id);
        if (volume !== undefined) await this.#tellVolume(tx, context, ofVolumes, volume);
      }
    }
  }

  /** Of a group snapshot, and of its members. */
  async groupSnapshot(
    tx: Tx,
    context: RequestContext,
    verb: keyof typeof table.groupSnapshotEvents,
    groupSnapshot: GroupSnapshot,
    snapshots: readonly Snapshot[],
  ): Promise<void> {
    if (!this.#isWanted()) return;
    const host = (await readRecord(tx, groupKind, groupSnapshot.groupId))?.host ?? null;
    for (const event of table.groupSnapshotEvents[verb] as readonly Event[]) {
      this.#tell(tx, contextOf(context, event), {
        resource: `group_snapshot/${groupSnapshot.id}`,
        publisher: this.#publisher("group_snapshot", event, host),
        event: `group_snapshot.${event.name}`,
        payload: payloads.groupSnapshotPayload(groupSnapshot, event.status ?? groupSnapshot.status),
      });
      for (const snapshot of snapshots) this.#tellSnapshot(tx, context, event, snapshot, host);
    }
  }

  /** What has no start and no end. `payload` is asked for only when somebody is told. */
  plain(tx: Tx, context: RequestContext, event: PlainEvent, resource: string, payload: () => Payload): void {
    if (!this.#isWanted()) return;
    const priority = event.startsWith("scheduler.") ? "error" : "info";
    const publisher = `${table.plainEvents[event]}.${this.#options.host}`;
    this.#tell(tx, context, { resource, publisher, event, payload: payload(), priority });
  }

  #isWanted(): boolean {
    const { outbox } = this.#options;
    if (!outbox.isOn) return false;
    if (!outbox.isFull()) return true;
    outbox.dropped("full");
    return false;
  }

  async #tellVolume(tx: Tx, context: RequestContext, event: Event, volume: Volume, extra?: Payload): Promise<void> {
    const status = event.status ?? volume.status;
    const attachments: Attachment[] = [];
    for (const id of volume.attachmentIds) {
      const row = await readRecord(tx, attachmentKind, id);
      if (row !== undefined && !row.unclaimed) attachments.push(row);
    }
    const shown = { volume, status, nowMs: this.#options.clock.wallMs(), ...(extra === undefined ? {} : { extra }) };
    const made = (rows: readonly Attachment[]): Payload => payloads.volumePayload({ ...shown, attachments: rows });
    this.#tell(tx, contextOf(context, event), {
      resource: `volume/${volume.id}`,
      publisher: this.#publisher("volume", event, volume.host),
      event: `volume.${event.name}`,
      payload: made(attachments),
      shorter: () => made(attachments.map((row) => ({ ...row, connector: null }))),
    });
  }

  #tellSnapshot(tx: Tx, context: RequestContext, event: Event, snapshot: Snapshot, host: string | null): void {
    this.#tell(tx, contextOf(context, event), {
      resource: `snapshot/${snapshot.id}`,
      publisher: this.#publisher("snapshot", event, host),
      event: `snapshot.${event.name}`,
      payload: payloads.snapshotPayload(snapshot, event.status ?? snapshot.status),
    });
  }

  #publisher(service: string, { from }: Event, host: string | null): string {
    if (from === "api" || host === null) return `${service}.${this.#options.host}`;
    return `${service}.${from === "pool" ? host : host.replace(/#.*/, "")}`;
  }

  #tell(tx: Tx, context: RequestContext, told: Told): void {
    let message = this.#message(context, told);
    let sizeBytes = Buffer.byteLength(JSON.stringify(message));
    if (sizeBytes > messageBytesMax && told.shorter !== undefined) {
      message = this.#message(context, { ...told, payload: told.shorter() });
      sizeBytes = Buffer.byteLength(JSON.stringify(message));
    }
    const pages = this.#told.get(tx) ?? [];
    const present = pages.at(-1);
    const total = pages.reduce((sum, page) => sum + page.sizeBytes, 0);
    if (sizeBytes > messageBytesMax || total + sizeBytes > transactionBytesMax) return this.#options.outbox.dropped("too large");
    const fits = present !== undefined && present.sizeBytes + sizeBytes <= recordBytesMax;
    const page = fits ? grow(present, message, sizeBytes) : this.#firstOf(pages, message, sizeBytes);
    if (fits) pages.pop();
    pages.push(page);
    this.#told.set(tx, pages);
    tx.put(page.key, JSON.stringify(page.record));
  }

  /** Keys of one transaction are in the order in which it tells. */
  #firstOf(pages: readonly Page[], message: OutboxMessage, sizeBytes: number): Page {
    const first = pages[0]?.record.id ?? this.#options.random.uuid();
    const id = pages.length === 0 ? first : `${first}.${pages.length}`;
    const record: OutboxRecord = { v: 1, id, writtenAtMs: this.#options.clock.wallMs(), messages: [message] };
    return { key: outboxPrefix + id, record, sizeBytes };
  }

  #message(context: RequestContext, { resource, publisher, event, payload, priority = "info" }: Told): OutboxMessage {
    const { clock, random } = this.#options;
    const at = formatUtcTime(clock.wallMs());
    const body = {
      message_id: random.uuid(),
      publisher_id: publisher,
      event_type: event,
      priority: priority.toUpperCase(),
      payload,
      timestamp: at.replace("T", " "),
      ...contextFields(context, at),
    };
    return { resource, priority, uniqueId: random.uuid().replaceAll("-", ""), body };
  }
}

interface Told {
  readonly resource: string;
  readonly publisher: string;
  readonly event: string;
  readonly payload: Payload;
  readonly priority?: NotificationPriority;
  /** The payload without what may be long. */
  readonly shorter?: () => Payload;
}

const contextOf = (context: RequestContext, event: Event): RequestContext =>
  event.elevated === true ? { ...context, isAdmin: true } : context;

function grow({ key, record, sizeBytes }: Page, message: OutboxMessage, moreBytes: number): Page {
  return { key, record: { ...record, messages: [...record.messages, message] }, sizeBytes: sizeBytes + moreBytes };
}
