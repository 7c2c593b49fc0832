// The claims about the certificate authority, beside stock puppetserver's own.

import type { Bench, Stand } from "./bench.ts";
import type { FleetPlan } from "./ca/directory.ts";
import { enrolment, enrolmentOfThree } from "./ca/enrolment.ts";
import { revocation, revocations } from "./ca/revocation.ts";
import { type CaSite, openOurs, openStock } from "./ca/site.ts";
import { start } from "./ca/start.ts";
import { statuses } from "./ca/statuses.ts";

/** 20,000 certificates in force; 50,000 former ones are revoked and gone. */
const GROWN: FleetPlan = { certificates: 20_000, revoked: 50_000, cleaned: true, keyBits: 4096 };
/** A key of 2048 bits, or making them would take minutes; nothing here depends on it. */
const LARGE: FleetPlan = { certificates: 100_000, revoked: 50_000, cleaned: false, keyBits: 2048 };

/** Stock's and our CA, first a new one, then one with many certificates. */
export function caBench(): Bench {
  const enrolling = enrolment();
  const grown = [statuses(), revocation()];
  const stands: Stand<CaSite>[] = [
    {
      about: "Stock puppetserver with a CA of its own",
      kind: "baseline",
      groups: [enrolling],
      open: (options) => openStock(options, undefined),
    },
    {
      about: "Stock puppetserver with 20,000 certificates and 50,000 revocations",
      kind: "baseline",
      groups: grown,
      open: (options) => openStock(options, GROWN),
    },
    {
      about: "Understudy on one server",
      kind: "understudy",
      groups: [enrolling],
      open: (options) => openOurs(options, 1, undefined),
    },
    {
      about: "Understudy on three servers with 20,000 certificates and 50,000 revocations",
      kind: "understudy",
      groups: [...grown, enrolmentOfThree()],
      open: (options) => openOurs(options, 3, GROWN),
    },
    {
      about: "Understudy on one server with 100,000 certificates, 50,000 of them revoked",
      kind: "understudy",
      groups: [start(), revocations()],
      open: (options) => openOurs(options, 1, LARGE),
    },
  ];
  return {
    name: "ca",
    about: "the certificate authority, beside stock puppetserver's",
    stands,
  };
}
