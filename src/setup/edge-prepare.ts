// Before HAProxy starts: the newest revocations, so that a server that was away for a revocation doesn't
// let the revoked agent in. Whoever can't reach the record in time starts with what it has, and says so.

import { messageOf } from "../base/fault.ts";
import { readRevocationKeys } from "../ca/revocation-keys.ts";
import { requireNodeFile } from "../cluster/node-file.ts";
import { readLeaf } from "../cluster/pki-store.ts";
import { readKeptView, voterEndpoints } from "../cluster/view.ts";
import { addRevokedToFile } from "../edge/revocations.ts";
import { createEtcd } from "../etcd/client.ts";
import { PATHS } from "../host/paths.ts";

/** How long agents wait for an edge that is alone (design: 10 s). */
const ALONE_MS = 10_000;

export async function prepareEdge(): Promise<void> {
  const node = await requireNodeFile();
  const view = await readKeptView();
  const { ca, cert, key } = await readLeaf("etcd");
  const endpoints = view === undefined ? [] : voterEndpoints(view, node.id);
  const etcd = createEtcd({
    endpoints: endpoints.length > 0 ? endpoints : node.etcdEndpoints,
    tls: { ca, cert, key },
  });
  try {
    const keys = await readRevocationKeys(etcd, { withinMs: ALONE_MS });
    await addRevokedToFile(PATHS.edge, keys);
    process.stderr.write(`<6>the edge starts with ${keys.length} revocations from the record\n`);
  } catch (error) {
    process.stderr.write(
      `<4>the edge starts with the revocations it has: the record can't be read: ${messageOf(error)}\n`,
    );
  } finally {
    etcd.close();
  }
}
