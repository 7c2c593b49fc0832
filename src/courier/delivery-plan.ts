// What of a spool goes to a PuppetDB next, and what its answers mean. Pure. The idea: one command
// of a certname at a time and in order, since PuppetDB parks what overtakes; of facts and catalogs
// only the newest, since PuppetDB drops the others.

import type { CommandHead, CommandKind } from "./command.ts";
import type { Entry, Newest } from "./spool.ts";

/** Kinds of which a newer one makes an older one void. */
const REPLACED: ReadonlySet<CommandKind> = new Set(["catalog", "facts", "inputs"]);

export interface DeliveryState {
  /** The next commands of the spool, in order. */
  window: readonly Entry[];
  isDone: (seq: number) => boolean;
  /** Certnames of which one is on its way. */
  busy: ReadonlySet<string>;
  /** How many more may be sent now. */
  free: number;
  newestOf: (kind: CommandKind, certname: string) => Newest | undefined;
  /** When a node was deleted, milliseconds since the epoch. */
  deletedAt: (certname: string) => number | undefined;
}

/** `skip`: nobody needs them any more; `send`: in this order. */
export function planDelivery(state: DeliveryState): { skip: Entry[]; send: Entry[] } {
  const waits = new Set(state.busy);
  const skip: Entry[] = [];
  const send: Entry[] = [];
  for (const entry of state.window) {
    const { seq, head } = entry;
    if (state.isDone(seq)) continue;
    if (waits.has(head.certname)) continue;
    if (isReplaced(entry, state) || isOfDeleted(entry.head, state.deletedAt)) {
      skip.push(entry);
      continue;
    }
    waits.add(head.certname);
    if (send.length < state.free) send.push(entry);
  }
  return { skip, send };
}

function isReplaced({ seq, head }: Entry, { newestOf }: DeliveryState): boolean {
  if (!REPLACED.has(head.kind)) return false;
  const newest = newestOf(head.kind, head.certname);
  return newest !== undefined && newest.seq > seq && newest.producerMs >= head.producerMs;
}

/** Whether a command would bring back what was deleted after it was made. */
export function isOfDeleted(
  { kind, certname, producerMs }: CommandHead,
  deletedAt: DeliveryState["deletedAt"],
): boolean {
  return kind !== "deletion" && producerMs <= (deletedAt(certname) ?? -Infinity);
}

/** What came of sending a command. Status 0: no answer. */
export interface DeliveryAnswer {
  status: number;
  body: string;
}

/**
 * `done`; `later`: the PuppetDB takes nothing now; `again`: this command failed, others may not;
 * `dead`: it never will.
 */
export type Verdict = { is: "done" | "later" | "again" | "dead"; because: string };

/** How often a command that PuppetDB fails at is tried before it is put aside. */
const TRIES_MAX = 8;

/** Judges an answer to the `tries`th attempt (1: the first). */
export function judgeAnswer({ status, body }: DeliveryAnswer, tries: number): Verdict {
  const said = body.slice(0, 300).trim();
  if (status >= 200 && status < 300) return { is: "done", because: "" };
  if (status === 0) return { is: "later", because: said };
  if (status === 403 || status === 429) return { is: "later", because: `${status}: ${said}` };
  if (status < 500) return { is: "dead", because: `${status}: ${said}` };
  // This form is of secondsToWaitForCompletion: it has tried the command itself.
  const tried = /"processed"\s*:/.test(body);
  if (status === 503 && !tried) return { is: "later", because: `503: ${said}` };
  const because = /"timed_out"\s*:\s*true/.test(body)
    ? "PuppetDB did not say in time whether it could store it"
    : said;
  return { is: tries >= TRIES_MAX ? "dead" : "again", because };
}
