// Checks: what a policy rule says once it is parsed, as functions. The meaning is oslo.policy's.
//
// - A check looks at who asks (Credentials, by oslo's names), at what it is about (Target) and at the other rules.
// - What cannot be looked up (a field that the target or the caller has not) is "no", never an error.
// - Comparisons are of text as Python writes it: True, False, None. Roles are compared without regard to case.

export type CredentialValue = string | boolean | null | undefined | readonly string[];
/** By oslo.policy's names: user_id, project_id, roles, is_admin, domain_id, system_scope, ... */
export type Credentials = Readonly<Record<string, CredentialValue>>;
/** By oslo.policy's names: project_id, user_id, domain_id. */
export type Target = Readonly<Record<string, string | undefined>>;
export type Rules = ReadonlyMap<string, Check>;

export interface Question {
  readonly credentials: Credentials;
  readonly target: Target;
  readonly rules: Rules;
}

export type Check = (question: Question) => boolean;

export const always: Check = () => true;
export const never: Check = () => false;

export function allOf(checks: readonly Check[]): Check {
  return (question) => checks.every((check) => check(question));
}

export function anyOf(checks: readonly Check[]): Check {
  return (question) => checks.some((check) => check(question));
}

export function not(check: Check): Check {
  return (question) => !check(question);
}

/** `rule:NAME`: a rule that is not there says no. Loops are found when the rules are put together (rule-set.ts). */
export function ruleCheck(name: string): Check {
  return (question) => question.rules.get(name)?.(question) ?? false;
}

/** `role:NAME`; the name may be taken from the target by %(field)s. */
export function roleCheck(name: string): Check {
  return ({ credentials, target }) => {
    const wanted = fillIn(name, target)?.toLowerCase();
    const { roles } = credentials;
    return wanted !== undefined && Array.isArray(roles) && roles.some((role: string) => role.toLowerCase() === wanted);
  };
}

/** `KIND:MATCH`: a field of the caller, or a literal ('text', True, None, a number), against text or %(field)s of the target. */
export function fieldCheck(kind: string, match: string): Check {
  const literal = readLiteral(kind);
  return ({ credentials, target }) => {
    const wanted = fillIn(match, target);
    if (wanted === undefined) return false;
    if (literal !== undefined) return literal === wanted;
    const value = Object.hasOwn(credentials, kind) ? credentials[kind] : undefined;
    if (value === undefined) return false;
    if (typeof value === "object" && value !== null) return value.includes(wanted);
    return pythonText(value) === wanted;
  };
}

/** `text` with each %(field)s replaced; undefined when the target has not the field. */
function fillIn(text: string, target: Target): string | undefined {
  let missing = false;
  const filled = text.replaceAll(/%\(([^)]*)\)s/g, (_, field: string) => {
    const value = Object.hasOwn(target, field) ? target[field] : undefined;
    if (value === undefined) missing = true;
    return value ?? "";
  });
  return missing ? undefined : filled;
}

function readLiteral(kind: string): string | undefined {
  const quoted = /^(['"])(.*)\1$/.exec(kind);
  if (quoted !== null) return quoted[2];
  return /^(True|False|None|-?\d+(\.\d+)?)$/.test(kind) ? kind : undefined;
}

function pythonText(value: string | boolean | null): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  return value;
}
