// Reads the check strings and lists of oslo.policy:
//
//   rule    = ""                                     yes to everybody
//           | or
//   or      = and { "or" and }
//   and     = term { "and" term }
//   term    = "not" term | "(" or ")" | check
//   check   = "@" (yes) | "!" (no) | kind ":" match
//   list    = [ check | [ check, ... ], ... ]        one of them, each of them all; [] is yes
//
// Unlike oslo.policy, which makes "no" of what it cannot read, a mistake is an error: it is told before it locks anybody out.
// Remote checks (http:, https:) are refused: a request would wait for another server at every rule.

import { type Check, allOf, always, anyOf, fieldCheck, never, not, roleCheck, ruleCheck } from "./check.ts";

/** What a rule is in a file: text, or a list of alternatives that are texts or lists of texts. */
export type CheckSource = string | readonly (string | readonly string[])[];

export interface ParsedCheck {
  readonly check: Check;
  /** Names of the rules it asks. */
  readonly uses: readonly string[];
}

/** What is wrong with a rule, to follow its name. */
export class PolicyProblem extends Error {
  override readonly name = "PolicyProblem";
}

const sourceCharactersMax = 16 * 1024;
const depthMax = 50;

/** Throws PolicyProblem. */
export function parseCheck(source: CheckSource): ParsedCheck {
  const uses: string[] = [];
  if (typeof source === "string") return { check: new TextParser(source, uses).parse(), uses };
  const alternatives = source.filter((alternative) => alternative.length > 0);
  if (alternatives.length === 0) return { check: source.length === 0 ? always : never, uses };
  const checks = alternatives.map((alternative) => {
    const texts = typeof alternative === "string" ? [alternative] : alternative;
    return allOf(texts.map((text) => parseSingle(text, uses)));
  });
  return { check: anyOf(checks), uses };
}

function parseSingle(text: string, uses: string[]): Check {
  if (text === "@") return always;
  if (text === "!") return never;
  const colon = text.indexOf(":");
  if (colon < 1) throw new PolicyProblem(`"${text}" is no check: it has to be @, ! or KIND:MATCH`);
  const kind = text.slice(0, colon);
  const match = text.slice(colon + 1);
  if (kind === "http" || kind === "https") throw new PolicyProblem(`"${text}" is a remote check, which is not supported`);
  if (kind === "role") return roleCheck(match);
  if (kind !== "rule") return fieldCheck(kind, match);
  uses.push(match);
  return ruleCheck(match);
}

class TextParser {
  readonly #tokens: readonly string[];
  readonly #uses: string[];
  #position = 0;
  #depth = 0;

  constructor(text: string, uses: string[]) {
    if (text.length > sourceCharactersMax) throw new PolicyProblem(`is longer than ${sourceCharactersMax} characters`);
    this.#tokens = splitTokens(text);
    this.#uses = uses;
  }

  parse(): Check {
    if (this.#tokens.length === 0) return always;
    const check = this.#or();
    if (this.#position < this.#tokens.length)
      throw new PolicyProblem(`has "${this.#tokens[this.#position]}" where it should end`);
    return check;
  }

  #or(): Check {
    const checks = [this.#and()];
    while (this.#take("or")) checks.push(this.#and());
    return checks.length === 1 ? checks[0]! : anyOf(checks);
  }

  #and(): Check {
    const checks = [this.#term()];
    while (this.#take("and")) checks.push(this.#term());
    return checks.length === 1 ? checks[0]! : allOf(checks);
  }

  #term(): Check {
    if (++this.#depth > depthMax) throw new PolicyProblem(`is nested deeper than ${depthMax}`);
    const check = this.#innerTerm();
    this.#depth--;
    return check;
  }

  #innerTerm(): Check {
    if (this.#take("not")) return not(this.#term());
    if (this.#take("(")) {
      const check = this.#or();
      if (!this.#take(")")) throw new PolicyProblem("lacks a closing parenthesis");
      return check;
    }
    const token = this.#tokens[this.#position++];
    if (token === undefined) throw new PolicyProblem("ends where a check should follow");
    if (token === ")" || /^(and|or)$/i.test(token)) throw new PolicyProblem(`has "${token}" where a check should be`);
    return parseSingle(token, this.#uses);
  }

  #take(word: string): boolean {
    if (this.#tokens[this.#position]?.toLowerCase() !== word) return false;
    this.#position++;
    return true;
  }
}

/** Words by white space; parentheses at the ends of a word are tokens, those of %(field)s are not. */
function splitTokens(text: string): string[] {
  const tokens: string[] = [];
  for (const word of text.split(/\s+/).filter((part) => part !== "")) {
    const [, opening = "", rest = ""] = /^(\(*)(.*)$/s.exec(word) ?? [];
    const [, inner = "", closing = ""] = /^(.*?)(\)*)$/s.exec(rest) ?? [];
    tokens.push(...opening, ...(inner === "" ? [] : [inner]), ...closing);
  }
  return tokens;
}
