// How a type's extra specs ask for capabilities of a pool: "<is> True", "<in> part", "<or> a <or> b", "s== text", ">= 3", or
// plain text for equality. Pure. Keys with a scope other than "capabilities:" are not for the scheduler.

/** What a requirement says: does the capability's value meet it? Undefined is a capability the pool does not have. */
export function meets(requirement: string, value: string | number | boolean | null | undefined): boolean {
  if (value === undefined) return false;
  const words = requirement.trim().split(/\s+/);
  const [operator = "", operand = ""] = words;
  if (/^(<is>|<in>|s?[=!<>]=|s[<>]|=)$/.test(operator) && (operand === "" || value === null)) return false;
  const text = textOf(value);
  switch (operator) {
    case "<is>":
      return isTrue(operand) === isTrue(text);
    case "<in>":
      return text.includes(operand);
    case "<or>":
      return requirement
        .split("<or>")
        .map((part) => part.trim())
        .includes(text);
    case "s==":
      return text === operand;
    case "s!=":
      return text !== operand;
    case "s<":
      return text < operand;
    case "s<=":
      return text <= operand;
    case "s>":
      return text > operand;
    case "s>=":
      return text >= operand;
    case "=": // at least, as in Cinder
    case ">=":
      return Number(text) >= Number(operand);
    case "==":
      return Number(text) === Number(operand);
    case "!=":
      return Number(text) !== Number(operand);
    case "<=":
      return Number(text) <= Number(operand);
    default:
      return typeof value === "boolean" ? isTrue(requirement) === value : text === requirement;
  }
}

/** The name of the capability that an extra spec is about; undefined when it is not for the scheduler. */
export function capabilityOf(key: string): string | undefined {
  const [scope = key, ...rest] = key.split(":");
  if (rest.length === 0) return scope;
  return scope === "capabilities" && rest.length === 1 ? rest[0] : undefined;
}

/** True for the `"<is> True"` of a type. */
export function asksFor(requirement: string | undefined): boolean {
  return requirement !== undefined && /^<is>\s+true$/i.test(requirement.trim());
}

function textOf(value: string | number | boolean | null): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  return String(value);
}

function isTrue(text: string): boolean {
  return ["true", "1", "yes", "on", "t", "y"].includes(text.toLowerCase());
}
