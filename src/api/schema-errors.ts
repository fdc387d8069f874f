// Schema failures in Cinder's words, which come from Python's jsonschema: "Invalid input for field/attribute size.
// Value: -1. -1 is less than the minimum of 1". Values are written as Python writes them, and cut when they are long.

export interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message?: string | undefined;
  readonly params?: unknown;
  /** The value that failed, with Ajv's `verbose`. */
  readonly data?: unknown;
}

const valueCharactersMax = 512;

/**
 * One sentence for the failure that says most: the one deepest in the body, and there the cause of a failed alternative
 * rather than the failure of all of them.
 */
export function describeSchemaError(errors: readonly SchemaError[]): string {
  const depths = errors.map(({ instancePath }) => instancePath.split("/").length);
  const deepest = errors.filter((_, at) => depths[at] === Math.max(...depths));
  const error = deepest.find(({ keyword }) => keyword !== "oneOf" && keyword !== "anyOf" && keyword !== "type") ?? deepest.at(-1);
  if (error === undefined) return "Malformed request body";
  const segments = error.instancePath.split("/").slice(2); // below /requestBody
  const field = segments.at(-1)?.replaceAll("~1", "/").replaceAll("~0", "~");
  const reason = describeReason(error);
  return field === undefined
    ? reason
    : `Invalid input for field/attribute ${field}. Value: ${formatPlain(error.data)}. ${reason}`;
}

function describeReason({ keyword, params, data, message }: SchemaError): string {
  const limits = Object(params) as Readonly<Record<string, unknown>>;
  const value = formatPython(data);
  switch (keyword) {
    case "required":
      return `'${String(limits["missingProperty"])}' is a required property`;
    case "additionalProperties":
      return `Additional properties are not allowed ('${String(limits["additionalProperty"])}' was unexpected)`;
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

function cut(text: string): string {
  return text.length <= valueCharactersMax ? text : `${text.slice(0, valueCharactersMax)}...`;
}
