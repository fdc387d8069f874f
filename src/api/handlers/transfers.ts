// Transfers, under both of their paths. Snapshots go along, unless who asks by the newer path from 3.55 on says no.

import type { Transfer } from "../../cinder/model.ts";
import { readBoolean } from "../booleans.ts";
import { type Answer, type Call, type Handlers, bodyObject, emptyAnswer, pathParameter } from "../call.ts";
import { transferListRules } from "../resource-filters.ts";
import { viewTransfer, viewTransferEntry } from "../views/transfer.ts";
import { answerList } from "./paging.ts";

/** Transfers of encrypted volumes came with 3.70. */
const encryptedMinor = 70;
const idOf = (call: Call): string => pathParameter(call, "transfer_id");
const listForm = {
  rules: transferListRules,
  key: "transfers",
  linksKey: "transfers_links",
  idOf: (transfer: Transfer) => transfer.id,
};

export const transferHandlers: Handlers = {
  async listTransfers(call) {
    const view = (transfer: Transfer): unknown => viewTransferEntry(transfer, call.links);
    const form = { ...listForm, path: "volume-transfers", view };
    return answerList(call, form, (query) => call.cinder.transfers.list(call.context, query));
  },
  async listTransfersDetailed(call) {
    const view = (transfer: Transfer): unknown => viewTransfer(transfer, call.minor, call.links);
    const form = { ...listForm, path: "volume-transfers/detail", view };
    return answerList(call, form, (query) => call.cinder.transfers.list(call.context, query));
  },
  async createTransfer(call) {
    const noSnapshots = bodyObject(call.body, "transfer")["no_snapshots"];
    return create(call, readBoolean(noSnapshots));
  },
  async createOldTransfer(call) {
    return create(call, false);
  },
  async showTransfer(call) {
    const transfer = await call.cinder.transfers.show(call.context, idOf(call));
    return { body: { transfer: viewTransfer(transfer, call.minor, call.links) } };
  },
  async acceptTransfer(call) {
    const authKey = String(bodyObject(call.body, "accept")["auth_key"]);
    const transfer = await call.cinder.transfers.accept(call.context, idOf(call), authKey);
    return { body: { transfer: viewTransferEntry(transfer, call.links) } };
  },
  async deleteTransfer(call) {
    await call.cinder.transfers.delete(call.context, idOf(call));
    return emptyAnswer;
  },
};

async function create(call: Call, noSnapshots: boolean): Promise<Answer> {
  const { volume_id: volumeId, name } = bodyObject(call.body, "transfer");
  const { transfer, authKey } = await call.cinder.transfers.create(call.context, {
    volumeId: String(volumeId),
    name: typeof name === "string" ? name.trim() : null,
    noSnapshots,
    allowsEncrypted: call.minor >= encryptedMinor,
  });
  return { body: { transfer: { ...viewTransfer(transfer, call.minor, call.links), auth_key: authKey } } };
}
