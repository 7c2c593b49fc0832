// The CRL of a number, rebuilt from the record: the same bytes on every server, or none at all.
// Danger: publishing bytes whose hash isn't the record's would split the fleet's view of a number.

import { createHash } from "node:crypto";
import { Fault } from "../base/fault.ts";
import { assembleCrl, crlPem, parseCrls, verifyCrl, type CrlContent } from "../x509/crl.ts";
import type { Issuer } from "./issuer.ts";
import type { CrlValue } from "./record.ts";
import type { RevokedRow } from "./tables.ts";

/** A CRL ready to be published. */
export interface PublishedCrl {
  number: number;
  der: Buffer;
  /** The file: ours first, then those of the CAs above. */
  pem: Buffer;
  thisUpdateMs: number;
  nextUpdateMs: number;
  count: number;
}

/** Everything of a CRL that is known before it is signed. */
export function crlContent(
  issuer: Issuer,
  value: Pick<CrlValue, "number" | "thisUpdate" | "nextUpdate" | "withoutEndedBefore">,
  revocations: readonly RevokedRow[],
): CrlContent & { count: number } {
  const entries = selectEntries(value, revocations);
  return {
    issuerDer: issuer.certificate.subjectDer,
    authorityKeyId: issuer.keyId,
    number: value.number,
    thisUpdateMs: Date.parse(value.thisUpdate),
    nextUpdateMs: Date.parse(value.nextUpdate),
    // One piece: a call with a hundred thousand arguments would overflow the stack.
    entries: entries.length === 0 ? [] : [Buffer.concat(entries)],
    count: entries.length,
  };
}

/**
 * The CRL that the record describes. Throws Fault `ca.crl-mismatch` when its bytes aren't those
 * that were signed: then a revocation is missing here, or one was changed.
 */
export function rebuildCrl(
  issuer: Issuer,
  value: CrlValue,
  revocations: readonly RevokedRow[],
  parentCrls: string,
): PublishedCrl {
  const { count, ...content } = crlContent(issuer, value, revocations);
  const signature = Buffer.from(value.signature, "base64");
  const der = assembleCrl({ ...content, signature });
  const sha256 = createHash("sha256").update(der).digest("hex");
  if (sha256 !== value.sha256 || count !== value.count) {
    throw new Fault(
      "ca.crl-mismatch",
      `CRL ${value.number} comes out with ${count} entries and sha256 ${sha256}, ` +
        `the record has ${value.count} and ${value.sha256}`,
      { hints: ["It is not published, the previous one stays. Look at the record's ca/revoked/."] },
    );
  }
  return publishable(value.number, der, content, count, parentCrls);
}

/**
 * Our CRL in a ca_crl.pem, for a server that has nothing but its directory. Undefined: it has none.
 */
export function readPublishedCrl(pem: Buffer, issuer: Issuer): PublishedCrl | undefined {
  const crl = parseCrls(pem).find((one) => verifyCrl(one, issuer.publicKey));
  if (crl?.number === undefined) return undefined;
  return {
    number: Number(crl.number),
    der: crl.der,
    pem,
    thisUpdateMs: crl.thisUpdateMs,
    nextUpdateMs: crl.nextUpdateMs ?? crl.thisUpdateMs,
    count: crl.entries.length,
  };
}

/** How many of `revocations` the CRL that `value` describes has. */
export function countEntries(
  value: Pick<CrlValue, "number" | "withoutEndedBefore">,
  revocations: readonly RevokedRow[],
): number {
  return selectEntries(value, revocations).length;
}

function publishable(
  number: number,
  der: Buffer,
  { thisUpdateMs, nextUpdateMs }: CrlContent,
  count: number,
  parentCrls: string,
): PublishedCrl {
  return {
    number,
    der,
    pem: Buffer.from(crlPem(der) + parentCrls),
    thisUpdateMs,
    nextUpdateMs,
    count,
  };
}

function selectEntries(
  { number, withoutEndedBefore }: Pick<CrlValue, "number" | "withoutEndedBefore">,
  revocations: readonly RevokedRow[],
): Buffer[] {
  const endedBefore = withoutEndedBefore === undefined ? -Infinity : Date.parse(withoutEndedBefore);
  return revocations
    .filter((row) => row.number <= number && !((row.notAfterMs ?? Infinity) < endedBefore))
    .map(({ entry }) => entry);
}
