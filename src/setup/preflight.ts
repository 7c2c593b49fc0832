// What must hold before init or join changes anything. Facts are gathered first, then judged in one
// pure function, so that all problems are listed at once.

import { Fault } from "../base/fault.ts";
import { renderTable } from "../base/table.ts";
import type { Check } from "./check.ts";
import type { PreflightFacts } from "./facts.ts";
import { checkHost } from "./host-checks.ts";
import { checkPuppet } from "./puppet-checks.ts";

/** Judges the facts; every check is listed, whether it went well or not. */
export function decidePreflight(kind: "init" | "join", facts: PreflightFacts): Check[] {
  return [...checkHost(kind, facts), ...checkPuppet(kind, facts)];
}

/** Throws Fault `setup.preflight` that lists all fatal problems; returns the checks otherwise. */
export function requirePreflight(checks: Check[]): Check[] {
  const fatal = checks.filter((check) => check.verdict === "fatal");
  if (fatal.length === 0) return checks;
  const lines = fatal.flatMap((check) => [
    `${check.code ?? check.name}: ${check.found}`,
    ...(check.remedy === undefined ? [] : [`  ${check.remedy}`]),
  ]);
  const count = fatal.length === 1 ? "1 problem" : `${fatal.length} problems`;
  throw new Fault("setup.preflight", `${count} must be solved first; nothing was changed`, {
    hints: lines,
  });
}

/** The checks as a table for people. */
export function renderChecks(checks: Check[]): string {
  const marks = { ok: "✓", warning: "!", fatal: "✗" };
  const rows = checks.map((check) => [marks[check.verdict], check.name, check.found]);
  return renderTable(["", "CHECK", "FOUND"], rows);
}
