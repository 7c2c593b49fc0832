// One check of preflight: what was found, and what to do about it.

export interface Check {
  name: string;
  verdict: "ok" | "warning" | "fatal";
  /** What was found. */
  found: string;
  /** Stable code of a problem, as in docs/errors.md. */
  code?: string;
  /** What to do about it. */
  remedy?: string;
}

export function ok(name: string, found: string): Check {
  return { name, verdict: "ok", found };
}

export function bad(
  verdict: "warning" | "fatal",
  name: string,
  problem: { code: string; found: string; remedy: string },
): Check {
  return { name, verdict, ...problem };
}
