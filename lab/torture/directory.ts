// What servers' CA directories say: the CRL all the while, everything in the end.

import { parseInventory } from "../../src/ca/inventory.ts";
import { wallMs } from "../../src/host/clock.ts";
import { serialHexOf } from "../../src/x509/certificate.ts";
import { parseCrls } from "../../src/x509/crl.ts";
import type { Cluster } from "../cluster.ts";
import { CA_DIRECTORY } from "../cluster/signings.ts";
import { lasting } from "../cluster/scenario.ts";
import type { LabHost } from "../host.ts";
import { hash, seenIn } from "./client.ts";
import type { CrlOnDisk, LastState } from "./history.ts";

const LOOK_EVERY_MS = 1000;

/** Reads one server's CA directory. */
export async function readLastState(server: LabHost): Promise<LastState> {
  // A power cut may leave a torn line; the whole one follows, or its serial is missed.
  const { lines } = parseInventory(await server.readFile(`${CA_DIRECTORY}/inventory.txt`));
  const files = await server.run(
    `cd ${CA_DIRECTORY}/signed; for f in *.pem; do echo "=$f"; cat "$f"; done`,
  );
  const signed = files.split(/^=/m).flatMap((part) => {
    const [file = "", ...pem] = part.split("\n");
    const seen = seenIn(pem.join("\n"));
    if (file !== "" && seen === undefined) throw new Error(`${server.name}: ${file} is none`);
    return seen === undefined ? [] : [[file.replace(/\.pem$/, ""), seen] as const];
  });
  const inventory = lines.map(({ serial, certname }) => ({
    serial: plain(serial),
    name: certname,
  }));
  return { server: server.fqdn, inventory, signed: new Map(signed), crl: await readCrl(server) };
}

async function readCrl(server: LabHost): Promise<LastState["crl"]> {
  const [own] = parseCrls(await server.readFile(`${CA_DIRECTORY}/ca_crl.pem`));
  if (own === undefined) throw new Error(`${server.name} has no CRL`);
  const serials = new Set(own.entries.map(({ serial }) => plain(serialHexOf(serial))));
  return { number: Number(own.number ?? 0), sha256: hash(own.der), serials };
}

/** Looks at every server's CRL about once a second until `stop`; one that is off has none. */
export function watchCrls(cluster: Cluster): { stop(): Promise<CrlOnDisk[]> } {
  const seen: CrlOnDisk[] = [];
  const stopping = new AbortController();
  const watch = async (server: LabHost) => {
    while (!stopping.signal.aborted) {
      const atMs = wallMs();
      const crl = (await server.isUp()) ? await readCrl(server).catch(() => undefined) : undefined;
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

/** A serial as Node's X509Certificate writes it, without leading zeros. */
function plain(serial: string): string {
  return serial.replace(/^0x/i, "").replace(/^0+/, "").toUpperCase();
}
