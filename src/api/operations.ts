// The operations of openapi.yaml with the checks of their bodies: the document is read at the start, as it is, and Ajv compiles
// an operation's check when the first body comes for it (all of them cost seconds), following references into the document.
//
// - An operation is chosen before its body is checked (by action key and microversion), so an error is about that body.
// - Query parameters are not checked by schema: what Cinder refuses there depends on microversion and role (list-query.ts).
// - Nothing is coerced: a number given as text stays text.

import { readFile } from "node:fs/promises";
import { Ajv, type ValidateFunction } from "ajv";
import addFormats from "ajv-formats";
import { load } from "js-yaml";
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

/** What the document is called in references from outside it. */
const documentId = "openapi.yaml";

const acceptBody: BodyCheck = () => undefined;

/**
 * Reads openapi.yaml at `path`. Rejects with config_invalid when it cannot be read. `validateSchemas` is for a test: our own
 * schemas are not proven right at every start.
 */
export async function loadApiDocument(path: string, { validateSchemas = false } = {}): Promise<ApiDocument> {
  try {
    const definition = await readDefinition(path);
    const checks = new SchemaChecks(definition, validateSchemas);
    const entries = entriesOf(definition);
    const operations = entries.map((entry): Operation => {
      return { ...factsOf(entry), checkBody: entry.requestBody === undefined ? acceptBody : checks.ofRequest(entry) };
    });
    const byId = new Map(entries.map((entry) => [entry.operationId, entry]));
    return { operations, checkResponse: (id, status, body) => checks.response(byId.get(id)!, status, body) };
  } catch (cause) {
    throw new AndironError("config_invalid", `the API description ${path} cannot be used`, { cause });
  }
}

/** The facts alone. */
export async function loadOperationFacts(path: string): Promise<readonly OperationFacts[]> {
  return entriesOf(await readDefinition(path)).map(factsOf);
}

/** A body, in its place or by reference. */
interface Content {
  readonly $ref?: string;
  readonly required?: boolean;
  readonly content?: { readonly "application/json"?: { readonly schema: object } };
}

interface Item {
  readonly operationId?: string;
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

interface Entry extends Item {
  readonly path: string;
  readonly method: string;
}

interface Definition {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Item>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

const readDefinition = async (path: string): Promise<Definition> => load(await readFile(path, "utf8")) as Definition;

const methods = new Set(["get", "put", "post", "delete", "patch", "head"]);

function entriesOf({ paths }: Definition): Entry[] {
  return Object.entries(paths).flatMap(([path, items]) =>
    Object.entries(items)
      .filter(([method]) => methods.has(method))
      .map(([method, item]) => ({ ...item, path, method })),
  );
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

/** Compiles what the document says of bodies, each when it is asked for first. */
class SchemaChecks {
  readonly #definition: Definition;
  readonly #ajv: Ajv;
  readonly #validates: boolean;

  constructor(definition: Definition, validateSchemas: boolean) {
    this.#definition = definition;
    this.#validates = validateSchemas;
    this.#ajv = new Ajv({ strict: false, allErrors: false, verbose: true, meta: validateSchemas, validateSchema: false });
    addFormats.default(this.#ajv, ["uuid", "date-time"]);
    this.#ajv.addSchema(definition, documentId);
    if (validateSchemas)
      for (const schema of Object.values(definition.components.schemas)) void this.#ajv.validateSchema(schema, true);
  }

  ofRequest({ path, method }: Entry): BodyCheck {
    let validate: ValidateFunction | undefined;
    return (body) => {
      validate ??= this.#compileRequest(["paths", path, method, "requestBody"]);
      return validate({ requestBody: body }) ? undefined : describeSchemaError(validate.errors ?? []);
    };
  }

  response({ path, method }: Entry, status: number, body: unknown): string | undefined {
    const { schema } = this.#find(["paths", path, method, "responses", String(status)]);
    const validate = schema === undefined ? undefined : this.#ajv.getSchema(schema.$ref);
    if (validate === undefined || validate(body)) return undefined;
    return (validate.errors ?? [])
      .map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`)
      .join("; ");
  }

  #compileRequest(place: readonly string[]): ValidateFunction {
    const { schema, isRequired } = this.#find(place);
    if (schema === undefined) throw new TypeError(`${place.join(" ")} has no schema`);
    const required = isRequired ? ["requestBody"] : [];
    return this.#ajv.compile({ type: "object", required, properties: { requestBody: schema } });
  }

  /** A reference to the schema of what is at that place of the document, or where it refers to; none when that is no JSON. */
  #find(place: readonly string[]): { readonly schema?: { readonly $ref: string }; readonly isRequired: boolean } {
    const content = Object(place.reduce<unknown>((value, key) => Object(value)[key], this.#definition)) as Content;
    if (content.$ref !== undefined) return this.#find(content.$ref.split("/").slice(1));
    const schema = content.content?.["application/json"]?.schema;
    const isRequired = content.required === true;
    if (schema === undefined) return { isRequired };
    if (this.#validates) void this.#ajv.validateSchema(schema, true);
    const pointer = [...place, "content", "application/json", "schema"].map(escapeSegment).join("/");
    return { schema: { $ref: `${documentId}#/${pointer}` }, isRequired };
  }
}

const escapeSegment = (segment: string): string => encodeURIComponent(segment.replaceAll("~", "~0").replaceAll("/", "~1"));
