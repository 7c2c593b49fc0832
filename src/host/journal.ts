// Lines that tell of an event, with their fields, into systemd's journal: so that `journalctl
// MESSAGE_ID=…` finds them. Node has no datagram sockets of its own for its native protocol, hence
// logger(1), which every Debian has. Where that fails, the line goes to standard error as ever.
// Danger: nothing waits for it, and a journal that hangs must cost nothing but lines.

import { existsSync } from "node:fs";
import type { EventLine } from "../base/log.ts";
import { messageIdOf } from "../base/message-id.ts";
import { tryRun } from "./process.ts";

const SOCKET = "/run/systemd/journal/socket";
const LOGGER = ["logger", "--journald"];
const SEND_MS = 5000;
/** Lines that wait to be sent; further ones go to standard error. */
const WAITING_MAX = 100;
const VALUE_MAX = 2000;
/** What a line's text may be: journald takes more, an entry here never needs it. */
const LINE_MAX = 16_000;

/** Sends events; `fallback` gets the lines that can't be sent, as they would be written. */
export function createJournal(
  fallback: (line: string) => void,
  { argv = LOGGER, pid = process.pid } = {},
): (line: EventLine) => void {
  const waiting: EventLine[] = [];
  let busy = false;
  const write = ({ priority, line }: EventLine) => fallback(`<${priority}>${line}`);
  const send = async () => {
    busy = true;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const input = renderJournalEntry(next, pid);
      const sent = await tryRun(argv, { input, withinMs: SEND_MS }).catch(() => undefined);
      if (sent?.ok !== true) write(next);
    }
    busy = false;
  };
  return (line) => {
    if (waiting.length >= WAITING_MAX) return write(line);
    waiting.push(line);
    if (!busy) void send();
  };
}

/** Whether what we write to standard error goes to the journal, and events can go there too. */
export function hasJournal(env: NodeJS.ProcessEnv = process.env): boolean {
  return env["JOURNAL_STREAM"] !== undefined && existsSync(SOCKET);
}

/** What logger(1) reads: a FIELD=value a line. */
export function renderJournalEntry(entry: EventLine, pid: number): string {
  const { event, priority, line, fields } = entry;
  const own = Object.entries(fields).map(([name, value]) => {
    const text = Array.isArray(value) ? value.join(" ") : String(value);
    return [`UNDERSTUDY_${nameOf(name)}`, text.slice(0, VALUE_MAX)] as const;
  });
  const lines = [
    ["MESSAGE", line.slice(0, LINE_MAX)],
    ["MESSAGE_ID", messageIdOf(event)],
    ["PRIORITY", String(priority)],
    ["SYSLOG_IDENTIFIER", "understudy"],
    // The sender ends at once: by this the journal still knows whose unit it is of.
    ["OBJECT_PID", String(pid)],
    ...own,
  ] as const;
  return `${lines.map(([name, value]) => `${name}=${plain(value)}`).join("\n")}\n`;
}

function nameOf(name: string): string {
  return name
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]/g, "_")
    .slice(0, 50);
}

/** A line's end would begin another field. */
function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, " ");
}
