// Tests of the fields of records that outlive builds: what was read is of the shape that its type promises. Pure functions.
// What the fields of one record say of each other is for its own check.

import { AndironError } from "../common/errors.ts";

export type FieldTests<T> = Readonly<Record<keyof T, (value: unknown) => boolean>>;

/** Throws record_damaged for a record that fails a test; `what` names it. */
export function checkFields<T>(what: string, record: T, tests: FieldTests<T>): void {
  for (const [field, test] of Object.entries<(value: unknown) => boolean>(tests)) {
    if (!test(record[field as keyof T])) throw new AndironError("record_damaged", `${what} has a wrong ${field}`);
  }
}

export const isText = (value: unknown): boolean => typeof value === "string";
export const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
export const isTime = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value);
export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
export const orNull =
  (test: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === null || test(value);
export const orNone =
  (test: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === undefined || test(value);
export const oneOf =
  (values: readonly string[]) =>
  (value: unknown): boolean =>
    values.includes(value as string);
export const shaped =
  (tests: Readonly<Record<string, (value: unknown) => boolean>>) =>
  (value: unknown): boolean =>
    isObject(value) && Object.entries(tests).every(([field, test]) => test(value[field]));
