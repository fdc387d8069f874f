// Names for what differs between two runs: ids that a step saved, other ids, times, pools, addresses. hide() puts the names
// into an answer, fill() the values into a request.

const hidden: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, "{uuid}"],
  [/\b[0-9a-f]{32}\b/g, "{hex}"],
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?/g, "{time$1}"],
  [/reference@(fake\d)#\w+/g, "{pool of $1}"],
];

export class Names {
  readonly #values = new Map<string, string>();
  readonly #origin: string;

  constructor(url: string) {
    this.#origin = new URL(url).origin;
  }

  learn(name: string, value: string): void {
    this.#values.set(name, value);
  }

  fill(text: string): string {
    return text.replaceAll(/\{([\w' ]+)\}/g, (whole, name: string) => this.#values.get(name) ?? whole);
  }

  /** `value` with names, in keys too. */
  hide(value: unknown): unknown {
    if (typeof value === "string") return this.#hideText(value);
    if (Array.isArray(value)) return value.map((item) => this.hide(item));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [this.#hideText(key), this.hide(inner)]));
  }

  #hideText(text: string): string {
    let shown = text.replaceAll(this.#origin, "{origin}");
    // The newest name first: a name may be given anew.
    for (const [name, value] of [...this.#values].reverse()) shown = shown.replaceAll(value, `{${name}}`);
    for (const [pattern, name] of hidden) {
      shown = shown.replaceAll(pattern, (_, group?: unknown) =>
        name.replace("$1", typeof group === "string" ? (name.startsWith("{time") ? ".6" : group) : ""),
      );
    }
    return shown;
  }
}
