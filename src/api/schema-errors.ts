// Schema failures in Cinder's words, which come from Python's jsonschema: "Invalid input for field/attribute size.
// Value: -1. -1 is less than the minimum of 1". Values are written as Python writes them, and cut when they are long.

export interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message?: string | undefined;
  readonly params?: unknown;
  /** The value that failed, with Ajv's `verbose`. */
  readonly data?: unknown;
  /** The schema with the keyword, with Ajv's `verbose`. */
  readonly parentSchema?: unknown;
}

const valueCharactersMax = 512;

/**
 * One sentence for the failure of a body: of alternatives that all failed, that of the whole, as jsonschema has it. Ajv stops
 * at the first failure, so that there are several only for alternatives and names of properties, the whole last.
 */
export function describeSchemaError(errors: readonly SchemaError[]): string {
  const error =
    errors.findLast(({ keyword }) => keyword === "oneOf" || keyword === "anyOf") ??
    errors.findLast(({ keyword }) => keyword !== "propertyNames");
  if (error === undefined) return "Malformed request body";
  const segments = error.instancePath.split("/").slice(2); // below /requestBody
  const field = segments.at(-1)?.replaceAll("~1", "/").replaceAll("~0", "~");
  const told = toldProblem(error, field ?? "");
  if (told !== undefined) return told;
  const reason = describeReason(error);
  return field === undefined
    ? reason
    : `Invalid input for field/attribute ${field}. Value: ${formatPlain(error.data)}. ${reason}`;
}

/** What the schema itself says of the failure, by its `x-problem`. */
function toldProblem({ keyword, data, parentSchema }: SchemaError, field: string): string | undefined {
  const problems = Object(Object(parentSchema)["x-problem"]) as Readonly<Record<string, unknown>>;
  const text = problems[keyword];
  if (typeof text !== "string") return undefined;
  const length = typeof data === "string" ? [...data.trim()].length : 0;
  const values: Readonly<Record<string, string>> = { field, value: formatPlain(data), length: String(length) };
  return text.replaceAll(/\{(field|value|length)\}/g, (_, name: string) => values[name]!);
}

function describeReason({ keyword, params, data, message, parentSchema }: SchemaError): string {
  const limits = Object(params) as Readonly<Record<string, unknown>>;
  const value = formatPython(data);
  switch (keyword) {
    case "required":
      return `'${String(limits["missingProperty"])}' is a required property`;
    case "additionalProperties": {
      const patterns = Object.keys(Object(Object(parentSchema)["patternProperties"]) as object);
      const name = formatPython(limits["additionalProperty"]);
      if (patterns.length > 0) return `${name} does not match any of the regexes: ${patterns.map(formatPattern).join(", ")}`;
      return `Additional properties are not allowed ('${String(limits["additionalProperty"])}' was unexpected)`;
    }
    case "type":
      return `${value} is not of type ${[limits["type"]]
        .flat()
        .map((name) => `'${String(name)}'`)
        .join(", ")}`;
    case "minimum":
      return `${value} is less than the minimum of ${String(limits["limit"])}`;
    case "maximum":
      return `${value} is greater than the maximum of ${String(limits["limit"])}`;
    case "minLength":
    case "minItems":
      return `${value} is too short`;
    case "maxLength":
    case "maxItems":
      return `${value} is too long`;
    case "minProperties":
      return `${value} does not have enough properties`;
    case "maxProperties":
      return `${value} has too many properties`;
    case "pattern":
      return `${value} does not match '${String(limits["pattern"])}'`;
    case "format":
      return `${value} is not a '${String(limits["format"])}'`;
    case "enum":
      return `${value} is not one of ${formatPython(limits["allowedValues"])}`;
    case "anyOf":
    case "oneOf":
      return `${value} is not valid under any of the given schemas`;
    default:
      return `${value} ${message ?? "is not valid"}`;
  }
}

/** A value as Python's str() writes it. */
function formatPlain(value: unknown): string {
  return cut(typeof value === "string" ? value : writePython(value, 0));
}

/** A value as Python's repr() writes it, at most valueCharactersMax characters. */
export function formatPython(value: unknown): string {
  return cut(writePython(value, 0));
}

function writePython(value: unknown, depth: number): string {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return `'${value.slice(0, valueCharactersMax).replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  if (typeof value !== "object") return typeof value === "number" ? String(value) : "...";
  if (depth >= 4) return "...";
  if (Array.isArray(value))
    return `[${value
      .slice(0, 32)
      .map((item) => writePython(item, depth + 1))
      .join(", ")}]`;
  const entries = Object.entries(value).slice(0, 32);
  return `{${entries.map(([key, item]) => `'${key}': ${writePython(item, depth + 1)}`).join(", ")}}`;
}

/** A hyphen in a class of characters need not be escaped in Python, and Cinder's are not. */
function formatPattern(pattern: string): string {
  return `'${pattern.replaceAll("\\-", "-")}'`;
}

function cut(text: string): string {
  return text.length <= valueCharactersMax ? text : `${text.slice(0, valueCharactersMax)}...`;
}
