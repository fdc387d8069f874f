// Which projects may use a volume type that is not public.

import { systemContext, type RequestContext } from "./context.ts";
import { conflict, invalid, notFound, typeNotFound } from "./faults.ts";
import { cinderLimits, type VolumeType } from "./model.ts";
import type { PlainEvent } from "./notifications/event-table.ts";
import type { Payload } from "./notifications/payloads.ts";
import { ownTarget } from "./policy.ts";
import type { CinderPorts } from "./ports.ts";
import { readRecord, typeKind, writeRecord } from "./records.ts";

const rules = "volume_extension:volume_type_access:";

export class TypeAccess {
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  async show(context: RequestContext, id: string): Promise<readonly string[]> {
    this.#ports.policy.enforce(context, `${rules}get_all_for_type`, ownTarget(context));
    await this.#ports.index.fresh();
    const type = this.#ports.index.types.get(id);
    if (type === undefined) throw typeNotFound(id);
    if (type.isPublic) throw notFound("Access list not available for public volume types.");
    return type.access;
  }

  async add(context: RequestContext, id: string, projectId: string): Promise<void> {
    this.#ports.policy.enforce(context, `${rules}addProjectAccess`, ownTarget(context));
    await this.#change(context, id, projectId, "volume_type_project.access.add", (type) => {
      if (type.access.includes(projectId)) {
        throw conflict(`Volume type access for ${id} / ${projectId} combination already exists.`);
      }
      if (type.access.length >= cinderLimits.typeAccessMax) {
        throw invalid(`More than ${cinderLimits.typeAccessMax} projects with access to volume type ${id}.`);
      }
      return [...type.access, projectId];
    });
  }

  async remove(context: RequestContext, id: string, projectId: string): Promise<void> {
    this.#ports.policy.enforce(context, `${rules}removeProjectAccess`, ownTarget(context));
    await this.#change(context, id, projectId, "volume_type_project.access.remove", (type) => {
      if (!type.access.includes(projectId)) {
        throw notFound(`Volume type access not found for ${id} / ${projectId} combination.`);
      }
      return type.access.filter((present) => present !== projectId);
    });
  }

  #change(
    context: RequestContext,
    id: string,
    projectId: string,
    event: PlainEvent,
    change: (type: VolumeType) => readonly string[],
  ): Promise<void> {
    return this.#ports.store.commit(systemContext.projectId, async (tx) => {
      const type = await readRecord(tx, typeKind, id);
      if (type === undefined) throw typeNotFound(id);
      if (type.isPublic) {
        throw invalid("Invalid volume type: Type access modification is not applicable to public volume type.");
      }
      writeRecord(tx, typeKind, id, { ...type, access: change(type), updatedAtMs: this.#ports.clock.wallMs() });
      const told = (): Payload => ({ volume_type_id: id, project_id: projectId });
      this.#ports.notices.plain(tx, context, event, `volume_type/${id}`, told);
    });
  }
}
