// Attachments (3.27): create, list, show, update, delete, complete (3.44).

import type { Attachment, Connector } from "../../cinder/model.ts";
import { type Call, type Handlers, bodyObject, bodyText, emptyAnswer, pathParameter } from "../call.ts";
import { attachmentListRules } from "../resource-filters.ts";
import { viewAttachment, viewAttachmentEntry } from "../views/attachment.ts";
import { answerList } from "./paging.ts";
import { readMode } from "./volume-actions.ts";

const idOf = (call: Call): string => pathParameter(call, "attachment_id");
const listForm = { rules: attachmentListRules, key: "attachments", idOf: (item: Attachment) => item.id };

export const attachmentHandlers: Handlers = {
  async createAttachment(call) {
    const given = bodyObject(call.body, "attachment");
    const connector = given["connector"];
    const attachment = await call.cinder.attachments.create(call.context, {
      volumeId: bodyText(given, "volume_uuid") ?? "",
      instanceId: bodyText(given, "instance_uuid") ?? null,
      connector: connector == null || Object.keys(connector).length === 0 ? null : (connector as Connector),
      ...readMode(given),
    });
    return { body: { attachment: viewAttachment(attachment) } };
  },
  async listAttachments(call) {
    const form = { ...listForm, path: "attachments", view: viewAttachmentEntry };
    return answerList(call, form, (query) => call.cinder.attachments.list(call.context, query));
  },
  async listAttachmentsDetailed(call) {
    const form = { ...listForm, path: "attachments/detail", view: viewAttachment };
    return answerList(call, form, (query) => call.cinder.attachments.list(call.context, query));
  },
  async showAttachment(call) {
    return { body: { attachment: viewAttachment(await call.cinder.attachments.show(call.context, idOf(call))) } };
  },
  async updateAttachment(call) {
    const connector = bodyObject(bodyObject(call.body, "attachment"), "connector");
    return { body: { attachment: viewAttachment(await call.cinder.attachments.update(call.context, idOf(call), connector)) } };
  },
  async deleteAttachment(call) {
    const remaining = await call.cinder.attachments.delete(call.context, idOf(call));
    return { body: { attachments: remaining.map(viewAttachmentEntry) } };
  },
  async completeAttachment(call) {
    await call.cinder.attachments.complete(call.context, idOf(call));
    return emptyAnswer;
  },
};
