// Keeps what this member's doors refuse in step with the record: the CRLs of our own CAs, on disk
// where etcd and puppetserver read them, in memory for the daemon's own listeners.

import type { Etcd } from "../etcd/types.ts";
import { readAuthorityCrl } from "../cluster/leaves.ts";
import { type AuthorityName, AUTHORITIES, LEAVES, LEAVES_OF_ROLE } from "../cluster/pki.ts";
import { leafFiles, type PkiOwners, writeLeafCrl } from "../cluster/pki-store.ts";
import type { Role } from "../cluster/schema.ts";
import { readIfThere } from "../host/files.ts";

export interface Refusals {
  /**
   * Upper-case hex serials that each CA has revoked, as far as this member has put them into force.
   */
  serials(name: AuthorityName): ReadonlySet<string>;
  /** Reads the record and brings the files up to date. Throws what etcd throws. */
  sync(): Promise<void>;
}

/** `onChange` is told which CAs' CRLs changed on disk, after they did. */
export function createRefusals(options: {
  etcd: Etcd;
  role: Role;
  owners: PkiOwners;
  onChange(names: AuthorityName[]): Promise<void>;
}): Refusals {
  const known = new Map<AuthorityName, Set<string>>();
  return {
    serials: (name) => known.get(name) ?? new Set(),
    async sync() {
      const changed: AuthorityName[] = [];
      for (const name of AUTHORITIES) {
        const crl = await readAuthorityCrl(options.etcd, name);
        if (crl === undefined) continue;
        const leaves = LEAVES_OF_ROLE[options.role].filter(
          (leaf) => LEAVES[leaf].authority === name,
        );
        for (const leaf of leaves) {
          if ((await readIfThere(leafFiles(leaf).crl)) === crl.pem) continue;
          await writeLeafCrl(leaf, crl.pem, options.owners);
          if (!changed.includes(name)) changed.push(name);
        }
        known.set(name, new Set(crl.serials));
      }
      if (changed.length > 0) await options.onChange(changed);
    },
  };
}
