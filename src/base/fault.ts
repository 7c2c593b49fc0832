// The one error class. A Fault is what nobody here can go on from; expected outcomes are values.
// Its code is stable: docs/errors.md lists every one with its remedy, and a test compares the two.

/** A failure that an administrator may read: what happened, why, and what to do about it. */
export class Fault extends Error {
  /** Stable and dotted, folder first: "etcd.unreachable". Scripts match on it. */
  readonly code: string;
  /** Lines below the message: what it means, what to type. */
  readonly hints: readonly string[];

  constructor(code: string, message: string, options: { hints?: string[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "Fault";
    this.code = code;
    this.hints = options.hints ?? [];
  }
}

/**
 * Whether `error` is a Fault whose code is `code` or lies below it ("etcd" covers
 * "etcd.unreachable").
 */
export function isFault(error: unknown, code: string): error is Fault {
  return error instanceof Fault && (error.code === code || error.code.startsWith(`${code}.`));
}

/** The shortest honest text of anything thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message === "" ? error.name : error.message;
  return String(error);
}

/** The lines a command prints for `error`: code and message first, hints indented below. */
export function renderFault(error: unknown): string {
  if (!(error instanceof Fault)) return `error internal: ${messageOf(error)}`;
  const lines = [`error ${error.code}: ${error.message}`];
  for (const hint of error.hints) lines.push(`  ${hint}`);
  return lines.join("\n");
}
