// What Cinder answers to the replication of a group that no backend replicates: a refusal, for the first reason that there is.

import type { RequestContext } from "../context.ts";
import { groupNotFound, invalid, invalidGroup, invalidGroupType } from "../faults.ts";
import type { ReplicationVerb } from "./group-verbs.ts";
import type { Group, GroupStatus } from "../model.ts";
import type { PolicyRule } from "../policy.ts";
import { isVisible, type CinderPorts } from "../ports.ts";

interface Conditions {
  readonly rule: PolicyRule;
  readonly statuses: readonly GroupStatus[];
  /** No group is replicated: its replication status is "disabled". */
  readonly replicationStatuses: readonly string[];
}

const conditions: Readonly<Record<ReplicationVerb, Conditions>> = {
  enable: { rule: "group:enable_replication", statuses: ["available"], replicationStatuses: ["disabled", "enabled"] },
  disable: {
    rule: "group:disable_replication",
    statuses: ["available", "error"],
    replicationStatuses: ["enabled", "error"],
  },
  failover: {
    rule: "group:failover_replication",
    statuses: ["available"],
    replicationStatuses: ["enabled", "failed-over"],
  },
};

const groupSpecs = ["group_replication_enabled", "consistent_group_replication_enabled"];
const yes = "<is> True";

export class GroupReplication {
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  async refuse(context: RequestContext, id: string, verb: ReplicationVerb): Promise<never> {
    const { rule, statuses, replicationStatuses } = conditions[verb];
    const group = await this.#find(context, id, rule);
    this.#checkTypes(group);
    if (!statuses.includes(group.status)) throw refusal(group, "status", statuses, group.status, verb);
    if (!replicationStatuses.includes("disabled")) {
      throw refusal(group, "replication status", replicationStatuses, "disabled", verb);
    }
    throw invalidGroup(`Group ${id} is in a pool that does not replicate.`);
  }

  async targets(context: RequestContext, id: string): Promise<Group> {
    const group = await this.#find(context, id, "group:list_replication_targets");
    this.#checkTypes(group);
    return group;
  }

  async #find(context: RequestContext, id: string, rule: PolicyRule): Promise<Group> {
    await this.#ports.index.fresh();
    const group = this.#ports.index.groups.get(id);
    if (group === undefined || !isVisible(context, group)) throw groupNotFound(id);
    this.#ports.policy.enforce(context, rule, group);
    return group;
  }

  #checkTypes(group: Group): void {
    const { groupTypes, types } = this.#ports.index;
    const specs = groupTypes.get(group.groupTypeId)?.groupSpecs ?? {};
    if (!groupSpecs.some((key) => specs[key] === yes)) {
      throw invalidGroupType(`Group ${group.id} is not a replication group type.`);
    }
    const plain = group.volumeTypeIds.find((id) => types.get(id)?.extraSpecs["replication_enabled"] !== yes);
    if (plain === undefined) return;
    throw invalid(`Invalid volume type: Volume type ${plain} does not have 'replication_enabled' spec key set to '${yes}'.`);
  }
}

function refusal(group: Group, what: string, valid: readonly string[], current: string, verb: ReplicationVerb): Error {
  const shown = valid.map((status) => `'${status}'`).join(", ");
  return invalidGroup(
    `Group ${group.id} ${what} must be [${shown}], but current status is: ${current}. Cannot ${verb} replication.`,
  );
}
