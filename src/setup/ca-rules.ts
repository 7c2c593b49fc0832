// Rules of auth.conf for /puppet-ca that an administrator made: once the cluster's CA answers
// there, puppetserver's rules decide nothing about it. Pure.

import { type HoconObject, type HoconValue, parseHocon } from "../ca/hocon.ts";

/** What only tools that carry pp_cli_auth may ask, by stock's rules. */
const FOR_TOOLS =
  /\/(?:certificate_status(?:es)?|clean|sign)(?:\/|$)|certificate_revocation_list\$$/;

/**
 * Names of the rules in `text` (auth.conf) that aren't as every stock version has them; undefined
 * when it can't be read.
 */
export function ownCaRules(text: string): string[] | undefined {
  try {
    const authorization = asObject(parseHocon(text)["authorization"]);
    const rules = authorization["rules"];
    if (!Array.isArray(rules)) return [];
    return rules
      .map(asObject)
      .filter((rule) => pathOf(rule).includes("/puppet-ca") && !isStock(rule))
      .map((rule) => textOf(rule["name"]) ?? pathOf(rule));
  } catch {
    return undefined;
  }
}

function isStock(rule: HoconObject): boolean {
  if (!(textOf(rule["name"]) ?? "").startsWith("puppetlabs ") || rule["deny"] !== undefined) {
    return false;
  }
  const allow = rule["allow"];
  if (JSON.stringify(allow) === '{"extensions":{"pp_cli_auth":"true"}}') return true;
  if (FOR_TOOLS.test(pathOf(rule))) return false;
  return allow === "*" || (allow === undefined && rule["allow-unauthenticated"] === "true");
}

function pathOf(rule: HoconObject): string {
  return textOf(asObject(rule["match-request"])["path"]) ?? "";
}

function textOf(value: HoconValue | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function asObject(value: HoconValue | undefined): HoconObject {
  return value === undefined || typeof value === "string" || Array.isArray(value) ? {} : value;
}
