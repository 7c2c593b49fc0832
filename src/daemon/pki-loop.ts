// Keeps what this member's doors refuse in step with the record: the CRLs of our own CAs, on disk
// where etcd and puppetserver read them, in memory for the daemon's own listeners. Danger: a door
// takes a new CRL some time after it was written, and asks it only in a handshake. So nothing is
// called refused before that time has passed and the connections from before have ended.

import type { Etcd } from "../etcd/types.ts";
import { readAuthorityCrl } from "../cluster/leaves.ts";
import { type AuthorityName, AUTHORITIES, LEAVES, LEAVES_OF_ROLE } from "../cluster/pki.ts";
import { leafFiles, type PkiOwners, writeLeafCrl } from "../cluster/pki-store.ts";
import { readClusterRecord } from "../cluster/record.ts";
import type { Member, Role, Settings } from "../cluster/schema.ts";
import { endStrangers } from "../host/connections.ts";
import { readIfThere } from "../host/files.ts";
import { PORTS } from "../host/paths.ts";

/** puppetserver looks for a new CRL once a second; this is well past that. */
export const TAKEN_MS = 3000;

export interface Refusals {
  /** Upper-case hex serials that a CA has revoked; this member's own listeners ask at each request. */
  serials(name: AuthorityName): ReadonlySet<string>;
  /** Whether no door of this member lets in, or keeps connected, whoever holds one of these. */
  inForce(serials: readonly string[]): boolean;
  /** Reads the record and brings the doors up to date. Throws what etcd and the doors throw. */
  sync(): Promise<void>;
}

/** This member's doors, by the CA whose certificates open them. */
export interface Doors {
  /** Puts a CRL where the doors read it. Returns whether it is another one than before. */
  place(name: AuthorityName, crl: string): Promise<boolean>;
  /** Has whoever holds CRLs in memory read them anew. */
  reload(names: AuthorityName[]): Promise<void>;
  /** Ends connections of whoever has none of `addresses`. Throws where one is still there. */
  endOthers(name: AuthorityName, addresses: readonly string[]): Promise<void>;
}

type AuthorityCrl = NonNullable<Awaited<ReturnType<typeof readAuthorityCrl>>>;

/** What this member knows of one CA's revocations, and how far its doors have come. */
interface Known {
  crl: string;
  serials: ReadonlySet<string>;
  placedMs: number;
  reloaded: boolean;
  inForce: boolean;
}

export function createRefusals(options: {
  etcd: Etcd;
  doors: Doors;
  /** Monotonic. */
  nowMs: () => number;
}): Refusals {
  const { etcd, doors, nowMs } = options;
  /** Ahead of the doors: a listener of this process asks it, whatever became of the files. */
  const heard = new Map<AuthorityName, ReadonlySet<string>>();
  const known = new Map<AuthorityName, Known>();
  let running: Promise<void> | undefined;

  const hear = async () => {
    const crls: [AuthorityName, AuthorityCrl][] = [];
    for (const name of AUTHORITIES) {
      const crl = await readAuthorityCrl(etcd, name);
      if (crl === undefined) continue;
      crls.push([name, crl]);
      heard.set(name, new Set(crl.serials));
    }
    return crls;
  };
  const place = async (name: AuthorityName, crl: AuthorityCrl) => {
    const changed = await doors.place(name, crl.pem);
    const before = known.get(name);
    if (!changed && before?.crl === crl.pem) return;
    // Its listeners have read what was there at the start; connections may be older.
    const reloaded = !changed && before === undefined;
    const serials = new Set(crl.serials);
    known.set(name, { crl: crl.pem, serials, placedMs: nowMs(), reloaded, inForce: false });
  };
  const settle = async (name: AuthorityName, door: Known, addresses: readonly string[]) => {
    const taken = nowMs() - door.placedMs >= TAKEN_MS;
    await doors.endOthers(name, addresses);
    door.inForce = taken;
  };
  const sync = async () => {
    for (const [name, crl] of await hear()) await place(name, crl);
    const unheard = [...known].filter(([, door]) => !door.reloaded);
    if (unheard.length > 0) {
      await doors.reload(unheard.map(([name]) => name));
      for (const [, door] of unheard) door.reloaded = true;
    }
    const open = [...known].filter(([, door]) => !door.inForce);
    if (open.length === 0) return;
    // Read after the CRLs: whoever they refuse is leaving by then, or gone.
    const record = await readClusterRecord(etcd);
    if (record === undefined) return;
    const members = record.members.map(({ value }) => value);
    const addresses = stayingAddresses(members, record.settings.value);
    for (const [name, door] of open) await settle(name, door, addresses);
  };
  return {
    serials: (name) => heard.get(name) ?? new Set(),
    inForce(serials) {
      const refused = [...known.values()].filter((door) => door.inForce);
      return serials.every((serial) => refused.some((door) => door.serials.has(serial)));
    },
    sync() {
      running ??= sync().finally(() => (running = undefined));
      return running;
    },
  };
}

function stayingAddresses(members: readonly Member[], settings: Settings): string[] {
  const staying = members.filter((member) => member.phase !== "leaving");
  return [
    ...staying.map((member) => member.address),
    ...settings.virtualIps.map((vip) => vip.split("/")[0] ?? vip),
  ];
}

/**
 * Where each CA's certificates open a door. Not the control port: there each request is checked,
 * and a member that leaves awaits its answer.
 */
const DOOR_PORTS: Record<AuthorityName, readonly number[]> = {
  etcd: [PORTS.etcdClient, PORTS.etcdPeer],
  edge: [PORTS.puppetserver, PORTS.authority],
  control: [],
};

/** The real doors of a member of `role`. */
export function memberDoors(
  role: Role,
  owners: PkiOwners,
  reload: (names: AuthorityName[]) => Promise<void>,
): Doors {
  return {
    reload,
    async place(name, crl) {
      let changed = false;
      for (const leaf of LEAVES_OF_ROLE[role]) {
        if (LEAVES[leaf].authority !== name) continue;
        if ((await readIfThere(leafFiles(leaf).crl)) === crl) continue;
        await writeLeafCrl(leaf, crl, owners);
        changed = true;
      }
      return changed;
    },
    async endOthers(name, addresses) {
      for (const port of DOOR_PORTS[name]) await endStrangers(port, addresses);
    },
  };
}
