// What preflight is told about a server. Gathered by observe.ts, judged by preflight.ts.

import type { AddressHolder } from "../host/network.ts";

export interface PreflightFacts {
  root: boolean;
  /** The packaging that was found, or the fault that says why there is nothing to go by. */
  puppet:
    | { kind: string; version: string | undefined }
    | { code: string; message: string; hints: readonly string[] };
  /** Undefined where the program isn't installed. */
  versions: {
    haproxy?: string | undefined;
    keepalived?: string | undefined;
    etcd?: string | undefined;
  };
  /** Ports that somebody listens on, with who. */
  takenPorts: { port: number; by: string }[];
  /** This server's own addresses. */
  localAddresses: string[];
  address: string;
  clockSynchronized: boolean | undefined;
  sharedName: string;
  sharedNameResolvesTo: string[];
  certname: string;
  certnameResolvesTo: string[];
  virtualIps: VirtualIpFacts[];
  /** Whether an interrupted setup goes on: it may hold addresses and ports already. */
  resumed: boolean;
  /** Median of small synced writes below /var/lib, milliseconds. */
  fsyncMs: number;
  memoryMiB: number;
  /** What puppetserver's move behind the edge takes, or what can't be understood there. */
  configuration: ConfigurationFacts | undefined;
  /** The CA directory's path and state, or what is wrong with it. */
  caDirectory: { path: string } & ({ state: "absent" | "complete" } | { problem: string });
  /** Names of rules for /puppet-ca that aren't stock's; undefined when auth.conf wasn't read. */
  ownCaRules: string[] | undefined;
  /** What matters of ca.conf, or why it can't be read; undefined where there is none. */
  caConf: { infraCrl: boolean } | { problem: string } | undefined;
  /** Where puppet.conf here says that the CA is asked; undefined where it doesn't tell. */
  caPort: string | undefined;
  hostCertificate: HostCertificate | undefined;
  /** Paths of Puppet that the daemon may not write to. */
  readOnly: string[];
}

export interface VirtualIpFacts {
  address: string;
  /** Of this server, on the address's network. */
  interface: string | undefined;
  heldBy: AddressHolder;
}

export type ConfigurationFacts =
  | {
      /** Files that are edited, and why. */
      writes: { path: string; because: string }[];
      /** Whether puppetserver runs, so that it must be stopped first. */
      runs: boolean;
    }
  | { problem: string; hints: readonly string[] };

/** This server's Puppet certificate, where there is one. */
export interface HostCertificate {
  path: string;
  altNames: string[];
  /** Whether its key is this server's. */
  keyFits: boolean;
  /** Whether the CA of the CA directory here signed it; undefined where there is none. */
  ours: boolean | undefined;
}
