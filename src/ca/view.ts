// Certificates and requests as puppet-ca/v1 shows them (certificate_status), also for our own list.
// One record that can't be read never hides the others: it is shown with what is known.

import { extensionsIn, extensionText, subjectAltNames } from "../x509/certificate.ts";
import type { Extension } from "../x509/extensions.ts";
import { fingerprints } from "../x509/fingerprint.ts";
import { isUnder, OID, puppetShortName } from "../x509/oids.ts";
import { parseRequest } from "../x509/request.ts";
import { matchesGlob } from "./glob.ts";
import { renderPuppetTime } from "./inventory.ts";
import type { Mirror } from "./mirror.ts";
import { inBackground } from "./pieces.ts";
import type { CertRow, RequestRow } from "./tables.ts";

export type CertState = "requested" | "signed" | "revoked";

/** The object of certificate_status; times and serial only for certificates. */
export interface CertStatus {
  name: string;
  state: CertState;
  dns_alt_names: string[];
  subject_alt_names: string[];
  authorization_extensions: Record<string, string>;
  fingerprint: string;
  fingerprints: Record<string, string>;
  serial_number?: number;
  not_before?: string;
  not_after?: string;
}

type Content = Omit<CertStatus, "name" | "state">;

/** What there is for `name`: its certificate, else its request, else undefined. */
export function statusOf(mirror: Mirror, name: string): CertStatus | undefined {
  return certificateStatus(mirror, name) ?? requestStatus(mirror, name);
}

/**
 * Everything of these states: requests first, then certificates. A name with both is in it twice.
 */
export function allStatuses(mirror: Mirror, state?: CertState): CertStatus[] {
  const texts = [...statusTexts(mirror, state)];
  return texts.map((text) => JSON.parse(text.toString()) as CertStatus);
}

/**
 * The same in JSON, one after the other, since all of a large fleet's take a while and much memory.
 * What changes meanwhile may be in it as it was or as it is.
 */
export function* statusTexts(mirror: Mirror, state?: CertState): Generator<Buffer> {
  const { requests, names, revoked } = mirror.tables;
  // As of now: a name that goes and comes back meanwhile must not be in it twice.
  const [asking, having] = [[...requests.names()], [...names.names()]];
  if (state === undefined || state === "requested") {
    for (const name of asking) {
      const status = requestStatus(mirror, name);
      if (status !== undefined) yield Buffer.from(JSON.stringify(status));
    }
  }
  if (state === "requested") return;
  const textOf = mirror.textReader(restOf);
  for (const name of having) {
    const row = currentOf(mirror, name);
    if (row === undefined) continue;
    const its: CertState = revoked.has(row.serial) ? "revoked" : "signed";
    if ((state ?? its) !== its) continue;
    const changing = JSON.stringify({ name, state: its }).replace(/}$/, ",");
    yield Buffer.concat([Buffer.from(changing), textOf(row)]);
  }
}

/** Of a certificate's text what never changes: all but name and state, which come first. */
function restOf(row: CertRow): string {
  return JSON.stringify(certificateContent(row)).slice(1);
}

/** Makes the texts of all, so that the first who asks for them doesn't wait for that. */
export async function prepareStatuses(mirror: Mirror, onEach?: () => void): Promise<void> {
  await inBackground(async (next) => {
    for (const name of mirror.tables.names.names()) {
      await next();
      onEach?.();
      const row = currentOf(mirror, name);
      if (row !== undefined) mirror.keepText(row, restOf);
    }
  });
}

/** What a list is asked for; what is left out doesn't matter. */
export interface ListFilter {
  state?: CertState | undefined;
  /** As a shell matches names: `*` and `?`. */
  pattern?: string | undefined;
  /** Only certificates that end before this, milliseconds since the epoch. */
  endsBeforeMs?: number | undefined;
  limit?: number | undefined;
}

/**
 * Requests, then certificates that `filter` lets through, by name, and how many there are. Only
 * what is given is read: a page costs what a page costs, however many there are.
 */
export function listStatuses(
  mirror: Mirror,
  filter: ListFilter,
): { entries: CertStatus[]; total: number } {
  const { requests, names, certs, revoked } = mirror.tables;
  const { state, endsBeforeMs = Infinity, limit = Infinity } = filter;
  const matches = (name: string) => matchesGlob(filter.pattern ?? "*", name);
  const isWanted = (name: string) => {
    const row = certs.get(names.get(name)?.serial ?? "");
    if (row === undefined || row.notAfterMs >= endsBeforeMs) return false;
    return state === undefined || (state === "revoked") === revoked.has(row.serial);
  };
  const waiting = endsBeforeMs === Infinity && (state === undefined || state === "requested");
  const found = [
    ...(waiting ? [...requests.names()].filter(matches).sort() : []).map((name) => ({
      name,
      read: requestStatus,
    })),
    ...(state === "requested" ? [] : [...names.names()])
      .filter((name) => matches(name) && isWanted(name))
      .sort()
      .map((name) => ({ name, read: certificateStatus })),
  ];
  const entries = found.slice(0, limit).flatMap(({ name, read }) => some(read(mirror, name)));
  return { entries, total: found.length };
}

/** Whether `text` is one of the states that a list can be asked for. */
export function isCertState(text: string | undefined): text is CertState {
  return text === "requested" || text === "signed" || text === "revoked";
}

function currentOf({ tables }: Mirror, name: string): CertRow | undefined {
  const serial = tables.names.get(name)?.serial;
  return serial === undefined ? undefined : tables.certs.get(serial);
}

function certificateStatus(mirror: Mirror, name: string): CertStatus | undefined {
  const row = currentOf(mirror, name);
  if (row === undefined) return undefined;
  const state = mirror.tables.revoked.has(row.serial) ? "revoked" : "signed";
  return { name, state, ...certificateContent(row) };
}

export function requestStatus({ tables }: Mirror, name: string): CertStatus | undefined {
  const row = tables.requests.get(name);
  if (row === undefined) return undefined;
  return { name, state: "requested", ...requestContent(row) };
}

export function certificateContent(row: CertRow): Content {
  const der = row.der ?? Buffer.alloc(0);
  return {
    ...describe(der, () => extensionsIn(der)),
    serial_number: Number.parseInt(row.serial, 16),
    not_before: renderPuppetTime(row.notBeforeMs),
    not_after: renderPuppetTime(row.notAfterMs),
  };
}

function requestContent(row: RequestRow): Content {
  try {
    const request = parseRequest(row.pem);
    return describe(request.der, () => request.requestedExtensions);
  } catch {
    return describe(Buffer.from(row.pem), () => []);
  }
}

function describe(der: Buffer, read: () => readonly Extension[]): Content {
  const content: Content = {
    dns_alt_names: [],
    subject_alt_names: [],
    authorization_extensions: {},
    fingerprint: "",
    fingerprints: fingerprints(der),
  };
  content.fingerprint = content.fingerprints["SHA256"] ?? "";
  try {
    const extensions = read();
    const altNames = subjectAltNames({ extensions });
    const of = (type: "IP" | "DNS") =>
      altNames.filter((name) => name.type === type).map(({ value }) => `${type}:${value}`);
    content.dns_alt_names = of("DNS");
    content.subject_alt_names = [...of("IP"), ...of("DNS")];
    for (const extension of extensions) {
      if (!isUnder(extension.oid, OID.ppAuthCertExt)) continue;
      const name = puppetShortName(extension.oid) ?? extension.oid;
      content.authorization_extensions[name] = extensionText(extension);
    }
  } catch {
    // What could be read stands; the fingerprints name it.
  }
  return content;
}

function some<T>(value: T | undefined): T[] {
  return value === undefined ? [] : [value];
}
