// The default volume type of single projects (3.62): one record a project that Keystone knows. A type that is one can't be
// deleted. Whoever sets one writes the type's record too, so that a delete of the type sees it.

import type { RequestContext } from "./context.ts";
import { CinderFault, invalid, notFound, typeNameNotFound } from "./faults.ts";
import type { DefaultType } from "./model.ts";
import type { DefaultTypes } from "./operator-verbs.ts";
import type { CinderPorts } from "./ports.ts";
import { defaultTypeKind, deleteRecord, readRecord, typeKind, writeRecord } from "./records.ts";
import { readTypeByReference } from "./type-reference.ts";

type Verb = "default_get" | "default_get_all" | "default_set_or_update" | "default_unset";

export class DefaultTypeService implements DefaultTypes {
  readonly #ports: CinderPorts;

  constructor(ports: CinderPorts) {
    this.#ports = ports;
  }

  async list(context: RequestContext): Promise<readonly DefaultType[]> {
    this.#enforce(context, "default_get_all", context.projectId);
    await this.#ports.index.fresh();
    return [...this.#ports.index.defaultTypes.values()].sort((a, b) => (a.projectId < b.projectId ? -1 : 1));
  }

  async show(context: RequestContext, projectId: string): Promise<DefaultType> {
    await this.#admit(context, "default_get", projectId);
    await this.#ports.index.fresh();
    const present = this.#ports.index.defaultTypes.get(projectId);
    if (present === undefined) throw notSet(projectId);
    return present;
  }

  async set(context: RequestContext, projectId: string, reference: string): Promise<DefaultType> {
    await this.#admit(context, "default_set_or_update", projectId);
    return this.#ports.store.commit(projectId, async (tx) => {
      const type = await readTypeByReference(tx, reference);
      if (type === undefined || type.retiring !== undefined) throw invalid(typeNameNotFound(reference).message);
      const record: DefaultType = { v: 1, projectId, typeId: type.id };
      writeRecord(tx, defaultTypeKind, projectId, record);
      writeRecord(tx, typeKind, type.id, type);
      return record;
    });
  }

  async unset(context: RequestContext, projectId: string): Promise<void> {
    await this.#admit(context, "default_unset", projectId);
    await this.#ports.store.commit(projectId, async (tx) => {
      if ((await readRecord(tx, defaultTypeKind, projectId)) !== undefined) deleteRecord(tx, defaultTypeKind, projectId);
    });
  }

  async #admit(context: RequestContext, verb: Verb, projectId: string): Promise<void> {
    this.#enforce(context, verb, projectId);
    const sight = await this.#ports.projects.look(context, projectId);
    if (sight === "missing") throw notFound(`Project with id ${projectId} not found.`);
    if (sight === "hidden") throw refused();
  }

  #enforce(context: RequestContext, verb: Verb, projectId: string): void {
    try {
      this.#ports.policy.enforce(context, `volume_extension:${verb}`, { projectId });
    } catch (error) {
      if (!(error instanceof CinderFault) || error.kind !== "forbidden") throw error;
      throw refused(error);
    }
  }
}

function refused(cause?: unknown): CinderFault {
  return new CinderFault("forbidden", "You are not authorized to perform this operation.", { cause });
}

function notSet(projectId: string): CinderFault {
  return notFound(`Default type for project ${projectId} not found.`);
}
