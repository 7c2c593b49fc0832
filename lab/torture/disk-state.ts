// What the files of a CA directory say, however they were read.

import { parseInventory } from "../../src/ca/inventory.ts";
import { serialHexOf } from "../../src/x509/certificate.ts";
import { parseCrls } from "../../src/x509/crl.ts";
import { hash, seenIn } from "./client.ts";
import type { LastState } from "./history.ts";

/** Texts of inventory.txt, of ca_crl.pem and of each file in signed/. */
export interface CaFiles {
  inventory: string;
  crl: string;
  signed: readonly { file: string; pem: string }[];
}

/** What `server`'s files say. Throws where one in signed/ is no certificate. */
export function stateOfFiles(server: string, { inventory, crl, signed }: CaFiles): LastState {
  // A power cut may leave a torn line; the whole one follows, or its serial is missed.
  const { lines } = parseInventory(inventory);
  const certificates = signed.map(({ file, pem }) => {
    const seen = seenIn(pem);
    if (seen === undefined) throw new Error(`${server}: ${file} is no certificate`);
    return [file.replace(/\.pem$/, ""), seen] as const;
  });
  return {
    server,
    inventory: lines.map(({ serial, certname: name }) => ({ serial: plain(serial), name })),
    signed: new Map(certificates),
    crl: stateOfCrl(crl),
  };
}

/** The CA's own CRL in the text of ca_crl.pem. */
export function stateOfCrl(pem: string): LastState["crl"] {
  const [own] = parseCrls(pem);
  if (own === undefined) throw new Error("there is no CRL");
  const serials = new Set(own.entries.map(({ serial }) => plain(serialHexOf(serial))));
  return { number: Number(own.number ?? 0), sha256: hash(own.der), serials };
}

/** A serial as Node's X509Certificate writes it, without leading zeros. */
function plain(serial: string): string {
  return serial.replace(/^0x/i, "").replace(/^0+/, "").toUpperCase();
}
