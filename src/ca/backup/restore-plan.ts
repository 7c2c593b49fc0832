// Whether a backup may be restored here, and how far its numbers are raised. Pure.
// Danger: the backup knows nothing of what was signed and revoked after it. A serial that is given
// twice can't be told apart by any CRL, so serials go on far above all that it knows of.

import { Fault } from "../../base/fault.ts";
import type { NodeFile } from "../../cluster/schema.ts";
import { createCrlAsync, crlPem } from "../../x509/crl.ts";
import { CLOCK_OFFSET_MAX_MS } from "../../cluster/clock.ts";
import { crlTimes } from "../clock.ts";
import type { DiskAuthority } from "../directory-state.ts";
import { SERIAL_MAX } from "../serial.ts";
import type { Manifest } from "./manifest.ts";

/**
 * How many certificates, and how many CRLs, may have been made after a backup. It costs a
 * two-thousandth of Puppet's serials.
 */
export const RESTORE_JUMP = 2 ** 20;

/** What is in the CA directory now. */
export type There =
  | { is: "nothing" }
  /** The same authority, whole. */
  | { is: "same" }
  | { is: "other"; what: string };

export interface RestoreFacts {
  folder: string;
  there: There;
  member: NodeFile | undefined;
  /** Puppetserver's unit while it runs or starts; undefined where it doesn't. */
  running: string | undefined;
  nowMs: number;
}

/** Throws Fault `ca.restore-refused` where none may be restored, whatever is in it. */
export function refuseHere({ member, running }: Pick<RestoreFacts, "member" | "running">): void {
  if (member !== undefined) {
    throw refused(`this server is ${member.id} of ${member.sharedName}`, [
      "A cluster that has a server left needs no restore: every server has the whole CA.",
      "To take this one out: understudy leave. The last one: apt-get remove understudy, which keeps",
      "  its CA directory.",
    ]);
  }
  if (running !== undefined) {
    throw refused(`${running} runs, and may sign`, [`Stop it first: systemctl stop ${running}`]);
  }
}

/** Throws the Fault that refuses it: `ca.restore-refused`, `ca.clock-off`. */
export function refuseRestore(facts: RestoreFacts, manifest: Manifest, replace: boolean): void {
  const { folder, there, nowMs } = facts;
  refuseHere(facts);
  if (there.is === "same") {
    throw refused(`${folder} has this CA already, whole`, [
      "Nothing needs to be restored: understudy init takes it over as it is.",
      "To go back to the backup all the same, move that directory away yourself. What it has and the",
      "  backup hasn't is unknown then.",
    ]);
  }
  if (there.is === "other" && !replace) {
    throw refused(`${folder} has ${there.what}`, [
      "With --replace it is moved aside, whole, and nothing of it is deleted.",
    ]);
  }
  const behindMs = Date.parse(manifest.at) - nowMs;
  if (behindMs <= CLOCK_OFFSET_MAX_MS) return;
  const seconds = Math.round(behindMs / 1000);
  throw new Fault("ca.clock-off", `this server's clock is ${seconds} s behind the backup's`, {
    hints: [
      "Nothing was changed: agents would refuse the CRL. Set the clock: timedatectl, chronyc makestep.",
    ],
  });
}

/** The numbers and the CRL with which the authority goes on. */
export interface Raised {
  serialNext: number;
  crlNumber: number;
  /** ca_crl.pem: the same entries, signed anew. */
  crlPem: string;
}

/** Raises them. Throws Fault `ca.serials-exhausted`. */
export async function raise(
  authority: DiskAuthority,
  manifest: Manifest,
  nowMs: number,
): Promise<Raised> {
  const serialNext = Math.max(manifest.serialNext, authority.next) + RESTORE_JUMP;
  if (serialNext > SERIAL_MAX) {
    throw new Fault("ca.serials-exhausted", `the next serial would be ${serialNext}`, {
      hints: ["Puppet Server reads none above 2^31. A new certificate authority is needed."],
    });
  }
  const { issuer, key, crls } = authority;
  const [own, ...parents] = crls;
  const crlNumber = Number(own.number ?? 0n) + RESTORE_JUMP;
  const before = { thisUpdate: new Date(own.thisUpdateMs).toISOString(), nextUpdate: "" };
  const { thisUpdate, nextUpdate } = crlTimes(nowMs, before, "alone");
  const { der } = await createCrlAsync({
    issuerDer: issuer.certificate.subjectDer,
    authorityKeyId: issuer.keyId,
    number: crlNumber,
    thisUpdateMs: Date.parse(thisUpdate),
    nextUpdateMs: Date.parse(nextUpdate),
    entries: own.entries,
    signingKey: key,
  });
  const pems = [der, ...parents.map((crl) => crl.der)].map(crlPem);
  return { serialNext, crlNumber, crlPem: pems.join("") };
}

function refused(why: string, hints: string[]): Fault {
  return new Fault("ca.restore-refused", `${why}: nothing was changed`, { hints });
}
