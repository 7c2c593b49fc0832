// The certificate authority. Whoever revokes can shut a server out, so that is an admin's; what
// skips the CA's policy or needs files of a server is root's.

import { Fault } from "../../base/fault.ts";
import {
  CaCertificate,
  CaCrls,
  CaList,
  CaNames,
  CaOutcome,
  CaPem,
  CaQuery,
  CaShown,
  CaVerified,
} from "../../setup/contract.ts";
import type { CaCommands, LocalDeps } from "../local-app.ts";
import { route } from "../route.ts";

/** How many entries a list has over the network unless more are asked for, and at most. */
const LISTED = 1000;
const LISTED_MAX = 10_000;

export const caRoutes = [
  route({
    method: "GET",
    path: "/v1/ca",
    offer: "viewer",
    summary: "requests and certificates, as this server's authority has them",
    query: CaQuery,
    bound: (query) => ({ ...query, limit: Math.min(query.limit ?? LISTED, LISTED_MAX) }),
    answer: CaList,
    run: (deps, { query }) => authority(deps).list(query),
  }),
  route({
    method: "GET",
    path: "/v1/ca/show/:what",
    offer: "viewer",
    summary: "all that there is of a name, or of a serial",
    answer: CaShown,
    run: (deps, { params }) => authority(deps).show(params.what),
  }),
  route({
    method: "GET",
    path: "/v1/ca/crl",
    offer: "viewer",
    summary: "the revocation lists that agents get",
    answer: CaCrls,
    run: (deps) => authority(deps).crls(),
  }),
  route({
    method: "GET",
    path: "/v1/ca/verify",
    offer: "viewer",
    summary: "whether the record and this server's CA directory fit",
    answer: CaVerified,
    run: async (deps) => authority(deps).verify(),
  }),
  route({
    method: "POST",
    path: "/v1/ca/crl/refresh",
    offer: "operator",
    summary: "sign a new revocation list, whatever the age of the newest",
    answer: CaCrls,
    run: async (deps) => authority(deps).refreshCrl(),
  }),
  route({
    method: "POST",
    path: "/v1/ca/crl/import",
    offer: "root",
    summary: "take newer revocation lists of the CAs above in",
    body: CaPem,
    answer: CaCrls,
    run: async (deps, { body }) => authority(deps).importCrls(body.pem),
  }),
  route({
    method: "POST",
    path: "/v1/ca/generate",
    offer: "root",
    summary: "sign the request of a command at once",
    body: CaPem,
    answer: CaCertificate,
    run: async (deps, { body }) => authority(deps).generate(body.pem),
  }),
  route({
    method: "POST",
    path: "/v1/ca/sign",
    offer: "operator",
    summary: "sign requests that wait",
    body: CaNames,
    answer: CaOutcome,
    about: ({ body }) => (body.all ? "all that wait" : named(body.names)),
    run: async (deps, { body }) => authority(deps).sign(body.names, body.all),
  }),
  route({
    method: "POST",
    path: "/v1/ca/revoke",
    offer: "admin",
    summary: "revoke certificates, by name or serial; answers when every edge was asked",
    body: CaNames,
    answer: CaOutcome,
    about: ({ body }) => named([...body.names, ...body.serials]),
    run: async (deps, { body }) => authority(deps).revoke(body.names, body.serials),
  }),
  route({
    method: "POST",
    path: "/v1/ca/clean",
    offer: "admin",
    summary: "revoke certificates, and delete them and their requests",
    body: CaNames,
    answer: CaOutcome,
    about: ({ body }) => named(body.names),
    run: async (deps, { body }) => authority(deps).clean(body.names),
  }),
];

function authority(deps: LocalDeps): CaCommands {
  if (deps.ca !== undefined) return deps.ca;
  throw new Fault("ca.not-here", "this member holds no certificate authority: it is no server", {
    hints: ["Ask a member of role server: understudy member list"],
  });
}

/** How many names an audit line has. */
const NAMES_SHOWN_MAX = 10;

function named(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN_MAX;
  const shown = names.slice(0, NAMES_SHOWN_MAX).join(" ");
  return more > 0 ? `${shown} and ${more} more` : shown;
}
