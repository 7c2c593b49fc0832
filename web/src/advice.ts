// What to do about a warning: the handbook's own words. Pure. Warnings are sentences, so they are
// told apart by what stays the same in them; advice.test.ts holds both sides together.

/** What a warning of docs/alerts.md is, and what to type; in the handbook's own notation. */
export interface Advice {
  alert: string;
  means: string;
  todo: string;
}

/** Which alert a warning is; the first that fits. */
const ALERT_OF: readonly (readonly [RegExp, string])[] = [
  [/ has raised the alarm /, "UnderstudyEtcdAlarm"],
  [/^etcd has no quorum|can't reach the record/, "UnderstudyRecordUnreachable"],
  [/nearly full database/, "UnderstudyEtcdNearlyFull"],
  [/ clock is /, "UnderstudyClockOff"],
  [/^Nobody that answers holds /, "UnderstudyNoAddress"],
  [/'s edge is down/, "UnderstudyEdgeDown"],
  [/'s puppetserver( \S+)? is (down|silent)/, "UnderstudyPuppetserverDown"],
  [/ has been drained for /, "UnderstudyDrainForgotten"],
  [/ paused for .* in a row/, "UnderstudyPauseForgotten"],
  [/agents would queue up/, "UnderstudyNoServerToSpare"],
  [/'s CA can't serve/, "UnderstudyCaDoesNotSign"],
  [/courier doesn't run/, "UnderstudyCourierDown"],
  [/answers no queries/, "UnderstudyNoPuppetdbFit"],
  [/ with 1 copy/, "UnderstudySingleCopies"],
  [/ refused .* for good/, "UnderstudyDeadLetters"],
  [/ isn't brought level /, "UnderstudySyncFails"],
  [/ lacks \d+ reports?: /, "UnderstudyReceiverBehind"],
  [/ doesn't answer: /, "UnderstudySilent"],
];

/** The rows of docs/alerts.md, by alert. */
export function parseAlerts(text: string): Map<string, Advice> {
  const rows = text.matchAll(/^\| `(\w+)` \| (.+?) \| (.+) \|$/gm);
  return new Map(
    [...rows].map(([, alert = "", means = "", todo = ""]) => [
      alert,
      { alert, means, todo: todo.replaceAll("\\|", "|") },
    ]),
  );
}

/** What the handbook says of a warning; undefined: nothing. */
export function adviceOn(warning: string, alerts: ReadonlyMap<string, Advice>): Advice | undefined {
  const found = ALERT_OF.find(([words]) => words.test(warning));
  return found && alerts.get(found[1]);
}

/** Text in the handbook's notation in parts: what stands between backquotes is code. */
export function partsOf(text: string): { text: string; code: boolean }[] {
  return text
    .split("`")
    .map((part, index) => ({ text: part, code: index % 2 === 1 }))
    .filter((part) => part.text !== "");
}
