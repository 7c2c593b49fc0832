// What agents ask of the CA without having a certificate yet: certificates, the CRL, their request.
// Memory first. A miss asks the record itself, because an agent submits on one server and polls
// another milliseconds later; without etcd the CA directory has the last word.

import { Fault } from "../base/fault.ts";
import { printable } from "../base/printable.ts";
import { certificatePem } from "../x509/certificate.ts";
import { parseCrls } from "../x509/crl.ts";
import { isSameName } from "../x509/name.ts";
import type { Core } from "./core.ts";
import { readNamed } from "./directory.ts";
import { BODY_BYTES_MAX, json, notFound, readBody, text, tooLarge } from "./http.ts";
import { isCertname } from "./certname.ts";
import type { PublishedCrl } from "./crl.ts";
import { currentPem } from "./directory-jobs.ts";
import { renderPuppetTime } from "./inventory.ts";
import type { Call, Route } from "./routes.ts";
import { isUnreachable } from "./store.ts";

/**
 * Agents send as If-Modified-Since their own clock's time of their last attempt, which may lie
 * after a publication that they haven't seen. Only a list that is older by this much, and has been
 * here for as long (its date may be an older one's), is "not modified".
 */
const CRL_UNMODIFIED_AFTER_MS = 3 * 24 * 3600 * 1000;

/** Agents poll; without quorum a thousand of them must not wait for each other's misses. */
const POLL = { polling: true };

export const agentRoutes: Route[] = [
  { method: "GET", path: "certificate/*", who: "anyone", handle: getCertificate },
  { method: "GET", path: "certificate_revocation_list/*", who: "anyone", handle: getCrl },
  { method: "GET", path: "certificate_request/*", who: "anyone", handle: getRequest },
  { method: "PUT", path: "certificate_request/*", who: "anyone", handle: putRequest },
  { method: "POST", path: "certificate_renewal", who: "caller", handle: renewOwn },
  { method: "GET", path: "expirations", who: "caller", handle: getExpirations },
];

async function getCertificate({ core, operations, name }: Call): Promise<Response> {
  if (name === "ca") return pem(core.issuer().bundle);
  const found = await find(core, name, "signed", async () => {
    // Where a name may be given anew unasked, another server may have done so a moment ago.
    const mayBeOld = core.deps.settings().allowDuplicateCerts;
    const isMissing = currentPem(core.mirror, name) === undefined;
    if (mayBeOld || isMissing) await operations.lookUp([name], POLL);
    return currentPem(core.mirror, name);
  });
  return found === undefined ? text(404, `Could not find certificate ${name}`) : pem(found);
}

async function getRequest({ core, operations, name }: Call): Promise<Response> {
  const { requests } = core.mirror.tables;
  const found = await find(core, name, "requests", async () => {
    if (!requests.has(name)) await operations.lookUp([name], POLL);
    return requests.get(name)?.pem;
  });
  return found === undefined ? text(404, `Could not find certificate_request ${name}`) : pem(found);
}

async function putRequest({ core, operations, name, request }: Call): Promise<Response> {
  const body = await readBody(request, BODY_BYTES_MAX);
  if (body === undefined) return tooLarge(BODY_BYTES_MAX);
  const source = printable(request.headers.get("x-forwarded-for") ?? "").slice(0, 64);
  const { signal } = request;
  const wish = { pem: body, key: name, signal, ...(source && { source }) };
  const submitted = await operations.submit(wish);
  const why = submitted.outcome === "refused" ? submitted.because : "";
  core.deps.log.info(`request for ${name}: ${submitted.outcome}`, { source, why });
  if (submitted.outcome === "refused") return text(400, submitted.because);
  return new Response("", {
    status: 200,
    headers: { "Content-Type": "text/plain", "Content-Length": "0" },
  });
}

/** Of whoever holds the certificate that he comes with; Puppet 8's agents ask in its last month. */
async function renewOwn({ core, operations, caller }: Call): Promise<Response> {
  if (!core.deps.settings().allowAutoRenewal) return notFound();
  if (caller === undefined) return text(400, "No valid certificate found in renewal request");
  const renewed = await operations.renew(caller.certificate);
  const { certname } = caller;
  const why = renewed.ok ? "" : renewed.because;
  core.deps.log.info(`renewal for ${certname}: ${renewed.ok ? "signed" : "refused"}`, { why });
  return renewed.ok ? pem(certificatePem(renewed.der)) : text(403, why);
}

function getExpirations({ core }: Call): Response {
  const { certificates } = core.issuer();
  const crls = parseCrls(publishedCrl(core).pem);
  return json(200, {
    "ca-certs": Object.fromEntries(
      certificates.map((each) => [each.commonName ?? each.subjectText, puppetTime(each.notAfter)]),
    ),
    crls: Object.fromEntries(
      crls.map(({ issuerDer, issuerText, nextUpdateMs }) => {
        const issuer = certificates.find(({ subjectDer }) => isSameName(subjectDer, issuerDer));
        return [issuer?.commonName ?? issuerText, puppetTime(nextUpdateMs)];
      }),
    ),
  });
}

/** A CRL may have no end. */
function puppetTime(ms: number | undefined): string | null {
  return ms === undefined ? null : renderPuppetTime(ms);
}

function publishedCrl(core: Core): PublishedCrl {
  const crl = core.publisher.crl();
  if (crl !== undefined) return crl;
  throw new Fault("ca.no-crl", "this server has no CRL yet: ask another one");
}

function getCrl({ core, request }: Call): Response {
  const crl = publishedCrl(core);
  const since = Date.parse(request.headers.get("if-modified-since") ?? "");
  // NaN compares as false: absent and unreadable dates get the list.
  if (since > Math.max(crl.thisUpdateMs, core.publisher.sinceMs()) + CRL_UNMODIFIED_AFTER_MS) {
    return new Response(null, { status: 304, headers: { "Content-Type": "text/plain" } });
  }
  return pem(crl.pem);
}

/** What `ask` finds; when the record can't be asked, what the CA directory has. */
async function find(
  core: Core,
  name: string,
  kind: "signed" | "requests",
  ask: () => Promise<string | undefined>,
): Promise<string | undefined> {
  if (!isCertname(name)) return undefined;
  try {
    return await ask();
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    return readNamed(core.directory.layout, kind, name);
  }
}

/** Sends what lies in memory, not a copy: a CRL is large, and many agents may take it at once. */
function pem(body: string | Buffer): Response {
  const bytes = typeof body === "string" ? body : (body as Buffer<ArrayBuffer>);
  return new Response(bytes, { headers: { "Content-Type": "text/plain" } });
}
