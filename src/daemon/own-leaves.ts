// Renews this member's own certificates in time: a server signs its own, a compiler asks a server.
// The key stays; whoever serves or calls with the certificate is told, puppetserver by a reload.

import { readFile } from "node:fs/promises";
import { LeafRequest, LeafAnswer } from "../api/member-app.ts";
import { Fault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { issueAndRecordLeaf } from "../cluster/leaves.ts";
import { dueLeaves, leafWarnings, type OwnLeaf } from "../cluster/leaf-renewal.ts";
import type { Peers } from "../cluster/peer.ts";
import { LEAVES, LEAVES_OF_ROLE, type LeafName } from "../cluster/pki.ts";
import {
  leafFiles,
  leafRequest,
  type PkiOwners,
  readLeaf,
  requireAuthorities,
  writeLeaf,
} from "../cluster/pki-store.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { serversOf, type View } from "../cluster/view.ts";
import { rollUnderWay } from "../cluster/work.ts";
import type { Etcd } from "../etcd/types.ts";
import { wallMs } from "../host/clock.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { planMove } from "../setup/behind-the-edge.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { reloadInTurn } from "./puppetserver-reload.ts";

const SIGN_MS = 20_000;

export interface LeavesHost {
  node: NodeFile;
  layout: PuppetLayout;
  owners: PkiOwners;
  etcd: Etcd;
  peers: Peers;
  /** Whether certificates may be dated by this server's clock. */
  clockIsRight(): boolean;
  /** The files have changed: whoever uses them reads them anew. */
  onRenewed(leaves: LeafName[]): Promise<void>;
  /** Tells every edge, by the record, why this member's puppetserver gets no requests now. */
  takeOut(because: string): Promise<void>;
  /** Whether nothing runs in this member's puppetserver now. */
  isIdle(view: View): Promise<boolean>;
  log: Log;
}

export interface OwnLeaves {
  /** Renews what is due. Throws Fault `pki.no-signer`, and what signing throws. */
  tick(view: View): Promise<void>;
  warnings(): string[];
}

export function createOwnLeaves(host: LeavesHost): OwnLeaves {
  const { node, layout, log } = host;
  let leaves: OwnLeaf[] = [];
  let because = "";

  const readAll = () => Promise.all(LEAVES_OF_ROLE[node.role].map(readOwn));
  const renew = async (view: View) => {
    leaves = await readAll();
    const due = dueLeaves(leaves, node.id, wallMs());
    if (due.length > 0 && host.clockIsRight()) {
      for (const leaf of due) await renewLeaf(host, view, leaf);
      leaves = await readAll();
      log.notice(`renewed: ${due.join(", ")}`);
      await host.onRenewed(due);
    }
    // Told by times on disk, so a reload that was interrupted is made up for.
    const actions = await planMove(node, host);
    // Others' edits of puppetserver's files are no reason to keep an old certificate.
    const reload = actions.find((action) => action.do === "reload");
    // A roll restarts it, or another one while this one must serve.
    if (reload !== undefined && rollUnderWay(view.work) === undefined)
      await reloadInTurn(host, view, reload, layout.puppetserver.unit);
  };
  return {
    async tick(view) {
      try {
        await renew(view);
        because = "it will be renewed soon";
      } catch (error) {
        because = messageOf(error);
        throw error;
      }
    },
    warnings: () => leafWarnings(leaves, node.id, wallMs(), because),
  };
}

async function readOwn(leaf: LeafName): Promise<OwnLeaf> {
  const { notBefore, notAfter } = parseCertificate(
    await readFile(leafFiles(leaf).certificate, "utf8"),
  );
  return { leaf, notBefore, notAfter };
}

async function renewLeaf(host: LeavesHost, view: View, leaf: LeafName): Promise<void> {
  const request = await leafRequest(leaf, host.node.id, host.owners);
  const certificate =
    host.node.role === "server"
      ? await signLeaf(host.etcd, view, host.node.id, { leaf, request })
      : await askForLeaf(host, view, { leaf, request });
  const { ca, crl } = await readLeaf(leaf);
  await writeLeaf(leaf, { certificate, ca, crl }, host.owners);
}

/**
 * Signs a leaf for the member `id`, by its role and address in the record. Throws Fault
 * `pki.forbidden` where it may have no such leaf, or is none of ours.
 */
export async function signLeaf(
  etcd: Etcd,
  view: View,
  id: string,
  { leaf, request }: LeafRequest,
): Promise<string> {
  const member = view.members.find((each) => each.id === id && each.phase !== "leaving");
  const allowed: readonly LeafName[] = member === undefined ? [] : LEAVES_OF_ROLE[member.role];
  if (member === undefined || !allowed.includes(leaf)) {
    throw new Fault("pki.forbidden", `${id} may have no ${leaf} certificate`);
  }
  const authority = (await requireAuthorities())[LEAVES[leaf].authority];
  return issueAndRecordLeaf({ etcd, wallMs }, authority, leaf, member, request);
}

async function askForLeaf(host: LeavesHost, view: View, body: LeafRequest): Promise<string> {
  let because = "the cluster has no server";
  for (const server of serversOf(view)) {
    try {
      const options = { body, answer: LeafAnswer, withinMs: SIGN_MS };
      return (await host.peers.call(server.address, "/v1/leaves", options)).certificate;
    } catch (error) {
      because = `${server.id}: ${messageOf(error)}`;
    }
  }
  throw new Fault("pki.no-signer", `no server renews the ${body.leaf} certificate: ${because}`);
}
