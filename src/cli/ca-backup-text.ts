// Backups and restores in words. Pure.

import type { Manifest } from "../ca/backup/manifest.ts";
import { RESTORE_JUMP } from "../ca/backup/restore-plan.ts";
import type { Restored } from "../ca/backup/restore.ts";
import { renderSerial, serialOf } from "../ca/serial.ts";

/** What a backup has, in a few words. */
export function renderCounts({ signed, requests, revoked }: Manifest): string {
  const counted: [number, string][] = [
    [signed, "signed certificate"],
    [requests, "request"],
    [revoked, "revocation"],
  ];
  return counted.map(([count, what]) => `${count} ${what}${count === 1 ? "" : "s"}`).join(", ");
}

/** A backup in lines for people. */
export function renderManifest(manifest: Manifest): string[] {
  const { issuer, crlNumber, serialNext, member, at, source, revision, rootKey } = manifest;
  const fields: [string, string][] = [
    ["CA", `${issuer.subject}, valid until ${issuer.notAfter}`],
    ["SHA-256", issuer.fingerprint],
    ["as of", `${at}, revision ${revision} of ${source === "etcd" ? "etcd" : `${member}'s copy`}`],
    ["made by", `${member} of ${manifest.settings.sharedName}`],
    ["next serial", renderSerial(serialOf(serialNext))],
    ["CRL", String(crlNumber)],
    ["root CA's key", rootKey ? "is in it" : "is not in it: it wasn't on that server"],
  ];
  return fields.map(([name, value]) => `  ${name.padEnd(14)} ${value}`);
}

/** What a restore has done, what it can't know, and what comes next. */
export function renderRestored({ manifest, cadir, movedTo, ...raised }: Restored): string {
  const next = renderSerial(serialOf(raised.serialNext));
  return [
    `${cadir}: restored as of ${manifest.at}, ${renderCounts(manifest)}.`,
    ...(movedTo === undefined ? [] : [`What was there is in ${movedTo}.`]),
    `Serials go on at ${next}, CRLs at ${raised.crlNumber}: ${RESTORE_JUMP} further than in the backup,`,
    "so that none comes twice.",
    "",
    "What was done after the backup is unknown here:",
    "  Certificates that were signed since stay valid, and are in no list.",
    "  One that must not: understudy ca revoke --serial SERIAL, after init.",
    "  Revocations since are gone: repeat them.",
    "",
    "No other server of the former cluster may ever run again with its CA. Next, on this one:",
    "",
    `  ${renderInit(manifest)}`,
  ].join("\n");
}

/** The command that makes a cluster which is the same for agents. */
function renderInit({ settings }: Manifest): string {
  const { sharedName, otherNames, virtualIps, acceptProxyFrom, isolatedEdge } = settings;
  return [
    `understudy init --name ${sharedName}`,
    ...otherNames.map((name) => `--alt-name ${name}`),
    ...virtualIps.map((vip) => `--vip ${vip}`),
    ...acceptProxyFrom.map((from) => `--accept-proxy ${from}`),
    ...(isolatedEdge === "serve" ? [] : [`--isolated-edge ${isolatedEdge}`]),
  ].join(" ");
}
