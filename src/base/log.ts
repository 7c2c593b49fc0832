// Log lines for journald: one JSON object a line on standard error, behind an sd-daemon level
// prefix. journald is the collector; nothing here rotates, buffers or sends.

const LEVELS = { error: 3, warn: 4, notice: 5, info: 6, debug: 7 } as const;

export type LogLevel = keyof typeof LEVELS;
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

/** A log that hands finished lines, without newline, to `write`. */
export function createLog(write: (line: string) => void, fields: LogFields = {}): Log {
  const at =
    (level: LogLevel) =>
    (message: string, more: LogFields = {}) => {
      write(`<${LEVELS[level]}>${JSON.stringify({ level, message, ...fields, ...more })}`);
    };
  return {
    error: at("error"),
    warn: at("warn"),
    notice: at("notice"),
    info: at("info"),
    debug: at("debug"),
    with: (more) => createLog(write, { ...fields, ...more }),
  };
}
