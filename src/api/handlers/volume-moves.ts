// Actions that give a volume another type or another pool.

import { invalidInput } from "../../cinder/faults.ts";
import { readBoolean } from "../booleans.ts";
import { type Handlers, bodyObject, bodyText, emptyAnswer, pathParameter } from "../call.ts";
import { badRequest } from "../http-fault.ts";
import { formatPython } from "../schema-errors.ts";

/** A cluster in place of a host came with 3.16. */
const clusterMinor = 16;

export const volumeMoveHandlers: Handlers = {
  async retypeVolume(call) {
    const given = bodyObject(call.body, "os-retype");
    const mayMigrate = bodyText(given, "migration_policy") === "on-demand";
    const id = pathParameter(call, "volume_id");
    await call.cinder.volumeMoves.retype(call.context, id, bodyText(given, "new_type") ?? "", mayMigrate);
    return emptyAnswer;
  },
  async migrateVolume(call) {
    const given = bodyObject(call.body, "os-migrate_volume");
    const host = bodyText(given, "host") ?? "";
    const cluster = bodyText(given, "cluster") ?? "";
    if (call.minor < clusterMinor) {
      const shown = `Invalid input for field/attribute os-migrate_volume. Value: ${formatPython(given)}.`;
      if (given["host"] === undefined) throw badRequest(`${shown} 'host' is a required property`);
      if (given["cluster"] !== undefined) {
        throw badRequest(`${shown} Additional properties are not allowed ('cluster' was unexpected)`);
      }
      if (host === "") throw invalidInput("Host field is missing.");
    }
    if ((host === "") === (cluster === "")) throw invalidInput("One and only one of cluster and host must be set.");
    await call.cinder.volumeMoves.migrate(call.context, pathParameter(call, "volume_id"), {
      ...(host === "" ? { cluster } : { host }),
      lock: readBoolean(given["lock_volume"]),
    });
    return emptyAnswer;
  },
  async completeVolumeMigration(call) {
    const given = bodyObject(call.body, "os-migrate_volume_completion");
    const { error } = given;
    const newId = bodyText(given, "new_volume") ?? "";
    // Any text is an error, as in Cinder, which does not read it.
    const isFailed = error === true || (typeof error === "string" && error !== "");
    const id = await call.cinder.volumeMoves.completeMigration(call.context, pathParameter(call, "volume_id"), newId, isFailed);
    return { body: { save_volume_id: id } };
  },
};
