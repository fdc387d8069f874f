// User messages (3.3): list, show, delete.

import type { Message } from "../../cinder/model.ts";
import { type Handlers, emptyAnswer, pathParameter } from "../call.ts";
import { messageListRules } from "../resource-filters.ts";
import { viewMessage } from "../views/message.ts";
import { answerList } from "./paging.ts";

export const messageHandlers: Handlers = {
  async listMessages(call) {
    const form = {
      rules: messageListRules,
      key: "messages",
      linksKey: "messages_links",
      path: "messages",
      idOf: (message: Message) => message.id,
      view: (message: Message) => viewMessage(message, call.links),
    };
    return answerList(call, form, (query) => call.cinder.messages.list(call.context, query));
  },
  async showMessage(call) {
    const message = await call.cinder.messages.show(call.context, pathParameter(call, "message_id"));
    return { body: { message: viewMessage(message, call.links) } };
  },
  async deleteMessage(call) {
    await call.cinder.messages.delete(call.context, pathParameter(call, "message_id"));
    return emptyAnswer;
  },
};
