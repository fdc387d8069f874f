// User messages: list, show, delete, and the removal of what has expired.

import type { RequestContext } from "./context.ts";
import { runQuery } from "./collection-query.ts";
import { messageNotFound } from "./faults.ts";
import type { ListQuery, Page } from "./list-query.ts";
import { cinderLimits, type Message } from "./model.ts";
import { ownTarget } from "./policy.ts";
import { isVisible, searchedProject, type CinderPorts } from "./ports.ts";
import { deleteRecord, messageKind, readRecord } from "./records.ts";
import { messageShape } from "./shapes.ts";
import type { Messages } from "./verbs.ts";

const expiredStepMax = 50;

export class MessageService implements Messages {
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  async list(context: RequestContext, query: ListQuery): Promise<Page<Message>> {
    this.#ports.policy.enforce(context, "message:get_all", ownTarget(context));
    await this.#ports.index.fresh();
    const { messages } = this.#ports.index;
    const search = messages.search(query, searchedProject(context, query));
    return runQuery(search.list, messageShape, search.query, (id) => {
      const message = messages.get(id);
      return message !== undefined && isVisible(context, message) ? message : undefined;
    });
  }

  async show(context: RequestContext, id: string): Promise<Message> {
    await this.#ports.index.fresh();
    const message = this.#ports.index.messages.get(id);
    if (message === undefined || !isVisible(context, message)) throw messageNotFound(id);
    this.#ports.policy.enforce(context, "message:get", message);
    return message;
  }

  async delete(context: RequestContext, id: string): Promise<void> {
    await this.#ports.store.commit(context.projectId, async (tx) => {
      const message = await readRecord(tx, messageKind, id);
      if (message === undefined || !isVisible(context, message)) throw messageNotFound(id);
      this.#ports.policy.enforce(context, "message:delete", message);
      deleteRecord(tx, messageKind, id);
    });
  }

  /** Deletes messages past their time, and the oldest of a project with more than messagesPerProjectMax. */
  async removeExpired(): Promise<void> {
    const nowMs = this.#ports.clock.wallMs();
    const seen = new Map<string, number>();
    const expired: Message[] = [];
    for (const message of [...this.#ports.index.messages.all].reverse()) {
      const count = (seen.get(message.projectId) ?? 0) + 1;
      seen.set(message.projectId, count);
      if (message.guaranteedUntilMs < nowMs || count > cinderLimits.messagesPerProjectMax) expired.push(message);
    }
    for (let start = 0; start < expired.length; start += expiredStepMax) {
      const step = expired.slice(start, start + expiredStepMax);
      await this.#ports.store.commit("messages", async (tx) => {
        for (const message of step) deleteRecord(tx, messageKind, message.id);
      });
    }
  }
}
