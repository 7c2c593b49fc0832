// Certificates of our own CAs as they are when half of their life is over, for the keys that a
// member has: so that renewal is seen on real doors without waiting for a year.

import { createPrivateKey } from "node:crypto";
import { wallMs } from "../../src/host/clock.ts";
import { issueLeaf, LEAVES, type LeafName } from "../../src/cluster/pki.ts";
import { leafFiles } from "../../src/cluster/pki-store.ts";
import { PATHS } from "../../src/host/paths.ts";
import { parseCertificate } from "../../src/x509/certificate.ts";
import { createRequest } from "../../src/x509/request.ts";
import type { LabHost } from "../host.ts";

const DAY_MS = 86_400_000;
/** Past half of two years, and past the days over which members' renewals are spread. */
const AGE_DAYS = 430;

/** Puts certificates of `leaves` on `member` that are 430 days old, signed with `server`'s CAs. */
export async function ageLeaves(
  member: LabHost,
  server: LabHost,
  leaves: readonly LeafName[],
): Promise<void> {
  for (const leaf of leaves) {
    const authority = LEAVES[leaf].authority;
    const ca = `${PATHS.authorities}/${authority}`;
    const [certificatePem, caKey, key] = await Promise.all([
      server.readFile(`${ca}.crt`),
      server.readFile(`${ca}.key`),
      member.readFile(leafFiles(leaf).key),
    ]);
    const who = { id: member.fqdn, address: member.address };
    const request = createRequest({ commonName: member.fqdn, key: createPrivateKey(key) });
    const issuer = { name: authority, certificatePem, key: createPrivateKey(caKey) };
    const { pem } = issueLeaf(issuer, leaf, who, request, wallMs() - AGE_DAYS * DAY_MS);
    await overwrite(member, leafFiles(leaf).certificate, pem);
    if (leaf === "edge") await overwrite(member, leafFiles(leaf).bundle, `${pem}${key}`);
  }
}

/** Days since the leaf on `member`'s disk was issued. */
export async function leafAgeDays(member: LabHost, leaf: LeafName): Promise<number> {
  return ageDays(await member.readFile(leafFiles(leaf).certificate));
}

/** Days since the certificate shown at `port` of `server` was issued; `how` goes to s_client. */
export async function shownAgeDays(server: LabHost, port: number, how = ""): Promise<number> {
  const ask = `openssl s_client -connect ${server.address}:${port} ${how} </dev/null 2>/dev/null`;
  // Doors that want a certificate end the handshake, but after they have shown theirs.
  return ageDays(await server.run(`${ask} | openssl x509`));
}

function ageDays(pem: string): number {
  return (wallMs() - parseCertificate(pem).notBefore) / DAY_MS;
}

/** Owner and mode stay. */
async function overwrite(host: LabHost, path: string, text: string): Promise<void> {
  await host.run(["bash", "-c", 'cat > "$1"', "overwrite", path], { input: text });
}
