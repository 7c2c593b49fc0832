// Keeps this server's Puppet certificate in force, and good for every name that agents may call a
// server by: a name that is added later comes into it by itself. The key stays, and so does the
// former certificate's validity. HAProxy takes the new one by a reload that breaks no connection.

import { readFile } from "node:fs/promises";
import type { Ca } from "../ca/authority.ts";
import type { Log } from "../base/log.ts";
import type { PkiOwners } from "../cluster/pki-store.ts";
import { namesOfServer, type NodeFile, type Settings } from "../cluster/schema.ts";
import { wallMs } from "../host/clock.ts";
import { readIfThere, writeFileAtomic } from "../host/files.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { lackingNames } from "../setup/host-certificate.ts";
import { type Certificate, parseCertificate, subjectAltNames } from "../x509/certificate.ts";
import { readPrivateKey } from "../x509/keys.ts";
import { createRequest } from "../x509/request.ts";
import { signMember } from "./ca.ts";

/** A certificate that ends sooner is signed anew; of a short life, one that has half of it left. */
const RENEW_MS = 120 * 86_400_000;

export interface HostCertificateHost {
  node: NodeFile;
  layout: PuppetLayout;
  owners: PkiOwners;
  log: Log;
}

/** Whether it is time for the next one. */
export function isDue({ notBefore, notAfter }: Certificate, nowMs: number): boolean {
  return notAfter - nowMs < Math.min(RENEW_MS, (notAfter - notBefore) / 2);
}

/** Keeps and renews the certificate in Puppet's own ssl folder. */
export function createHostCertificate(host: HostCertificateHost, ca: Ca) {
  const { node, layout, owners, log } = host;
  /** What was signed for last: a name that doesn't come out as it went in is not tried for ever. */
  let signedFor = "";

  const reissue = async (settings: Settings): Promise<void> => {
    const key = readPrivateKey(await readFile(layout.hostprivkey, "utf8"));
    const altNames = namesOfServer(settings, node.id);
    const pem = createRequest({ commonName: node.id, key });
    const { certificate } = await signMember(ca, layout, { pem, id: node.id, altNames });
    const owner = owners.puppet === undefined ? {} : { owner: owners.puppet };
    await writeFileAtomic(layout.hostcert, certificate, { mode: 0o644, ...owner });
    signedFor = altNames.join(" ");
    log.notice(`this server's Puppet certificate is signed anew: ${altNames.join(", ")}`);
  };
  return {
    /** Signs the certificate anew, whatever it has. */
    reissue,
    /**
     * Signs it anew where it lacks a name or ends soon; the first one is setup's to make. Returns
     * whether it did.
     */
    async keep(settings: Settings): Promise<boolean> {
      const text = await readIfThere(layout.hostcert);
      if (text === undefined) return false;
      const wanted = namesOfServer(settings, node.id);
      const certificate = parseCertificate(text);
      const altNames = subjectAltNames(certificate).map(({ value }) => value);
      const lacks = lackingNames(altNames, wanted);
      if (lacks.includes(settings.sharedName)) return false;
      const isNew = lacks.length > 0 && signedFor !== wanted.join(" ");
      if (!isNew && !isDue(certificate, wallMs())) return false;
      await reissue(settings);
      return true;
    },
  };
}

export type HostCertificate = ReturnType<typeof createHostCertificate>;
