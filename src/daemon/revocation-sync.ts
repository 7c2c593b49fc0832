// Keeps this server's edge in step with the CA's revocations. The idea: workers come and go, so new
// ones are told everything; else only what is new is confirmed, and while neither the CRL nor the
// workers changed there is nothing to do, however many revocations there are.

import { Fault } from "../base/fault.ts";
import { revocationKeys } from "../edge/identity.ts";

export interface RevocationSync {
  /** Has `workers` refuse all that is revoked. Throws Fault `edge.not-confirmed`. */
  sync(workers: string): Promise<void>;
  /** Every revocation of CRLs up to this number is refused. */
  confirmedCrl(): number;
}

export function createRevocationSync(
  ca: {
    currentCrl(): { number: number } | undefined;
    issuerText(): string;
    revocations(): readonly { serial: string }[];
  },
  refuse: (keys: readonly string[]) => Promise<{ confirmed: boolean; because: string }>,
): RevocationSync {
  let confirmed = { crl: 0, workers: "", keys: new Set<string>() };
  return {
    confirmedCrl: () => confirmed.crl,
    async sync(workers) {
      const crlNumber = ca.currentCrl()?.number ?? 0;
      const revocations = ca.revocations();
      // A number is published when all of it is known, but the list may run ahead of it.
      const same = confirmed.workers === workers && confirmed.keys.size === revocations.length;
      if (same && confirmed.crl === crlNumber) return;
      const serials = revocations.map(({ serial }) => serial);
      const all = revocationKeys(ca.issuerText(), serials);
      const known = confirmed.workers === workers ? confirmed.keys : new Set<string>();
      const fresh = all.filter((key) => !known.has(key));
      if (fresh.length > 0) {
        const outcome = await refuse(fresh);
        if (!outcome.confirmed) throw notConfirmed(outcome.because);
      }
      confirmed = { crl: crlNumber, workers, keys: new Set(all) };
    },
  };
}

function notConfirmed(because: string): Fault {
  return new Fault("edge.not-confirmed", `revocations aren't confirmed: ${because}`);
}
