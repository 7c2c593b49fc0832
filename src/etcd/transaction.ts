// Compared transactions and the truth about lost answers. The idea: a write that was sent but not
// answered is never repeated as if it were new; the key that it puts tells whether it happened.
//
// Why repeating is then sound: the caller promises that `then` makes `when` false (it puts a key
// that was compared as absent, or as being at one revision). So of two copies at most one applies,
// also when the first one only wakes up in a stopped member's socket long after the second.

import { Fault } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import { monotonicMs } from "../host/clock.ts";
import { ask, call, WITHIN_MS_DEFAULT, type Client } from "./call.ts";
import type { CallOptions, KeyValue, Settle, Txn, TxnResult } from "./types.ts";
import { decodePage, decodeTxn, encode, encodeTxn, onlyReads } from "./wire.ts";

/** How many later writes of the settle key are looked behind for ours. */
const LATER_WRITES_MAX = 16;
const SETTLE_PAUSE_MS = 100;
/** Any key will do to learn whether a member can still agree with the others. */
const PROBE_KEY = "health";

/** A client that remembers the newest revision it has seen, and which member told it last. */
export interface RevisionClient extends Client {
  newestRevision: number;
  newestFrom: string;
}

/** Remembers what a member's answer says of how far that member has come. */
export function noteRevision(client: RevisionClient, endpoint: string, revision: number): void {
  if (revision < client.newestRevision) return;
  client.newestRevision = revision;
  client.newestFrom = endpoint;
}

/** Sends the transaction; see Etcd.transact. */
export async function transact(
  client: RevisionClient,
  txn: Txn,
  options: CallOptions & { settle?: Settle } = {},
): Promise<TxnResult> {
  const { settle, signal } = options;
  if (settle !== undefined) checkSettle(txn, settle);
  const repeatable = onlyReads(txn);
  const end = monotonicMs() + (options.withinMs ?? WITHIN_MS_DEFAULT);
  const left = () => ({ withinMs: Math.max(1, end - monotonicMs()), ...(signal && { signal }) });
  const request = { path: "/v3/kv/txn", body: encodeTxn(txn), repeatable };
  // Without a way to settle, being impatient with a slow disk would only turn it into an unknown.
  const patience = settle === undefined && !repeatable ? { silenceMs: left().withinMs } : {};
  // Sent to a member without quorum, a change would end in doubt; a read tells, and does nothing.
  if (!repeatable && client.endpoints.doubtful())
    await readAt(client, PROBE_KEY, undefined, left());
  const since = client.newestRevision;
  let doubt: string | undefined;
  for (;;) {
    const result = await call(client, { ...request, ...patience }, left()).catch((error) => {
      throw doubt === undefined ? error : unknownOutcome(doubt, error);
    });
    if (result.got === "answer") {
      const answer = decodeTxn(result.body);
      noteRevision(client, result.endpoint, answer.revision);
      // A repeat fails its compares when the first copy was applied after all.
      if (answer.ok || doubt === undefined || settle === undefined) return answer;
      return (await findSettled(client, settle, since, doubt, left())) ?? answer;
    }
    doubt = result.why;
    if (settle === undefined || signal?.aborted === true) throw unknownOutcome(doubt);
    const settled = await findSettled(client, settle, since, doubt, left());
    if (settled !== undefined) return settled;
    if (monotonicMs() >= end) throw unknownOutcome(doubt);
    await pause(SETTLE_PAUSE_MS, signal);
  }
}

/**
 * The transaction's result if the record shows that it was applied, undefined if it shows it
 * wasn't.
 */
async function findSettled(
  client: RevisionClient,
  settle: Settle,
  since: number,
  doubt: string,
  options: CallOptions,
): Promise<TxnResult | undefined> {
  try {
    let kv = await readAt(client, settle.key, undefined, options);
    for (let behind = 0; behind <= LATER_WRITES_MAX; behind += 1) {
      if (kv?.value === settle.value) {
        return { ok: true, revision: kv.modRevision, reads: [], settled: true };
      }
      if (kv === undefined) {
        // At a past revision an absent key may hide an older life of it that ended meanwhile.
        if (behind === 0) return undefined;
        break;
      }
      if (kv.modRevision <= since || kv.version === 1) return undefined;
      kv = await readAt(client, settle.key, kv.modRevision - 1, options);
    }
  } catch (error) {
    throw unknownOutcome(doubt, error);
  }
  throw unknownOutcome(`${doubt}; ${settle.key} has been rewritten since`);
}

async function readAt(
  client: RevisionClient,
  key: string,
  revision: number | undefined,
  options: CallOptions,
): Promise<KeyValue | undefined> {
  const past = revision === undefined ? {} : { revision: String(revision) };
  const body = { key: encode(key), ...past };
  const answer = await ask(client, { path: "/v3/kv/range", body }, options);
  const page = decodePage(answer.body);
  noteRevision(client, answer.endpoint, page.revision);
  return page.kvs[0];
}

function checkSettle(txn: Txn, settle: Settle): void {
  const puts = txn.then.some(
    (op) => "put" in op && op.put === settle.key && op.value === settle.value,
  );
  if (!puts || txn.when.length === 0) {
    throw new Fault(
      "etcd.settle",
      `a transaction can only be settled by what it puts under a compare: ${settle.key}`,
    );
  }
}

function unknownOutcome(why: string, cause?: unknown): Fault {
  return new Fault("etcd.outcome-unknown", "etcd did not say whether the change was made", {
    hints: [why, "It may have been made, or may yet be. Look before you repeat it."],
    ...(cause === undefined ? {} : { cause }),
  });
}
