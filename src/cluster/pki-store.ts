// The cluster PKI on this server's disk: which file holds what, for whom it is readable.
// A key is made once and kept: an interrupted init or join finds it and goes on with it.

import type { KeyObject } from "node:crypto";
import { chmod, rm } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../base/fault.ts";
import { makeFolder, readIfThere, writeFileAtomic } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import type { Owner } from "../host/users.ts";
import { exportPkcs8, generateEcKey, readPrivateKey } from "../x509/keys.ts";
import { createRequest } from "../x509/request.ts";
import { AUTHORITIES, type AuthorityName, type ClusterAuthority, type LeafName } from "./pki.ts";

/** Who may read which folder. Root where nothing is given. */
export interface PkiOwners {
  etcd: Owner | undefined;
  puppet: Owner | undefined;
}

const FOLDERS: Record<LeafName, string> = {
  etcd: PATHS.etcdPki,
  control: PATHS.controlPki,
  edge: PATHS.edgePki,
  authority: PATHS.edgePki,
  listener: PATHS.listenerPki,
};

/** The files of a leaf. `bundle` is certificate and key in one, as HAProxy wants it. */
export function leafFiles(leaf: LeafName) {
  const folder = FOLDERS[leaf];
  return {
    folder,
    key: join(folder, `${leaf}.key`),
    certificate: join(folder, `${leaf}.crt`),
    bundle: join(folder, `${leaf}.pem`),
    ca: join(folder, "ca.crt"),
    crl: join(folder, "ca.crl"),
  };
}

/** Makes the folders, with the modes that keep each key from the others' users. */
export async function makePkiFolders(owners: PkiOwners): Promise<void> {
  await makeFolder(PATHS.state, { mode: 0o755 });
  await makeFolder(join(PATHS.state, "pki"), { mode: 0o755 });
  await makeFolder(PATHS.authorities, { mode: 0o700 });
  await makeFolder(PATHS.controlPki, { mode: 0o700 });
  await makeFolder(PATHS.edgePki, { mode: 0o700 });
  await makeFolder(PATHS.etcdPki, ownedBy(owners.etcd, 0o700));
  const puppet = owners.puppet && { uid: 0, gid: owners.puppet.gid };
  await makeFolder(PATHS.listenerPki, ownedBy(puppet, 0o750));
  for (const folder of [PATHS.authorities, PATHS.controlPki, PATHS.edgePki, PATHS.etcdPki]) {
    await chmod(folder, 0o700);
  }
  await chmod(PATHS.listenerPki, 0o750);
}

/** This member's request for `leaf`; makes the key at the first call. */
export async function leafRequest(leaf: LeafName, id: string, owners: PkiOwners): Promise<string> {
  const files = leafFiles(leaf);
  let key: KeyObject;
  const kept = await readIfThere(files.key);
  if (kept === undefined) {
    key = generateEcKey();
    await writeFileAtomic(files.key, exportPkcs8(key), fileMode(leaf, owners));
  } else {
    key = readPrivateKey(kept);
  }
  return createRequest({ commonName: id, key });
}

/** Keeps a leaf's certificate, its CA and, for `edge`, the bundle that HAProxy reads. */
export async function writeLeaf(
  leaf: LeafName,
  pem: { certificate: string; ca: string; crl: string },
  owners: PkiOwners,
): Promise<void> {
  const files = leafFiles(leaf);
  const key = await readIfThere(files.key);
  if (key === undefined) {
    throw new Fault("pki.key-missing", `${files.key} is gone, so its certificate is of no use`, {
      hints: ["Run the same command again: it makes a new key."],
    });
  }
  const mode = fileMode(leaf, owners);
  await writeFileAtomic(files.ca, pem.ca, mode);
  await writeFileAtomic(files.crl, pem.crl, mode);
  if (leaf === "edge") await writeFileAtomic(files.bundle, `${pem.certificate}${key}`, mode);
  await writeFileAtomic(files.certificate, pem.certificate, mode);
}

/** Puts a newer CRL of a leaf's CA in place. */
export async function writeLeafCrl(leaf: LeafName, crl: string, owners: PkiOwners): Promise<void> {
  await writeFileAtomic(leafFiles(leaf).crl, crl, fileMode(leaf, owners));
}

/** Certificate, key and CA of a leaf as TLS options take them. */
export async function readLeaf(
  leaf: LeafName,
): Promise<{ ca: string; cert: string; key: string; crl: string }> {
  const files = leafFiles(leaf);
  const [ca, cert, key, crl] = await Promise.all(
    [files.ca, files.certificate, files.key, files.crl].map(readIfThere),
  );
  if (ca === undefined || cert === undefined || key === undefined || crl === undefined) {
    throw new Fault("pki.incomplete", `${files.folder} lacks a part of the ${leaf} certificate`, {
      hints: ["Run init or join again with the same options: it finishes what is missing."],
    });
  }
  return { ca, cert, key, crl };
}

export async function writeAuthority(authority: ClusterAuthority): Promise<void> {
  const { key, certificate } = authorityFiles(authority.name);
  await writeFileAtomic(key, exportPkcs8(authority.key), { mode: 0o600 });
  await writeFileAtomic(certificate, authority.certificatePem, { mode: 0o644 });
}

/** One of our CAs with its key, or undefined where this member holds none. */
export async function readAuthority(name: AuthorityName): Promise<ClusterAuthority | undefined> {
  const files = authorityFiles(name);
  const [key, certificatePem] = [
    await readIfThere(files.key),
    await readIfThere(files.certificate),
  ];
  if (key === undefined || certificatePem === undefined) return undefined;
  return { name, certificatePem, key: readPrivateKey(key) };
}

/** All three, or Fault `pki.no-authorities`: only servers can sign for members. */
export async function requireAuthorities(): Promise<Record<AuthorityName, ClusterAuthority>> {
  const found: Partial<Record<AuthorityName, ClusterAuthority>> = {};
  for (const name of AUTHORITIES) {
    const authority = await readAuthority(name);
    if (authority === undefined) {
      throw new Fault("pki.no-authorities", `this member doesn't hold the key of the ${name} CA`, {
        hints: ["Ask a member of role server: understudy member list"],
      });
    }
    found[name] = authority;
  }
  return found as Record<AuthorityName, ClusterAuthority>;
}

/** Takes back the keys that leafRequest made. */
export async function removeLeafKeys(): Promise<void> {
  for (const leaf of Object.keys(FOLDERS) as LeafName[]) {
    await rm(leafFiles(leaf).key, { force: true });
  }
}

/** Takes every key of ours from this server: after it left, or before it joins anew. */
export async function removePki(): Promise<void> {
  await rm(join(PATHS.state, "pki"), { recursive: true, force: true });
}

function authorityFiles(name: AuthorityName): { key: string; certificate: string } {
  const base = join(PATHS.authorities, name);
  return { key: `${base}.key`, certificate: `${base}.crt` };
}

function fileMode(leaf: LeafName, owners: PkiOwners): { mode: number; owner?: Owner } {
  if (leaf === "etcd") return ownedBy(owners.etcd, 0o600);
  if (leaf === "listener" && owners.puppet) {
    return { mode: 0o640, owner: { uid: 0, gid: owners.puppet.gid } };
  }
  return { mode: 0o600 };
}

function ownedBy(owner: Owner | undefined, mode: number): { mode: number; owner?: Owner } {
  return owner === undefined ? { mode } : { mode, owner };
}
