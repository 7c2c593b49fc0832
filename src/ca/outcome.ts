// What an operation on the authority answers: what became of each name, and how far the change has
// come: on which servers it is kept, at which edges it holds.

import { Fault, messageOf } from "../base/fault.ts";
import type { Core } from "./core.ts";
import type { Serial } from "./serial.ts";

/** How many servers keep a durable copy of a change, and which. */
export interface Copies {
  copies: number;
  of: string[];
}

/** Which edges refuse the revoked serials now, and which couldn't say so. */
export interface EdgeReport {
  confirmed: string[];
  missing: { member: string; because: string }[];
}

export interface Result {
  name: string;
  ok: boolean;
  /** Empty when ok. */
  because: string;
  why?: "unknown" | "no-request" | "no-certificate" | "refused" | "failed";
  serial?: Serial;
}

export interface Outcome extends Copies {
  results: Result[];
  edges?: EdgeReport;
}

/** Who keeps the change of this revision (0: nothing was changed); where that can't be told, us. */
export async function copiesOf(core: Core, revision: number): Promise<Copies> {
  if (revision === 0) return alone(core);
  return core.deps.confirmCopies(revision).catch((error) => {
    const why = messageOf(error);
    core.deps.log.warn("whether a second server has the change is not known", { why });
    return alone(core);
  });
}

/** Only this server. */
export function alone({ deps }: Core): Copies {
  return { copies: 1, of: [deps.member] };
}

/** `error`, which ended a change of several, with how many it came too late for. */
export function afterSome(error: unknown, done: number, all: number, past: string): unknown {
  if (done === 0 || !(error instanceof Fault)) return error;
  const some = `${done} of ${all} were ${past} before that: look before you repeat it.`;
  return new Fault(error.code, error.message, { hints: [some, ...error.hints], cause: error });
}
