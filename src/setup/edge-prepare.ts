// Before HAProxy starts: the newest revocations, so that a server that was away for a revocation
// doesn't let the revoked agent in. Whoever can't reach the record in time starts with what it has,
// and says so.

import { messageOf } from "../base/fault.ts";
import { AUTHORITY_KEY, AuthorityValue, decodeValue, REVOKED_PREFIX } from "../ca/record.ts";
import { requireNodeFile } from "../cluster/node-file.ts";
import { readLeaf } from "../cluster/pki-store.ts";
import { readKeptView, voterEndpoints } from "../cluster/view.ts";
import { revocationKeys } from "../edge/identity.ts";
import { addRevokedToFile } from "../edge/revocations.ts";
import { createEtcd } from "../etcd/client.ts";
import type { Etcd } from "../etcd/types.ts";
import { PATHS } from "../host/paths.ts";
import { rememberRemoval, standDown, wasRemoved } from "./stand-down.ts";

/** How long agents wait for an edge that is alone. */
const ALONE_MS = 10_000;

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
  try {
    const keys = await readRevocationKeys(etcd);
    await addRevokedToFile(PATHS.edge, keys);
    process.stderr.write(`<6>the edge starts with all ${keys.length} revocations of the record\n`);
  } catch (error) {
    if (await removed) {
      await rememberRemoval();
      await refuseToStart();
      return;
    }
    process.stderr.write(
      `<4>the edge starts with the revocations it has: the record can't be read: ${messageOf(error)}\n`,
    );
  } finally {
    etcd.close();
    // Agents wait for this process to end, and a silent member would keep it.
    known.abort();
  }
}

async function refuseToStart(): Promise<void> {
  process.stderr.write("<3>this member was removed from its cluster: no edge is started\n");
  await standDown("edge");
}

/** The edge's keys of all revoked certificates, read from a quorum. */
async function readRevocationKeys(etcd: Etcd): Promise<string[]> {
  const options = { withinMs: ALONE_MS };
  const authority = await etcd.get(AUTHORITY_KEY, options);
  if (authority === undefined) return [];
  const { subject } = decodeValue(AuthorityValue, AUTHORITY_KEY, authority.value);
  const { kvs } = await etcd.range(REVOKED_PREFIX, { ...options, keysOnly: true });
  return revocationKeys(
    subject,
    kvs.map(({ key }) => key.slice(REVOKED_PREFIX.length)),
  );
}
