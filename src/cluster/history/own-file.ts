// This member's own entries on its disk, from the moment when they are told: etcd may be without
// quorum for a day. A line of JSON each; a torn or spoilt line costs that entry only. Nobody waits
// for it, and a disk that is full costs nothing but what a restart would have read.

import { open } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import { makeFolder, readIfThere, writeFileAtomic, writeIfChanged } from "../../host/files.ts";
import { HistoryEntry } from "./entry.ts";
import { Facts } from "./facts.ts";

/** How many entries a member keeps of its own. */
export const OWN_ENTRIES_MAX = 5000;
/** The file is written anew when it has so many lines more. */
const SURPLUS_LINES_MAX = 1000;

export interface OwnFile {
  /** Its entries, oldest first. */
  entries(): readonly HistoryEntry[];
  /** Up to which number they are settled in the record. */
  sent(): number;
  /** What was known at the last look. */
  facts(): Facts;
  /** The number of the next entry. */
  nextNumber(): number;
  /** Keeps an entry; what `written` resolves to is on disk, or was logged as not. */
  add(entry: HistoryEntry): void;
  setSent(number: number): void;
  setFacts(facts: Facts): void;
  /** Resolves when all that was given is written. Never throws. */
  written(): Promise<void>;
}

/** Opens what is in `folder`, which is made if need be. Never throws: an odd file is as none. */
export async function openOwnFile(folder: string, log: Log): Promise<OwnFile> {
  const paths = { log: join(folder, "entries"), mark: join(folder, "state.json") };
  const attempt = createAttempt(log);
  await attempt(async () => makeFolder(folder, { mode: 0o700 }));
  const kept = await readKept(paths);
  const { mark } = kept;
  let { entries, lineCount, torn } = kept;
  let next = Math.max(mark.next, ...entries.map(({ number }) => number + 1));
  let waiting: HistoryEntry[] = [];
  let turn: Promise<void> = Promise.resolve();
  const inTurn = (act: () => Promise<void>) => {
    turn = turn.then(async () => attempt(act));
  };
  const flush = async () => {
    const batch = waiting;
    if (batch.length === 0) return;
    waiting = [];
    const text = renderLines(batch);
    // A torn line must not swallow the next one.
    const head = torn ? "\n" : "";
    torn = true;
    await appendSynced(paths.log, head + text);
    torn = false;
    lineCount += batch.length;
    if (lineCount <= OWN_ENTRIES_MAX + SURPLUS_LINES_MAX) return;
    const all = [...entries];
    await writeFileAtomic(paths.log, renderLines(all), { mode: 0o600 });
    lineCount = all.length;
  };
  const keepMark = async () => {
    await writeIfChanged(paths.mark, `${JSON.stringify({ ...mark, next })}\n`, { mode: 0o600 });
  };
  return {
    entries: () => entries,
    sent: () => mark.sent,
    facts: () => mark.facts,
    nextNumber: () => next,
    add(entry) {
      entries.push(entry);
      if (entries.length > OWN_ENTRIES_MAX + SURPLUS_LINES_MAX) {
        entries = entries.slice(-OWN_ENTRIES_MAX);
      }
      next = Math.max(next, entry.number + 1);
      waiting.push(entry);
      inTurn(flush);
    },
    setSent(number) {
      if (number === mark.sent) return;
      mark.sent = number;
      inTurn(keepMark);
    },
    setFacts(facts) {
      mark.facts = facts;
      inTurn(keepMark);
    },
    async written() {
      await turn;
    },
  };
}

/** Logs what failed, once until it works again. */
function createAttempt(log: Log): (act: () => Promise<void>) => Promise<void> {
  let troubled = false;
  return async (act) => {
    try {
      await act();
      troubled = false;
    } catch (error) {
      if (!troubled) log.warn("the history's own file can't be written", { why: messageOf(error) });
      troubled = true;
    }
  };
}

async function readKept(paths: { log: string; mark: string }) {
  const text = (await readIfThere(paths.log).catch(() => undefined)) ?? "";
  const lines = text.split("\n").filter((line) => line !== "");
  return {
    entries: lines.flatMap(readEntry).slice(-OWN_ENTRIES_MAX),
    lineCount: lines.length,
    torn: text !== "" && !text.endsWith("\n"),
    mark: readMark(await readIfThere(paths.mark).catch(() => undefined)),
  };
}

function renderLines(entries: readonly HistoryEntry[]): string {
  return entries.map((each) => `${JSON.stringify(each)}\n`).join("");
}

async function appendSynced(path: string, text: string): Promise<void> {
  const file = await open(path, "a", 0o600);
  try {
    await file.appendFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
}

function readEntry(line: string): HistoryEntry[] {
  const parsed = HistoryEntry.safeParse(parseJson(line));
  return parsed.success ? [parsed.data] : [];
}

interface Mark {
  /** Up to which number entries are settled in the record. */
  sent: number;
  /** So that no number comes twice, whatever becomes of the entries. */
  next: number;
  facts: Facts;
}

function readMark(text: string | undefined): Mark {
  const json = (parseJson(text ?? "") ?? {}) as Partial<Record<keyof Mark, unknown>>;
  const facts = Facts.safeParse(json.facts);
  return {
    sent: Number.isSafeInteger(json.sent) ? Number(json.sent) : 0,
    next: Number.isSafeInteger(json.next) ? Math.max(1, Number(json.next)) : 1,
    facts: facts.success ? facts.data : {},
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
