// Quality of service. Tying types to it and letting them go are GETs that change something, as in Cinder.

import type { Metadata, QosSpecs } from "../../cinder/model.ts";
import { readBooleanParameter } from "../booleans.ts";
import { type Answer, type Call, type Handlers, bodyObject, emptyAnswer, pathParameter } from "../call.ts";
import { badRequest } from "../http-fault.ts";
import { unfilteredListRules } from "../resource-filters.ts";
import { viewAssociation, viewQosSpecs } from "../views/type-parts.ts";
import { answerList } from "./paging.ts";

const idOf = (call: Call): string => pathParameter(call, "qos_id");

export const qosHandlers: Handlers = {
  async listQosSpecs(call) {
    const form = {
      rules: unfilteredListRules,
      key: "qos_specs",
      path: "qos-specs",
      idOf: (qos: QosSpecs) => qos.id,
      view: viewQosSpecs,
    };
    return answerList(call, form, (query) => call.cinder.qosSpecs.list(call.context, query));
  },
  async createQosSpecs(call) {
    const { name, consumer, specs } = readPairs(call);
    const text = (name ?? "").trim();
    if (text === "") throw badRequest("Please specify a name for QoS specs.");
    return answer(call, await call.cinder.qosSpecs.create(call.context, text, consumer, specs));
  },
  async showQosSpecs(call) {
    return answer(call, await call.cinder.qosSpecs.show(call.context, idOf(call)));
  },
  async updateQosSpecs(call) {
    const { name, consumer, specs } = readPairs(call);
    const all = name === undefined ? specs : { ...specs, name };
    await call.cinder.qosSpecs.update(call.context, idOf(call), consumer, all);
    return { body: { qos_specs: bodyObject(call.body, "qos_specs") } };
  },
  async deleteQosSpecs(call) {
    await call.cinder.qosSpecs.delete(call.context, idOf(call), readBooleanParameter(call.query, "force"));
    return emptyAnswer;
  },
  async deleteQosKeys(call) {
    const keys = call.body["keys"] as readonly string[];
    await call.cinder.qosSpecs.deleteKeys(call.context, idOf(call), keys);
    return emptyAnswer;
  },
  async listQosAssociations(call) {
    const types = await call.cinder.qosSpecs.associations(call.context, idOf(call));
    return { body: { qos_associations: types.map(viewAssociation) } };
  },
  async associateQosSpecs(call) {
    await call.cinder.qosSpecs.associate(call.context, idOf(call), typeOf(call));
    return emptyAnswer;
  },
  async disassociateQosSpecs(call) {
    await call.cinder.qosSpecs.disassociate(call.context, idOf(call), typeOf(call));
    return emptyAnswer;
  },
  async disassociateAllQosSpecs(call) {
    await call.cinder.qosSpecs.disassociateAll(call.context, idOf(call));
    return emptyAnswer;
  },
};

function answer(call: Call, qos: QosSpecs): Answer {
  return { body: { qos_specs: viewQosSpecs(qos), links: call.links.resource("qos-specs", qos.id) } };
}

function typeOf(call: Call): string {
  const typeId = call.query.get("vol_type_id");
  if (typeId === null) throw badRequest("Volume Type id must not be None.");
  return typeId;
}

/** Name and consumer stand among the pairs. Null counts as empty. */
function readPairs(call: Call): { name?: string; consumer?: string; specs: Metadata } {
  const entries = Object.entries(bodyObject(call.body, "qos_specs"));
  const { name, consumer, ...specs } = Object.fromEntries(
    entries.map(([key, value]) => [key, typeof value === "string" ? value : ""]),
  );
  return { ...(name === undefined ? {} : { name }), ...(consumer === undefined ? {} : { consumer }), specs };
}
