// What administrators' tools ask for many at once, or for the authority itself: sign (8.4 and
// later), clean, CRLs of the CAs above ours. Codes and texts are Puppet Server's.

import { unconfirmed } from "./admin-routes.ts";
import { ADMIN_BODY_BYTES_MAX, ednVector, json, parseJsonObject, readBody } from "./http.ts";
import { text, tooLarge } from "./http.ts";
import type { Outcome, Result } from "./outcome.ts";
import type { Call, Route } from "./routes.ts";

export const bulkRoutes: Route[] = [
  { method: "POST", path: "sign", who: "admin", handle: signSome },
  { method: "POST", path: "sign/all", who: "admin", handle: signAll },
  { method: "PUT", path: "clean", who: "admin", handle: clean },
  { method: "PUT", path: "certificate_revocation_list", who: "admin", handle: putParentCrls },
];

async function signSome({ request, operations }: Call): Promise<Response> {
  const body = await readBody(request, ADMIN_BODY_BYTES_MAX);
  if (body === undefined) return tooLarge(ADMIN_BODY_BYTES_MAX);
  // As in Puppet Server: what is no JSON asks for nothing.
  const names: unknown = parseJsonObject(body)?.["certnames"] ?? [];
  if (isNames(names)) return signed(await operations.sign(names));
  return json(422, {
    kind: "schema-violation",
    submitted: names,
    error: "certnames must be a list of strings",
  });
}

async function signAll({ operations }: Call): Promise<Response> {
  return signed(await operations.signAll());
}

function signed({ results }: Outcome): Response {
  const namesOf = (matches: (result: Result) => boolean) =>
    results.filter(matches).map(({ name }) => name);
  return json(200, {
    signed: namesOf(({ ok }) => ok),
    "no-csr": namesOf(({ ok, why }) => !ok && why === "no-request"),
    "signing-errors": namesOf(({ ok, why }) => !ok && why !== "no-request"),
  });
}

async function clean({ request, operations }: Call): Promise<Response> {
  const body = await readBody(request, ADMIN_BODY_BYTES_MAX);
  if (body === undefined) return tooLarge(ADMIN_BODY_BYTES_MAX);
  const wish = parseJsonObject(body);
  if (wish === undefined) return text(400, "Request body is not JSON.");
  const names: unknown = wish["certnames"];
  if (!Array.isArray(names)) {
    return text(
      400,
      "Missing required key: 'certnames'. Please supply the list of certs you want to clean.",
    );
  }
  if (wish["async"] === true) return text(400, "Async mode is not currently supported.");
  if (!isNames(names)) return text(400, "'certnames' must be a list of strings.");
  const { results, edges } = await operations.clean(names);
  const missing = results.filter(({ ok }) => !ok).map(({ name }) => name);
  const open = unconfirmed(edges);
  const said =
    missing.length === 0
      ? "Successfully cleaned all certs."
      : `The following certs do not exist and cannot be revoked: ${ednVector(missing)}`;
  return text(200, open === "" ? said : `${said}\n${open}`);
}

async function putParentCrls({ request, operations }: Call): Promise<Response> {
  const body = await readBody(request, ADMIN_BODY_BYTES_MAX);
  if (body === undefined) return tooLarge(ADMIN_BODY_BYTES_MAX);
  const outcome = await operations.updateParentCrls(body);
  return outcome.ok ? text(200, "Successfully updated CRLs.") : text(400, outcome.because);
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}
