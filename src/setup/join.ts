// understudy join: a further member. The token's CA hash is checked before anything is sent; keys
// are made here and stay here; the CA's material comes last. Safe to interrupt: the same command
// goes on.

import { createPrivateKey } from "node:crypto";
import { Fault, isFault } from "../base/fault.ts";
import { createPeers, callAsJoiner } from "../cluster/peer.ts";
import { claimNodeFile, readNodeFile } from "../cluster/node-file.ts";
import {
  AUTHORITIES,
  authorityHash,
  type AuthorityName,
  LEAVES,
  LEAVES_OF_ROLE,
} from "../cluster/pki.ts";
import {
  leafFiles,
  leafRequest,
  makePkiFolders,
  readAuthority,
  readLeaf,
  removeLeafKeys,
  writeAuthority,
  writeLeaf,
} from "../cluster/pki-store.ts";
import { Backend, type NodeFile } from "../cluster/schema.ts";
import { unseal } from "../cluster/seal.ts";
import { parseToken, type Token } from "../cluster/token.ts";
import { writeAuthorityKey } from "../ca/create.ts";
import { exists, readIfThere } from "../host/files.ts";
import { wallMs } from "../host/clock.ts";
import { PORTS } from "../host/paths.ts";
import { readPrivateKey } from "../x509/keys.ts";
import { createRequest } from "../x509/request.ts";
import { VERSION } from "../version.ts";
import { decideJoin, type JoinBegun } from "./begun.ts";
import { behindTheEdge, hostKey, removeHostKey, writeHostFiles } from "./behind-the-edge.ts";
import {
  JOIN_KEYS_PATH,
  JOIN_START_PATH,
  JoinAnswer,
  JoinKeys,
  JoinKeysAnswer,
} from "./join-protocol.ts";
import { tellStopped } from "./give-back.ts";
import { fetchPinnedCa } from "./pinned-ca.ts";
import type { SetupHost } from "./setup-host.ts";
import type { Step } from "./steps.ts";

/** Admission issues several certificates and may wait for an election. */
const START_MS = 60_000;
/** Refusals that come before the cluster has bound the token or written anything. */
const REFUSED = ["token", "join.malformed", "join.clock", "join.name-taken", "join.address-taken"];

export interface JoinOptions {
  url: URL;
  token: string;
  id: string;
  address: string;
}

/** What the cluster said; `node` is this member's file as it is to be. */
export interface Admission {
  answer: JoinAnswer;
  node: NodeFile;
  token: Token;
}

/**
 * Looks at what is here before anything is sent: an interrupted join of the token's cluster goes
 * on, anything else that was begun or is whole is refused.
 */
export async function checkJoinable(
  id: string,
  token: Token,
): Promise<JoinBegun & { kept: NodeFile | undefined }> {
  const kept = await readNodeFile();
  const controlCa = await readIfThere(leafFiles("control").ca);
  const authority = await readAuthority("control");
  const left = {
    controlCa: controlCa && authorityHash(controlCa),
    authority: authority && authorityHash(authority.certificatePem),
  };
  return { kept, ...decideJoin(kept, left, { id, caHash: token.caHash }) };
}

/** Shows the token and gets this member's certificates. Writes nothing but keys made here. */
export async function askAdmission(options: JoinOptions, host: SetupHost): Promise<Admission> {
  const token = parseToken(options.token);
  const ca = await fetchPinnedCa(options.url, token.caHash);
  const undo = await undoKeys(host);
  await makePkiFolders(host.owners);
  const requests: Record<string, string> = {};
  for (const leaf of LEAVES_OF_ROLE[token.role]) {
    requests[leaf] = await leafRequest(leaf, options.id, host.owners);
  }
  const puppetRequest = createRequest({ commonName: options.id, key: await hostKey(host) });
  const { id: tokenId, secret } = token;
  const answer = await callAsJoiner(options.url, JOIN_START_PATH, {
    ca,
    answer: JoinAnswer,
    withinMs: START_MS,
    body: {
      token: { id: tokenId, secret },
      role: token.role,
      member: {
        id: options.id,
        address: options.address,
        version: VERSION,
        backends: [Backend.parse({ name: "puppetserver", port: PORTS.puppetserver })],
      },
      requests,
      puppetRequest,
      wallMs: wallMs(),
    },
  }).catch(async (error: unknown) => {
    // Keys stay where the token may be bound to them by now.
    if (REFUSED.some((code) => isFault(error, code))) await undo();
    throw error;
  });
  const node: NodeFile = {
    format: 1,
    clusterId: answer.meta.clusterId,
    generation: answer.meta.generation,
    id: options.id,
    role: token.role,
    address: options.address,
    sharedName: answer.settings.sharedName,
    phase: "setup",
    startedBy: "join",
    etcdEndpoints: answer.etcdEndpoints,
  };
  return { answer, node, token };
}

/** Gives what takes back the keys that a refused join made; those of an interrupted one stay. */
async function undoKeys(host: SetupHost): Promise<() => Promise<void>> {
  const hadPki = await exists(leafFiles("control").key);
  const hadHostKey = await exists(host.layout.hostprivkey);
  return async () => {
    if (!hadPki) await removeLeafKeys();
    if (!hadHostKey) await removeHostKey(host);
  };
}

/** The steps after admission, in order. */
export function joinSteps(options: JoinOptions, admission: Admission, host: SetupHost): Step[] {
  const { answer, node } = admission;
  const steps: Step[] = [
    {
      title: "certificates of this member",
      run: async () => {
        await writeCertificates(admission, host);
        if (answer.puppet !== undefined) await writeHostFiles(host, answer.puppet);
        await claimNodeFile(node);
        return undefined;
      },
    },
    ...(node.role === "server"
      ? [{ title: "keys of the certificate authority", run: () => fetchKeys(options.url, host) }]
      : []),
    ...behindTheEdge(node, host),
  ];
  const giveBack = async () => tellStopped(host.layout.puppetserver.unit);
  return steps.map((step) => ({ ...step, giveBack }));
}

async function writeCertificates(admission: Admission, host: SetupHost): Promise<void> {
  const { certificates, authorities } = admission.answer;
  for (const leaf of LEAVES_OF_ROLE[admission.token.role]) {
    const certificate = certificates[leaf];
    const authority = authorities[LEAVES[leaf].authority];
    if (certificate === undefined || authority === undefined) {
      throw new Fault("join.incomplete", `the cluster's answer lacks the ${leaf} certificate`, {
        hints: ["Bring both servers to the same version of Understudy, then join again."],
      });
    }
    await writeLeaf(
      leaf,
      { certificate, ca: authority.certificate, crl: authority.crl },
      host.owners,
    );
  }
}

async function fetchKeys(url: URL, host: SetupHost): Promise<undefined> {
  const own = await readLeaf("control");
  const peers = createPeers(() => own);
  try {
    const address = url.hostname.replace(/^\[|\]$/g, "");
    const { sealed } = await peers.call(address, JOIN_KEYS_PATH, {
      body: {},
      answer: JoinKeysAnswer,
    });
    const keys = JoinKeys.parse(JSON.parse(unseal(sealed, createPrivateKey(own.key))));
    for (const name of AUTHORITIES) await keepAuthority(name, keys);
    const { puppet } = host.owners;
    await writeAuthorityKey({
      cadir: host.layout.cadir,
      keyPem: keys.puppetKey,
      ...(puppet === undefined ? {} : { owner: puppet }),
    });
  } finally {
    peers.close();
  }
  return undefined;
}

async function keepAuthority(name: AuthorityName, keys: JoinKeys): Promise<void> {
  const material = keys.authorities[name];
  if (material === undefined) {
    throw new Fault("join.incomplete", `the cluster's answer lacks the key of the ${name} CA`);
  }
  const key = readPrivateKey(material.key);
  await writeAuthority({ name, certificatePem: material.certificate, key });
}
