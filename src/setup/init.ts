// understudy init: the first server of a cluster. Steps that find what is done and go on, so that
// an init that was interrupted anywhere is finished by running it again.

import { PATHS, UNITS } from "../host/paths.ts";
import { randomUUID } from "node:crypto";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { createAuthority } from "../ca/create.ts";
import { importAuthority } from "../ca/import.ts";
import { recordLeaf, revokeLeaves } from "../cluster/leaves.ts";
import { claimNodeFile, readNodeFile } from "../cluster/node-file.ts";
import { clearUnknownData, keepOwnMemberId, writeEtcdConfig } from "../cluster/own-etcd.ts";
import {
  AUTHORITIES,
  createAuthorityCa,
  issueLeaf,
  LEAVES,
  LEAVES_OF_ROLE,
  renderAuthorityCrl,
} from "../cluster/pki.ts";
import {
  leafFiles,
  leafRequest,
  makePkiFolders,
  readAuthority,
  readLeaf,
  requireAuthorities,
  writeAuthority,
  writeLeaf,
} from "../cluster/pki-store.ts";
import { createClusterRecord } from "../cluster/record.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { createEtcd } from "../etcd/client.ts";
import { clientUrl, peerUrl } from "../etcd/server.ts";
import type { Etcd } from "../etcd/types.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { exists } from "../host/files.ts";
import { isActive, unit } from "../host/systemd.ts";
import { VERSION } from "../version.ts";
import { refuseOther } from "./begun.ts";
import { edgeTakesAgents, FINISH, planMove, puppetserverStarts } from "./behind-the-edge.ts";
import { giveBackPuppetserver } from "./give-back.ts";
import { observeHostCertificate, otherNames } from "./host-certificate.ts";
import type { InitOptions } from "./init-plan.ts";
import { letAgentsIn, stopPuppetserver } from "./make-way.ts";
import { removedFault } from "./stand-down.ts";
import type { SetupHost } from "./setup-host.ts";
import type { Step } from "./steps.ts";
import { keepSurvey, renderSurvey } from "./takeover-report.ts";
import { virtualIpsHeld } from "./vip-held.ts";

const ETCD_READY_MS = 60_000;

/** The node file of this init: kept from an interrupted one with the same name, else new. */
export async function initNode(id: string, options: InitOptions): Promise<NodeFile> {
  const kept = await readNodeFile();
  if (kept !== undefined) return continueInit(kept, id, options);
  return {
    format: 1,
    clusterId: randomUUID(),
    generation: 1,
    id,
    role: "server",
    address: options.address,
    sharedName: options.sharedName,
    phase: "setup",
    startedBy: "init",
    etcdEndpoints: [clientUrl(options.address)],
  };
}

/** `kept`, where this init goes on with it. Throws Fault `setup.already-member`, `setup.address`. */
export function continueInit(kept: NodeFile, id: string, options: InitOptions): NodeFile {
  if (kept.phase === "removed") throw removedFault(kept);
  if (kept.phase === "setup") refuseOther(kept, "init");
  if (kept.phase === "ready" || kept.id !== id) throw alreadyMember(kept);
  if (kept.sharedName !== options.sharedName) {
    throw begun(kept, `--name ${kept.sharedName}`, "setup.already-member");
  }
  // Its certificates and its etcd have that address.
  if (kept.address !== options.address) {
    throw begun(kept, `--address ${kept.address}`, "setup.address");
  }
  return kept;
}

function alreadyMember(kept: NodeFile): Fault {
  return new Fault(
    "setup.already-member",
    `this server is ${kept.id} of ${kept.sharedName} already`,
    {
      hints: [
        "What is so: understudy status",
        "To add another server: understudy token create, which says what to run there",
      ],
    },
  );
}

/** An interrupted init was begun with `option`, and its repetition says something else. */
function begun(kept: NodeFile, option: string, code: string): Fault {
  return new Fault(code, `setup of this server was begun with ${option}, and isn't finished`, {
    hints: [
      `To finish it: understudy init --name ${kept.sharedName} --address ${kept.address}`,
      "To begin anew: apt-get remove understudy, which puts puppetserver back; then install it again",
    ],
  });
}

/** The steps of init, in order. */
export function initSteps(node: NodeFile, options: InitOptions, host: SetupHost): Step[] {
  let etcd: Etcd | undefined;
  const connect = async (): Promise<Etcd> => {
    if (etcd !== undefined) return etcd;
    const { ca, cert, key } = await readLeaf("etcd");
    etcd = createEtcd({ endpoints: node.etcdEndpoints, tls: { ca, cert, key } });
    return etcd;
  };
  const authority: Step = {
    title: "certificate authority",
    run: async (report) => takeAuthority(node, host, await connect(), report),
  };
  const names = [node.sharedName, ...options.altNames];
  const giveBack = async (report: (detail: string) => void) =>
    giveBackPuppetserver(node, host, connect, report);
  return [
    {
      title: "cluster certificates",
      run: async () => {
        // One that was killed may have left it.
        await letAgentsIn();
        await claimNodeFile(node);
        await makePkiFolders(host.owners);
        await makeOwnCertificates(node, host);
        return undefined;
      },
    },
    { title: "shared record (etcd)", run: async () => startFirstEtcd(node, host, await connect()) },
    {
      title: "cluster record",
      run: async () => {
        await writeFirstRecord(node, options, host, await connect());
        return undefined;
      },
    },
    // In these, puppetserver doesn't run.
    ...[authority, ...edgeTakesAgents(node, host, names)].map((step) => ({ ...step, giveBack })),
    puppetserverStarts(node, host),
    ...virtualIpsHeld(options.virtualIps),
    FINISH,
    {
      title: "done",
      run: async () => {
        etcd?.close();
        return undefined;
      },
    },
  ];
}

async function makeOwnCertificates(node: NodeFile, host: SetupHost): Promise<void> {
  for (const name of AUTHORITIES) {
    if ((await readAuthority(name)) === undefined) {
      await writeAuthority(createAuthorityCa(name, node.clusterId, wallMs()));
    }
  }
  const authorities = await requireAuthorities();
  for (const leaf of LEAVES_OF_ROLE.server) {
    if (await exists(leafFiles(leaf).certificate)) continue;
    const authority = authorities[LEAVES[leaf].authority];
    const request = await leafRequest(leaf, node.id, host.owners);
    const { pem } = issueLeaf(authority, leaf, node, request, wallMs());
    const crl = renderAuthorityCrl(authority, { number: 1, revoked: [] }, wallMs());
    await writeLeaf(leaf, { certificate: pem, ca: authority.certificatePem, crl }, host.owners);
  }
}

async function startFirstEtcd(
  node: NodeFile,
  host: SetupHost,
  etcd: Etcd,
): Promise<string | undefined> {
  const self = { ...node, owner: host.owners.etcd };
  const peers = [{ name: node.id, peerUrl: peerUrl(node.address) }];
  await clearUnknownData();
  await writeEtcdConfig(self, { state: "new", peers });
  await unit("enable", UNITS.etcd);
  await unit("start", UNITS.etcd);
  const url = peerUrl(node.address);
  const listed = async () => {
    const members = await etcd.members.list().catch(() => []);
    return members.find(({ peerUrls }) => peerUrls.includes(url));
  };
  const own = await until(`etcd answers, and lists ${url}`, listed, {
    withinMs: ETCD_READY_MS,
    everyMs: 200,
  });
  await keepOwnMemberId(own.id);
  return "one member";
}

async function writeFirstRecord(
  node: NodeFile,
  options: InitOptions,
  host: SetupHost,
  etcd: Etcd,
): Promise<void> {
  const now = isoTime(wallMs());
  await createClusterRecord(etcd, {
    meta: { format: 1, clusterId: node.clusterId, generation: node.generation, createdAt: now },
    settings: {
      sharedName: options.sharedName,
      otherNames: otherNames(await observeHostCertificate(host.layout), node, options.altNames),
      virtualIps: options.virtualIps,
      acceptProxyFrom: options.acceptProxyFrom,
      isolatedEdge: options.isolatedEdge,
      voters: 3,
    },
    member: {
      id: node.id,
      role: "server",
      address: node.address,
      phase: "joining",
      mayVote: true,
      backends: [],
      version: VERSION,
      joinedAt: now,
    },
  });
  const authorities = await requireAuthorities();
  for (const name of AUTHORITIES) await revokeLeaves(etcd, authorities[name], undefined, wallMs());
  for (const leaf of LEAVES_OF_ROLE.server) {
    const { cert } = await readLeaf(leaf);
    await recordLeaf({ etcd, wallMs }, LEAVES[leaf].authority, leaf, cert);
  }
}

async function takeAuthority(
  node: NodeFile,
  host: SetupHost,
  etcd: Etcd,
  report: (detail: string) => void,
): Promise<string> {
  const { cadir } = host.layout;
  const { puppet } = host.owners;
  const { created } = await createAuthority({
    cadir,
    caName: `Puppet CA: ${node.id}`,
    ...(puppet === undefined ? {} : { owner: puppet }),
  });
  for (const key of ["ca_key.pem", "root_key.pem"]) await closeKey(join(cadir, key));
  const take = async () => importAuthority({ etcd, cadir });
  const { unit: name } = host.layout.puppetserver;
  if ((await planMove(node, host)).length > 0) {
    // Most of it while agents are still served, so that they wait for the rest only.
    if (await isActive(name)) {
      const { signed } = await take();
      report(`${signed} certificates are in the record; puppetserver stops`);
    }
    await stopPuppetserver(name, report);
  }
  // A CA that still signed while it was read has issued what the record hasn't heard of.
  const taken = await take();
  if (created) return "new";
  if (taken.oddities.length > 0) {
    for (const line of renderSurvey(cadir, taken)) report(line);
  }
  report(await keepSurvey(PATHS.takeoverReport, cadir, taken));
  return `kept, ${taken.signed} signed, ${taken.requests} waiting`;
}

/** Stock lets group puppet read the CA's keys; the file server is in that group and must not. */
async function closeKey(path: string): Promise<void> {
  if (await exists(path)) await chmod(path, 0o600);
}
