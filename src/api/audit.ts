// Who did what, from where, and how it came out. Reading isn't audited, refusals are. Danger: what
// a stranger sends may be long or odd, and must not become many lines.

import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { monotonicMs } from "../host/clock.ts";

/** Longest text of a stranger in an entry, characters. */
const ABOUT_CHARS_MAX = 300;

export interface AuditCaller {
  /** The token's name; for commands `root`, and in brackets who became it; `-`: nobody known. */
  who: string;
  /** The token's role, or `root`; `-` for nobody known. */
  role: string;
  /** The address of who asked; `socket` for commands. */
  from: string;
}

export interface AuditEntry extends AuditCaller {
  /** Method and route, as in "POST /v1/ca/sign". */
  what: string;
  /** What it was done to. */
  about: string;
  outcome: "done" | "failed" | "refused";
  /** The code of what went wrong; empty when nothing did. */
  code: string;
  tookMs: number;
}

/** Where entries go. */
export interface Audit {
  note(entry: AuditEntry): void;
}

/** Entries as log lines, for journald. */
export function auditToLog(log: Log): Audit {
  return {
    note(entry) {
      const { who, from, outcome, code, tookMs } = entry;
      const [what, about] = [clip(entry.what), clip(entry.about)];
      const why = code === "" ? "" : ` (${code})`;
      const fields = {
        audit: true,
        who,
        role: entry.role,
        from,
        what,
        about,
        outcome,
        code,
        tookMs,
        // What was only read is no event.
        ...(!what.startsWith("GET ") && { event: "command" }),
      };
      const line = `${who} from ${from}: ${what}${about === "" ? "" : ` ${about}`}: ${outcome}${why}`;
      if (outcome === "done") log.notice(line, fields);
      else log.warn(line, fields);
    },
  };
}

/** Entries to several places. */
export function auditToAll(audits: readonly Audit[]): Audit {
  return {
    note(entry) {
      for (const audit of audits) audit.note(entry);
    },
  };
}

/**
 * Runs `call`, and notes how it came out: changes always, reading only when the caller may not.
 * `call` tells what it is done to as soon as it knows.
 */
export async function audited<T>(
  audit: Audit,
  caller: AuditCaller,
  { method, path }: { method: string; path: string },
  call: (about: (text: string) => void) => Promise<T>,
): Promise<T> {
  let about = "";
  const startMs = monotonicMs();
  const note = (outcome: AuditEntry["outcome"], code = "") => {
    audit.note({
      ...caller,
      what: `${method} ${path}`,
      about,
      outcome,
      code,
      tookMs: Math.round(monotonicMs() - startMs),
    });
  };
  try {
    const answer = await call((text) => (about = text));
    if (method !== "GET") note("done");
    return answer;
  } catch (error) {
    const code = error instanceof Fault ? error.code : "internal";
    if (code === "access.role") note("refused", code);
    else if (method !== "GET") note("failed", code);
    throw error;
  }
}

function clip(text: string): string {
  const plain = text.replaceAll(/\p{C}/gu, "?");
  return plain.length > ABOUT_CHARS_MAX ? `${plain.slice(0, ABOUT_CHARS_MAX)}…` : plain;
}
