// What the Block Storage API answers when it refuses: a kind, which api/ turns into a status, and Cinder's own sentence.
// Only for refusals that a client can read; what the engine or the registry throws (AndironError) passes through cinder/.

export type FaultKind =
  | "invalid" // 400
  | "forbidden" // 403
  | "not-found" // 404
  | "conflict" // 409
  | "precondition-failed" // 412
  | "over-limit"; // 413

export class CinderFault extends Error {
  override readonly name = "CinderFault";
  readonly kind: FaultKind;

  constructor(kind: FaultKind, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

export const invalid = (message: string): CinderFault => new CinderFault("invalid", message);
export const invalidInput = (reason: string): CinderFault => invalid(`Invalid input received: ${reason}`);
export const invalidVolume = (reason: string): CinderFault => invalid(`Invalid volume: ${reason}`);
export const invalidSnapshot = (reason: string): CinderFault => invalid(`Invalid snapshot: ${reason}`);
export const invalidBackup = (reason: string): CinderFault => invalid(`Invalid backup: ${reason}`);
export const conflict = (message: string): CinderFault => new CinderFault("conflict", message);
export const invalidGroup = (reason: string): CinderFault => invalid(`Invalid Group: ${reason}`);
export const invalidGroupSnapshot = (reason: string): CinderFault => invalid(`Invalid GroupSnapshot: ${reason}`);
export const invalidGroupType = (reason: string): CinderFault => invalid(`Invalid group type: ${reason}`);
export const resourceConflict = (reason: string): CinderFault => conflict(`Resource conflict: ${reason}`);
export const overLimit = (message: string): CinderFault => new CinderFault("over-limit", message);
export const forbidden = (message: string): CinderFault => new CinderFault("forbidden", message);
export const notFound = (message: string): CinderFault => new CinderFault("not-found", message);

export const volumeNotFound = (id: string): CinderFault => notFound(`Volume ${id} could not be found.`);
export const snapshotNotFound = (id: string): CinderFault => notFound(`Snapshot ${id} could not be found.`);
export const backupNotFound = (id: string): CinderFault => notFound(`Backup ${id} could not be found.`);
export const typeNotFound = (id: string): CinderFault => notFound(`Volume type ${id} could not be found.`);
export const typeNameNotFound = (name: string): CinderFault => notFound(`Volume type with name ${name} could not be found.`);
export const qosNotFound = (id: string): CinderFault => notFound(`No such QoS spec ${id}.`);
export const groupTypeNotFound = (id: string): CinderFault => notFound(`Group type ${id} could not be found.`);
export const groupTypeNameNotFound = (name: string): CinderFault => notFound(`Group type with name ${name} could not be found.`);
export const groupNotFound = (id: string): CinderFault => notFound(`Group ${id} could not be found.`);
export const groupSnapshotNotFound = (id: string): CinderFault => notFound(`GroupSnapshot ${id} could not be found.`);
export const transferNotFound = (id: string): CinderFault => notFound(`Transfer ${id} could not be found.`);
export const serviceNotFound = (binary: string, host: string): CinderFault =>
  notFound(`Service ${binary} could not be found on host ${host}.`);
export const messageNotFound = (id: string): CinderFault => notFound(`Message ${id} could not be found.`);
export const attachmentNotFound = (id: string): CinderFault =>
  notFound(`Volume attachment could not be found with filter: attachment_id = ${id}.`);
