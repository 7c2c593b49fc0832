// What a run of `puppet agent` came to, judged from exit code and output. Pure.
// Danger: exit code 0 hides a catalog from the cache and a lost report, so the words count too.

export interface RunVerdict {
  /** Whether a fresh catalog was applied, without a single error, and its report was taken. */
  ok: boolean;
  /** Whether the run was ended for taking too long. */
  hung: boolean;
  /** Whether resources were changed (exit code 2). */
  changed: boolean;
  /** The first thing that was wrong, in the agent's words; "" when ok. */
  because: string;
}

/** Exit codes of --detailed-exitcodes for a good run: nothing changed, something changed. */
const GOOD_CODES = [0, 2];

const BAD_WORDS = [
  /Using cached catalog/,
  /skipping run/,
  /Could not send report/,
  /Could not retrieve catalog/,
  /^Error: .*/m,
];

/** Judges one run. `code` is null when it was killed, `timedOut` when that was for its length. */
export function judgeRun(code: number | null, timedOut: boolean, output: string): RunVerdict {
  const text = stripColours(output);
  const verdict = { hung: timedOut, changed: code === 2 };
  const failed = (because: string) => ({ ...verdict, ok: false, because });
  if (timedOut) return failed("it hung and was ended");
  for (const word of BAD_WORDS) {
    const line = lineWith(text, word);
    if (line !== undefined) return failed(line);
  }
  if (code === null || !GOOD_CODES.includes(code)) return failed(`exit code ${code ?? "none"}`);
  if (!/Applied catalog in/.test(text)) return failed("it applied no catalog");
  return { ...verdict, ok: true, because: "" };
}

/** The last lines of an output, for a table or a message. */
export function excerpt(output: string, lines = 12): string {
  return stripColours(output).trim().split("\n").slice(-lines).join("\n");
}

function lineWith(text: string, word: RegExp): string | undefined {
  return text
    .split("\n")
    .find((line) => word.test(line))
    ?.trim();
}

function stripColours(text: string): string {
  // eslint-disable-next-line no-control-regex -- the escape character is what is looked for
  return text.replaceAll(/\u001B\[[0-9;]*m/g, "");
}
