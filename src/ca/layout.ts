// Where things are in an ordinary Puppet CA directory, and their modes: stock's but for the keys,
// which only their owner may read, since the file server is in group puppet.

import { join } from "node:path";

/** Mode of ca_key.pem and root_key.pem; every other file is public. */
export const KEY_MODE = 0o600;
export const FILE_MODE = 0o644;
export const FOLDER_MODE = 0o755;

export interface CaLayout {
  folder: string;
  bundle: string;
  key: string;
  publicKey: string;
  rootKey: string;
  crl: string;
  serial: string;
  inventory: string;
  signed: string;
  requests: string;
  infraInventory: string;
  infraSerials: string;
  /** The certificate of a name, which must be a certname. */
  signedFile: (certname: string) => string;
  requestFile: (certname: string) => string;
}

/** The paths of the CA directory `folder`. */
export function caLayout(folder: string): CaLayout {
  const at = (name: string) => join(folder, name);
  return {
    folder,
    bundle: at("ca_crt.pem"),
    key: at("ca_key.pem"),
    publicKey: at("ca_pub.pem"),
    rootKey: at("root_key.pem"),
    crl: at("ca_crl.pem"),
    serial: at("serial"),
    inventory: at("inventory.txt"),
    signed: at("signed"),
    requests: at("requests"),
    infraInventory: at("infra_inventory.txt"),
    infraSerials: at("infra_serials"),
    signedFile: (certname) => join(folder, "signed", `${certname}.pem`),
    requestFile: (certname) => join(folder, "requests", `${certname}.pem`),
  };
}
