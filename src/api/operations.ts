// The operations of openapi.yaml with the checks of their bodies: openapi-backend reads and resolves the document at the start,
// and compiles an operation's check when the first body comes for it (all of them cost seconds), which takes 5 to 10 ms; the
// first one, which takes 30, before anybody can wait for it. Its router is not used (it tries every operation, by a new regular
// expression each time).
//
// - An operation is chosen before its body is checked (by action key and microversion), so an error is about that body.
// - Query parameters are not checked by schema: what Cinder refuses there depends on microversion and role (list-query.ts).
// - Nothing is coerced: a number given as text stays text.

import addFormats from "ajv-formats";
import { OpenAPIBackend, OpenAPIRouter } from "openapi-backend";
import { AndironError } from "../common/errors.ts";
import { parseMinor } from "./microversion.ts";
import { describeSchemaError } from "./schema-errors.ts";

/** What openapi.yaml says of an operation. */
export interface OperationFacts {
  readonly id: string;
  /** Upper case. */
  readonly method: string;
  /** Without selector. */
  readonly path: string;
  readonly action: string | undefined;
  readonly sinceMinor: number;
  /** Id of the operation that answers below sinceMinor; undefined: there is nothing then. */
  readonly before: string | undefined;
  /** Id of the operation whose handler serves it: its own, but for variants. */
  readonly handlerId: string;
  /** Status of success. */
  readonly status: number;
  readonly takesBody: boolean;
  /** Why it never succeeds, when it does not. */
  readonly refusal: string | undefined;
  /** Policy rules that can refuse it, first the one that is always asked; none: any token will do. */
  readonly rules: readonly string[];
  /** Policy rules that leave fields out of its answer. */
  readonly fieldRules: readonly string[];
  /** Whether it wants no token. */
  readonly open: boolean;
}

export interface Operation extends OperationFacts {
  /** What is wrong with a body, in Cinder's words; undefined when nothing is. */
  checkBody(body: unknown): string | undefined;
}

export interface ApiDocument {
  readonly operations: readonly Operation[];
  /** For tests: what is wrong with an answer, or undefined. */
  checkResponse(operationId: string, status: number, body: unknown): string | undefined;
}

type BodyCheck = (body: unknown) => string | undefined;

/** The first check brings in the compiler, and this is of the largest: disks would wait for it. */
export const compiledAhead = "createVolume";

const acceptBody: BodyCheck = () => undefined;

/**
 * Reads openapi.yaml at `path`. Rejects with config_invalid when it cannot be read. `validateSchemas` is for a test: our own
 * schemas are not proven right at every start.
 */
export async function loadApiDocument(path: string, { validateSchemas = false } = {}): Promise<ApiDocument> {
  try {
    const backend = new OpenAPIBackend({
      definition: await new OpenAPIBackend({ definition: path }).loadDocument(),
      quick: true, // responses are compiled when a test asks for them
      strict: true,
      ajvOpts: { strict: false, allErrors: false, verbose: true, meta: validateSchemas, validateSchema: validateSchemas },
      customizeAjv: (ajv) => addFormats.default(ajv, ["uuid", "date-time"]),
    });
    await backend.init();
    const operations = backend
      .getOperations()
      .map(factsOf)
      .map((facts): Operation => {
        return { ...facts, checkBody: facts.takesBody ? lazyBodyCheck(backend, facts.id) : acceptBody };
      });
    operations.find(({ id }) => id === compiledAhead)?.checkBody(null);
    return { operations, checkResponse: (id, status, body) => checkResponse(backend, id, status, body) };
  } catch (cause) {
    throw new AndironError("config_invalid", `the API description ${path} cannot be used`, { cause });
  }
}

/** The facts alone, which is quick: nothing is compiled. */
export async function loadOperationFacts(path: string): Promise<readonly OperationFacts[]> {
  const definition = await new OpenAPIBackend({ definition: path }).loadDocument();
  return new OpenAPIRouter({ definition }).getOperations().map(factsOf);
}

interface Entry {
  readonly operationId?: string;
  readonly method: string;
  readonly path: string;
  readonly requestBody?: unknown;
  readonly responses?: unknown;
  readonly security?: readonly unknown[];
  readonly "x-since"?: string;
  readonly "x-before"?: string;
  readonly "x-handler"?: string;
  readonly "x-refuses"?: string;
  readonly "x-policy"?: readonly string[];
  readonly "x-field-policy"?: readonly string[];
}

function factsOf(entry: Entry): OperationFacts {
  const { operationId: id } = entry;
  if (id === undefined) throw new TypeError(`an operation without operationId: ${entry.method} ${entry.path}`);
  const [path = "", selector] = entry.path.split("#");
  const isVersion = selector !== undefined && /^3\.\d+$/.test(selector);
  const status = Object.keys(Object(entry.responses))
    .map(Number)
    .find((code) => code < 400);
  if (status === undefined) throw new TypeError(`${id} never succeeds`);
  return {
    id,
    method: entry.method.toUpperCase(),
    path,
    action: isVersion ? undefined : selector,
    sinceMinor: parseMinor(entry["x-since"] ?? "3.0"),
    before: entry["x-before"],
    handlerId: entry["x-handler"] ?? id,
    status,
    takesBody: entry.requestBody !== undefined,
    refusal: entry["x-refuses"],
    rules: entry["x-policy"] ?? [],
    fieldRules: entry["x-field-policy"] ?? [],
    open: entry.security?.length === 0,
  };
}

function lazyBodyCheck(backend: OpenAPIBackend, operationId: string): BodyCheck {
  let check: BodyCheck | undefined;
  return (body) => (check ??= compileBodyCheck(backend, operationId))(body);
}

/** openapi-backend makes two validators of an operation with a body: first the body's, then the parameters'. */
function compileBodyCheck(backend: OpenAPIBackend, operationId: string): BodyCheck {
  const [validate] = backend.validator.getRequestValidatorsForOperation(operationId);
  if (validate === undefined) throw new TypeError(`${operationId} has a body without a schema`);
  return (body) => {
    if (validate({ requestBody: body })) return undefined;
    return describeSchemaError(validate.errors ?? []);
  };
}

function checkResponse(backend: OpenAPIBackend, operationId: string, status: number, body: unknown): string | undefined {
  const { valid, errors } = backend.validator.validateResponse(body, operationId, status);
  if (valid) return undefined;
  return (errors ?? [])
    .map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`)
    .join("; ");
}
