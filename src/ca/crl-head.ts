// The newest CRL as memory can vouch for it. The next one is built from what memory has, so before
// anybody signs, memory must hold every entry of the newest. Danger: the newest may become another
// one while that is found out; what is returned is the one that was checked.

import { Fault } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import { monotonicMs } from "../host/clock.ts";
import { countEntries } from "./crl.ts";
import type { Mirror } from "./mirror.ts";
import { CRL_PREFIX, crlKey, REVOKED_PREFIX, type CrlValue } from "./record.ts";
import type { Store } from "./store.ts";

/** How long the watch gets to bring what another server revoked, in milliseconds. */
const WATCH_MS = 500;
const WATCH_POLL_MS = 10;
/** Looks at the newest CRL while other servers go on to the next. */
const LOOKS_MAX = 50;

export interface CrlHead {
  /** 0: there is no CRL yet. */
  number: number;
  /** The revision of the key that names it: what the next CRL compares. */
  revision: number;
  /**
   * Whether the record accounts for every entry that it had when it was signed. If not, it can
   * never be rebuilt, and only a next one is published again.
   */
  whole: boolean;
}

/**
 * The newest CRL, when memory has all that the record has of it. Throws Fault `ca.crl-mismatch`
 * when a revocation is there that this version can't read, `ca.busy`, `etcd.…`.
 */
export async function verifyHead(store: Store): Promise<CrlHead> {
  const { mirror } = store;
  await store.ensureLoaded();
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const head = headOf(mirror);
    const whole = head.number === 0 || (await complete(store, head.number));
    if (headOf(mirror).revision !== head.revision) continue;
    if (!whole) refuseUnreadable(mirror, head.number);
    return { ...head, whole };
  }
  throw new Fault("ca.busy", `other servers revoked ${LOOKS_MAX} times in between: try again`);
}

/** The CRL of this number; undefined when memory hasn't got it. */
export function crlOf({ tables }: Mirror, number: number): CrlValue | undefined {
  return tables.crls.get(crlKey(number).slice(CRL_PREFIX.length));
}

function headOf({ tables }: Mirror): { number: number; revision: number } {
  const { crlHead } = tables;
  return { number: crlHead.get("")?.number ?? 0, revision: crlHead.revisionOf("") };
}

/** Brings all entries of CRL `number` into memory; false when the record itself lacks some. */
async function complete(store: Store, number: number): Promise<boolean> {
  const { mirror } = store;
  if (crlOf(mirror, number) === undefined)
    await store.refresh([crlKey(number)], { forChange: true });
  const crl = crlOf(mirror, number);
  if (crl === undefined) return false;
  const lacking = () => crl.count - countEntries(crl, mirror.revocations());
  const end = monotonicMs() + WATCH_MS;
  // The watch usually brings them within milliseconds; reading all of them anew is for when it is
  // down.
  while (lacking() > 0 && monotonicMs() < end) await pause(WATCH_POLL_MS);
  if (lacking() > 0) await store.reload(REVOKED_PREFIX);
  return lacking() === 0;
}

/** A list made without an entry that is there, but can't be read, would let a certificate back in. */
function refuseUnreadable({ unreadable }: Mirror, number: number): void {
  const [key] = [...unreadable.keys()].filter((one) => one.startsWith(REVOKED_PREFIX));
  if (key === undefined) return;
  throw new Fault(
    "ca.crl-mismatch",
    `CRL ${number} has more entries than can be read here, ${key} is one that can't`,
    { hints: ["No CRL is signed on top of it by this server: bring it to the newest version."] },
  );
}
