// CRLs of the CAs above ours, as somebody who keeps those CAs brings them (PUT
// certificate_revocation_list). Agents check the whole chain: a list of a parent's that has ended,
// or is nobody's, ends all their TLS, so each is verified before it takes the place of another.

import { Fault, messageOf } from "../base/fault.ts";
import { printable } from "../base/printable.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { type Certificate, subjectKeyId } from "../x509/certificate.ts";
import { type Crl, crlPem, parseCrls, verifyCrl } from "../x509/crl.ts";
import { isSameName } from "../x509/name.ts";
import { OID } from "../x509/oids.ts";
import type { Issuer } from "./issuer.ts";
import type { Touched } from "./mirror.ts";
import { AUTHORITY_KEY, encodeValue } from "./record.ts";
import { unchanged, type Store } from "./store.ts";

/** Agents refuse a list whose beginning is further ahead than this, milliseconds. */
const AHEAD_MS_MAX = 300_000;
const TRIES_MAX = 20;
/** With any other one that is critical OpenSSL, and every agent with it, takes no certificate. */
const CRITICAL_KNOWN = new Set<string>([OID.authorityKeyIdentifier, OID.issuingDistributionPoint]);

export type ParentCrls = { ok: true; pem: string } | { ok: false; because: string };

/** What of `submitted` (PEM) is newer than the record's, committed. Throws Fault `etcd.…`. */
export async function replaceParentCrls(
  store: Store,
  submitted: string,
): Promise<{ outcome: ParentCrls; revision: number; touched?: Touched }> {
  const { authority } = store.mirror.tables;
  await store.ensureLoaded();
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const row = authority.get("");
    if (row === undefined) throw new Fault("ca.no-record", "the record has no CA");
    const { issuer, ...value } = row;
    const outcome = mergeParentCrls({ issuer, present: row.parentCrls, submitted }, wallMs());
    if (!outcome.ok || outcome.pem === row.parentCrls) return { outcome, revision: 0 };
    const next = { ...value, parentCrls: outcome.pem, parentCrlsAt: isoTime(wallMs()) };
    const done = await store.commit({
      when: [unchanged(AUTHORITY_KEY, authority.revisionOf(""))],
      then: [{ put: AUTHORITY_KEY, value: encodeValue(next) }],
      settle: { key: AUTHORITY_KEY, value: encodeValue(next) },
    });
    if (done.ok) return { outcome, revision: done.revision, touched: done.touched };
  }
  throw new Fault("ca.busy", "the CRLs of the CAs above changed in between: try again");
}

/**
 * The parents' CRLs with those of `submitted` that are newer, in the order that they had. Ours, and
 * those of strangers, are passed over, as in Puppet Server. Refusals have its texts.
 */
export function mergeParentCrls(
  { issuer, present, submitted }: { issuer: Issuer; present: string; submitted: string },
  nowMs: number,
): ParentCrls {
  let fresh: Crl[];
  try {
    fresh = parseCrls(submitted);
  } catch (error) {
    return invalid(printable(messageOf(error)));
  }
  if (fresh.length === 0) return refuse("No valid CRLs submitted.");
  if (fresh.some(isDelta)) return refuse("Cannot support delta CRL.");
  if (fresh.some(({ authorityKeyId }) => authorityKeyId === undefined)) {
    return refuse("One or more submitted CRLs do not have an authority key identifier.");
  }
  const lists = present === "" ? [] : parseCrls(present);
  for (const parent of issuer.certificates.slice(1)) {
    const isOf = ({ authorityKeyId }: Crl) =>
      authorityKeyId !== undefined && subjectKeyId(parent)?.equals(authorityKeyId) === true;
    const at = lists.findIndex(isOf);
    const candidates = [...lists.filter(isOf), ...fresh.filter(isOf)];
    const newest = newestOf(candidates);
    if (newest === "undecided") return refuse("Could not determine newest CRL.");
    if (newest === undefined || newest === lists[at]) continue;
    const wrong = refuseList(newest, parent, issuer, nowMs);
    if (wrong !== undefined) return invalid(wrong);
    lists.splice(at < 0 ? lists.length : at, at < 0 ? 0 : 1, newest);
  }
  return { ok: true, pem: lists.map(({ der }) => crlPem(der)).join("") };
}

/** The one with the highest number; of the same bytes the first. */
function newestOf(candidates: readonly Crl[]): Crl | "undecided" | undefined {
  const highest = candidates.reduce((max, { number = -1n }) => (number > max ? number : max), -1n);
  const [newest, ...others] = candidates.filter(({ number = -1n }) => number === highest);
  const differs = others.some(({ der }) => newest?.der.equals(der) !== true);
  return differs ? "undecided" : newest;
}

function refuseList(
  crl: Crl,
  parent: Certificate,
  { certificates }: Issuer,
  nowMs: number,
): string | undefined {
  const whose = `the CRL of ${parent.subjectText}`;
  if (!isSameName(crl.issuerDer, parent.subjectDer) || !verifyCrl(crl, parent.spkiDer)) {
    return `${whose} isn't signed by it`;
  }
  if (crl.thisUpdateMs > nowMs + AHEAD_MS_MAX) return `${whose} isn't in force yet`;
  if ((crl.nextUpdateMs ?? Infinity) <= nowMs) return `${whose} has ended`;
  const odd = crl.extensions.find(({ oid, critical }) => critical && !CRITICAL_KNOWN.has(oid));
  if (odd !== undefined)
    return `${whose} has a critical extension that agents don't know: ${odd.oid}`;
  const revoked = certificates.find(
    ({ issuerDer, serial }) =>
      isSameName(issuerDer, crl.issuerDer) && crl.entries.some((entry) => entry.serial === serial),
  );
  return revoked && `${whose} revokes ${revoked.subjectText}, which the authority signs by`;
}

function isDelta({ extensions }: Crl): boolean {
  return extensions.some(({ oid }) => oid === OID.deltaCrlIndicator);
}

function invalid(detail: string): ParentCrls {
  return refuse(`Invalid certs and/or CRLs: ${detail}`);
}

function refuse(because: string): ParentCrls {
  return { ok: false, because };
}
