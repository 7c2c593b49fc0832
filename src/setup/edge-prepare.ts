// Before HAProxy starts: the newest revocations, so that a server that was away for a revocation
// doesn't let the revoked agent in. Whoever can't reach the record in time starts with what it has,
// or waits, as the cluster is set, and says so.

import { readFile } from "node:fs/promises";
import { Fault, messageOf } from "../base/fault.ts";
import { deadline } from "../base/retry.ts";
import { AUTHORITY_KEY, AuthorityValue, decodeValue, REVOKED_PREFIX } from "../ca/record.ts";
import { readPublishedCrl } from "../ca/crl.ts";
import { latestEjected } from "../ca/ejected.ts";
import { readHandedOver } from "../ca/handed-over.ts";
import { readIssuer } from "../ca/issuer.ts";
import { caLayout } from "../ca/layout.ts";
import { requireNodeFile } from "../cluster/node-file.ts";
import { readLeaf } from "../cluster/pki-store.ts";
import { readClusterRecord } from "../cluster/record.ts";
import type { Ejected, NodeFile } from "../cluster/schema.ts";
import { readKeptView, type View, voterEndpoints } from "../cluster/view.ts";
import { findCaDirectory } from "../edge/file-server.ts";
import { revocationKeys } from "../edge/identity.ts";
import { addRevokedToFile } from "../edge/revocations.ts";
import { createEtcd } from "../etcd/client.ts";
import type { Etcd } from "../etcd/types.ts";
import { exists } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import { readStockCrl } from "../puppetserver/stock-ca.ts";
import { parseCrl } from "../x509/crl.ts";
import { stockAuthority } from "../cluster/stock-authority.ts";
import { rememberRemoval, standDown, wasRemoved } from "./stand-down.ts";

/** How long agents wait for an edge that is alone. */
const ALONE_MS = 10_000;

/**
 * Ends with an error where the edge is to wait. The unit takes every failure so, crashes too, where
 * the cluster is set so; else HAProxy starts after any.
 */
export async function prepareEdge(): Promise<void> {
  const node = await requireNodeFile();
  if (node.phase === "removed") return refuseToStart();
  const view = await readKeptView();
  const { ca, cert, key } = await readLeaf("etcd");
  const endpoints = view === undefined ? [] : voterEndpoints(view, node.id);
  const etcd = createEtcd({
    endpoints: endpoints.length > 0 ? endpoints : node.etcdEndpoints,
    tls: { ca, cert, key },
  });
  const known = new AbortController();
  const removed =
    view === undefined
      ? false
      : readLeaf("control")
          .then(async (control) => wasRemoved(view, node.id, control, known.signal))
          .catch(() => false);
  let problem = "";
  try {
    const keys = await readRevocationKeys(etcd, ALONE_MS);
    await addRevokedToFile(PATHS.edge, keys);
    const { members, ejected: recorded } = await readEjection(etcd, view, ALONE_MS);
    const ejected = latestEjected(recorded, await readHandedOver(node.clusterId));
    if (ejected !== undefined) await addStockRevocations(node, { members }, ejected);
  } catch (error) {
    problem = messageOf(error);
  }
  try {
    const isolatedEdge = (await exists(PATHS.isolatedEdgeWaits)) ? "refuse" : "serve";
    const decision = decideStart({
      problem,
      removed: problem !== "" && (await removed),
      isolatedEdge,
    });
    if (decision.do === "stand-down") {
      await rememberRemoval().catch((error: unknown) => {
        process.stderr.write(`<3>that it was removed can't be written down: ${messageOf(error)}\n`);
      });
      return await refuseToStart();
    }
    process.stderr.write(`${decision.says}\n`);
    if (decision.do === "wait") process.exitCode = 1;
  } finally {
    etcd.close();
    // Agents wait for this process to end, and a silent member would keep it.
    known.abort();
  }
}

/** What becomes of an edge that is about to start. `says` begins with syslog's level. */
export type StartDecision =
  | { do: "start"; says: string }
  | { do: "wait"; says: string }
  | { do: "stand-down" };

/**
 * `problem`: why the newest revocations could not be had; empty when they could. `isolatedEdge` is
 * the cluster's setting, as this server last read it.
 */
export function decideStart(known: {
  problem: string;
  removed: boolean;
  isolatedEdge: "serve" | "refuse";
}): StartDecision {
  const { problem, removed, isolatedEdge } = known;
  if (problem === "") {
    return { do: "start", says: "<6>the edge starts with all revocations of the record" };
  }
  if (removed) return { do: "stand-down" };
  const because = `the newest revocations can't be taken in: ${problem}`;
  if (isolatedEdge === "serve") {
    return { do: "start", says: `<4>the edge starts with the revocations it has: ${because}` };
  }
  return {
    do: "wait",
    says: `<3>the edge takes no agents yet (isolated-edge: refuse), and tries again: ${because}`,
  };
}

/**
 * Whether the CA has ended, and who is a member: as the record says, for the view that was kept may
 * be of before that. A record that can't be understood must not keep an edge from starting: then
 * what was kept counts.
 */
export async function readEjection(
  etcd: Etcd,
  kept: Pick<View, "members" | "ejected"> | undefined,
  withinMs: number,
): Promise<Pick<View, "members" | "ejected">> {
  const record = await readClusterRecord(etcd, deadline(withinMs)).catch(() => undefined);
  if (record === undefined) return kept ?? { members: [] };
  const members = record.members.map(({ value }) => value);
  return { members, ejected: record.ejected?.value ?? kept?.ejected };
}

/** What stock's CA has revoked since it has the CA: nothing of that is in the record. */
async function addStockRevocations(
  node: NodeFile,
  view: Pick<View, "members">,
  ejected: Ejected,
): Promise<void> {
  const layout = caLayout(await findCaDirectory());
  const stock = stockAuthority(view, ejected);
  if (stock === undefined) return;
  const { ca, cert, key } = await readLeaf("edge");
  const access = { ...stock, serverName: stock.host, ca, cert, key };
  const pem =
    ejected.to === node.id
      ? await readFile(layout.crl)
      : await readStockCrl(access, deadline(ALONE_MS));
  const issuer = readIssuer(await readFile(layout.bundle));
  const crl = readPublishedCrl(pem, issuer);
  if (crl === undefined) throw new Fault("ca.crl-refused", "stock's CRL isn't the CA's");
  const serials = parseCrl(crl.der).entries.map(({ serial }) => serial.toString(16));
  await addRevokedToFile(PATHS.edge, revocationKeys(issuer.certificate.subjectText, serials));
}

async function refuseToStart(): Promise<void> {
  process.stderr.write("<3>this member was removed from its cluster: no edge is started\n");
  await standDown("edge");
}

/** The edge's keys of all revoked certificates, read from a quorum within `withinMs` in all. */
export async function readRevocationKeys(etcd: Etcd, withinMs: number): Promise<string[]> {
  const options = { withinMs, signal: deadline(withinMs) };
  const authority = await etcd.get(AUTHORITY_KEY, options);
  if (authority === undefined) return [];
  const { subject } = decodeValue(AuthorityValue, AUTHORITY_KEY, authority.value);
  const { kvs } = await etcd.range(REVOKED_PREFIX, { ...options, keysOnly: true });
  return revocationKeys(
    subject,
    kvs.map(({ key }) => key.slice(REVOKED_PREFIX.length)),
  );
}
