// Watches what ends some day and has no loop of its own: the Puppet CA and its lists, this server's
// Puppet certificate, the cluster's own CAs, what the API shows and asks for. It only tells; each
// day anew in the log.

import type { Log } from "../base/log.ts";
import { messageOf } from "../base/fault.ts";
import { type Expiry, type ExpiryKind, expiryWarnings } from "../cluster/expiry.ts";
import { LEAVES_OF_ROLE } from "../cluster/pki.ts";
import { leafFiles } from "../cluster/pki-store.ts";
import { textsOf } from "../cluster/warning.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { isoTime } from "../host/clock.ts";
import { readIfThere } from "../host/files.ts";
import { parseCertificates } from "../x509/certificate.ts";

const DAY_MS = 86_400_000;

export interface ExpiryWatch {
  /** Looks at the files, and logs what is new or was last told a day ago. */
  tick(): Promise<void>;
  /** What this member knows of, as of the last look. */
  expiries(): Expiry[];
}

export interface ExpiryHost {
  node: Pick<NodeFile, "id" | "role">;
  /** This server's Puppet certificate. */
  hostcert: string;
  /** What the CA here knows of; nothing on members without one. */
  ofCa: () => Expiry[];
  /** Access tokens that end. */
  ofTokens: () => Expiry[];
  /** The certificate that the site brings for the API, if it does. */
  apiCertificate: () => string | undefined;
  wallMs: () => number;
  log: Log;
}

export function createExpiryWatch(host: ExpiryHost): ExpiryWatch {
  let own: Expiry[] = [];
  let told = new Map<string, number>();
  const expiries = () => [...host.ofCa(), ...host.ofTokens(), ...own];
  return {
    expiries,
    async tick() {
      own = [
        ...(await readEnds(host, "server-certificate", host.hostcert)),
        ...(await readClusterCas(host)),
        ...(await readApiCertificate(host)),
      ];
      const nowMs = host.wallMs();
      const all = [{ id: host.node.id, expiries: expiries() }];
      const warnings = textsOf(expiryWarnings(all, nowMs));
      const due = warnings.filter((text) => !(nowMs - (told.get(text) ?? -Infinity) < DAY_MS));
      for (const text of due) host.log.warn(text);
      // What is no longer so is forgotten, and told at once when it comes back.
      told = new Map(
        warnings.map((text) => [text, due.includes(text) ? nowMs : (told.get(text) ?? nowMs)]),
      );
    },
  };
}

async function readClusterCas(host: ExpiryHost): Promise<Expiry[]> {
  const paths = new Set(LEAVES_OF_ROLE[host.node.role].map((leaf) => leafFiles(leaf).ca));
  const found = await Promise.all([...paths].map((path) => readEnds(host, "cluster-ca", path)));
  return found.flat();
}

/** The first in the file is its own; what follows leads to a CA. */
async function readApiCertificate(host: ExpiryHost): Promise<Expiry[]> {
  const path = host.apiCertificate();
  return path === undefined ? [] : (await readEnds(host, "api-certificate", path)).slice(0, 1);
}

/** The certificates in a file; none where it isn't there. One that is broken others complain of. */
async function readEnds({ log }: ExpiryHost, kind: ExpiryKind, path: string): Promise<Expiry[]> {
  try {
    return parseCertificates((await readIfThere(path)) ?? "").map((each) => ({
      kind,
      what: kind === "cluster-ca" ? each.subjectText : path,
      from: isoTime(each.notBefore),
      to: isoTime(each.notAfter),
    }));
  } catch (error) {
    log.warn(`${path} can't be read: ${messageOf(error)}`);
    return [];
  }
}
