// Log lines for journald: one JSON object a line on standard error, behind an sd-daemon level
// prefix. journald is the collector; nothing here rotates, buffers or sends. Lines that tell of an
// event go another way where there is one (host/journal.ts), with the same text.

const LEVELS = { error: 3, warn: 4, notice: 5, info: 6, debug: 7 } as const;

export type LogLevel = keyof typeof LEVELS;
/** A line that tells of an event with a name, for who keeps its fields apart. */
export interface EventLine {
  event: string;
  /** As in syslog: 3 is an error, 7 is for developers. */
  priority: number;
  /** The whole line, as it would be written. */
  line: string;
  fields: LogFields;
}

export type LogFields = Record<string, string | number | boolean | null | readonly string[]>;

export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  notice(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** The same log with `fields` on every line. */
  with(fields: LogFields): Log;
}

/**
 * A log that hands finished lines, without newline, to `write`; those with a field `event` to
 * `tellEvent`, where there is one.
 */
export function createLog(
  write: (line: string) => void,
  fields: LogFields = {},
  tellEvent?: (line: EventLine) => void,
): Log {
  const at =
    (level: LogLevel) =>
    (message: string, more: LogFields = {}) => {
      const all = { ...fields, ...more };
      const { event } = all;
      const [priority, line] = [LEVELS[level], JSON.stringify({ level, message, ...all })];
      if (typeof event !== "string" || tellEvent === undefined) write(`<${priority}>${line}`);
      else tellEvent({ event, priority, line, fields: all });
    };
  return {
    error: at("error"),
    warn: at("warn"),
    notice: at("notice"),
    info: at("info"),
    debug: at("debug"),
    with: (more) => createLog(write, { ...fields, ...more }, tellEvent),
  };
}
