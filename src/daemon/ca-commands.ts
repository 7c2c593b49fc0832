// What `understudy ca …` asks of this server's authority, in the shapes of the local API.

import type { CaCommands } from "../api/local-app.ts";
import { Fault } from "../base/fault.ts";
import { shareNext } from "../base/share-next.ts";
import type { Ca } from "../ca/authority.ts";
import { refuseEjected } from "../ca/ejected.ts";
import type { Outcome } from "../ca/outcome.ts";
import { serialFrom } from "../ca/show.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import type { CaCrls, CaOutcome } from "../setup/contract.ts";
import { parseCrls } from "../x509/crl.ts";

export function caCommands(ca: Ca): CaCommands {
  // A list of what was so would be taken for what is.
  const requireOurs = () => refuseEjected(ca.ejected());
  // It reads all of the record, and many may ask.
  const verify = shareNext(async () => ca.verify());
  return {
    list({ endsWithinS, ...query }) {
      requireOurs();
      const endsBeforeMs = endsWithinS === undefined ? undefined : wallMs() + endsWithinS * 1000;
      const found = ca.find({ ...query, endsBeforeMs });
      const entries = found.entries.map((entry) => ({
        name: entry.name,
        state: entry.state,
        fingerprint: entry.fingerprint,
        altNames: entry.subject_alt_names,
        extensions: entry.authorization_extensions,
        ...(entry.serial_number === undefined ? {} : { serial: serialText(entry.serial_number) }),
        ...(entry.not_after === undefined ? {} : { notAfter: entry.not_after }),
      }));
      return { entries, total: found.total };
    },
    show(what) {
      const shown = ca.show(what);
      if (shown.certificates.length > 0 || shown.request !== undefined) return shown;
      throw new Fault("ca.unknown-name", `there is no certificate and no request of "${what}"`, {
        hints: ["What there is: understudy ca list --all"],
      });
    },
    async verify() {
      requireOurs();
      return verify();
    },
    sign: async (names, all) => outcomeOf(all ? await ca.signAll() : await ca.sign(names)),
    revoke: async (names, serials) => {
      const read = serials.map((text) => serialFrom(text) ?? text);
      return outcomeOf(await ca.revoke({ names, serials: read }));
    },
    clean: async (names) => outcomeOf(await ca.clean(names, { requests: true })),
    generate: async (request) => ca.generate(request),
    crls() {
      requireOurs();
      return describeCrls(ca);
    },
    async refreshCrl() {
      const signed = await ca.refreshCrl(0);
      return { ...describeCrls(ca), signed };
    },
    async importCrls(pem) {
      const outcome = await ca.updateParentCrls(pem);
      if (outcome.ok && hasSome(outcome.pem, pem)) return describeCrls(ca);
      const because = outcome.ok ? "none is a newer one of a CA above ours" : outcome.because;
      throw new Fault("ca.crl-refused", because, {
        hints: ["Nothing was changed. Each CRL must be newer than the one that is there."],
      });
    },
  };
}

/** Whether one of the lists `given` is among `taken`: both PEM. */
function hasSome(taken: string, given: string): boolean {
  const there = parseCrls(taken);
  return parseCrls(given).some(({ der }) => there.some((crl) => crl.der.equals(der)));
}

function describeCrls(ca: Ca): CaCrls {
  const published = ca.currentCrl();
  const crls = published === undefined ? [] : parseCrls(published.pem);
  return {
    signed: false,
    crls: crls.map(({ issuerText, number, thisUpdateMs, nextUpdateMs, entries }) => ({
      issuer: issuerText,
      number: String(number ?? ""),
      thisUpdate: isoTime(thisUpdateMs),
      nextUpdate: nextUpdateMs === undefined ? "" : isoTime(nextUpdateMs),
      entries: entries.length,
    })),
  };
}

function outcomeOf(outcome: Outcome): CaOutcome {
  const { results, copies, of, edges } = outcome;
  return {
    copies,
    of,
    results: results.map(({ name, ok, because, serial }) => ({
      name,
      ok,
      because,
      ...(serial === undefined ? {} : { serial }),
    })),
    ...(edges === undefined ? {} : { edges }),
  };
}

function serialText(serial: number): string {
  return serial.toString(16).toUpperCase().padStart(4, "0");
}
