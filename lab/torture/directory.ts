// What servers' CA directories say: the CRL all the while, everything in the end.

import { wallMs } from "../../src/host/clock.ts";
import type { Cluster } from "../cluster.ts";
import { CA_DIRECTORY } from "../cluster/signings.ts";
import { lasting } from "../cluster/scenario.ts";
import type { LabHost } from "../host.ts";
import { stateOfCrl, stateOfFiles } from "./disk-state.ts";
import type { CrlOnDisk, LastState } from "./history.ts";

const LOOK_EVERY_MS = 1000;

/** Reads one server's CA directory. */
export async function readLastState(server: LabHost): Promise<LastState> {
  const files = await server.run(
    `cd ${CA_DIRECTORY}/signed; for f in *.pem; do echo "=$f"; cat "$f"; done`,
  );
  const signed = files.split(/^=/m).flatMap((part) => {
    const [file = "", ...pem] = part.split("\n");
    return file === "" ? [] : [{ file, pem: pem.join("\n") }];
  });
  const inventory = await server.readFile(`${CA_DIRECTORY}/inventory.txt`);
  return stateOfFiles(server.fqdn, { inventory, signed, crl: await readCrl(server) });
}

/** The CRL in one server's CA directory. */
export async function readLastCrl(server: LabHost): Promise<LastState["crl"]> {
  return stateOfCrl(await readCrl(server));
}

async function readCrl(server: LabHost): Promise<string> {
  return server.readFile(`${CA_DIRECTORY}/ca_crl.pem`);
}

/** Looks at every server's CRL about once a second until `stop`; one that is off has none. */
export function watchCrls(cluster: Cluster): { stop(): Promise<CrlOnDisk[]> } {
  const seen: CrlOnDisk[] = [];
  const stopping = new AbortController();
  const watch = async (server: LabHost) => {
    while (!stopping.signal.aborted) {
      const atMs = wallMs();
      const crl = (await server.isUp())
        ? await readCrl(server).then(stateOfCrl, () => undefined)
        : undefined;
      if (crl !== undefined) {
        seen.push({ server: server.fqdn, atMs, number: crl.number, sha256: crl.sha256 });
      }
      await lasting(LOOK_EVERY_MS);
    }
  };
  const watching = Promise.all(cluster.servers.map(watch));
  return {
    async stop() {
      stopping.abort();
      await watching;
      return seen;
    },
  };
}
