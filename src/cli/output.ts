// How every command speaks: results on standard output, progress and errors on standard error,
// --json for scripts. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 done but not
// confirmed everywhere.

import { Fault, renderFault } from "../base/fault.ts";

export const EXIT = { ok: 0, failed: 1, usage: 2, unconfirmed: 3 } as const;

export interface Output {
  /** Prints `value` as JSON with --json, else `text`. */
  result(value: unknown, text: string): void;
  /** A line about what goes on; nothing with --json. */
  progress(line: string): void;
  json: boolean;
}

export function createOutput(json: boolean): Output {
  return {
    json,
    result(value, text) {
      process.stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : ensureNewline(text));
    },
    progress(line) {
      if (!json) process.stderr.write(`${line}\n`);
    },
  };
}

/** Prints what went wrong, and says with which code to exit. */
export function reportFailure(error: unknown, json: boolean): number {
  if (json) {
    const { code, message, hints } =
      error instanceof Fault ? error : new Fault("internal", renderFault(error));
    process.stdout.write(`${JSON.stringify({ error: { code, message, hints } }, null, 2)}\n`);
  } else {
    process.stderr.write(`${renderFault(error)}\n`);
  }
  return EXIT.failed;
}

/** The exit code of a test: what wasn't tried isn't known to work. */
export function testedCode(results: readonly { ok: boolean }[]): number {
  return results.length > 0 && results.every(({ ok }) => ok) ? EXIT.ok : EXIT.failed;
}

function ensureNewline(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
