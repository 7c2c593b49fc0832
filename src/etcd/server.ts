// How one of our etcd members is started: a systemd EnvironmentFile for /usr/bin/etcd, pure. The
// idea: etcd's YAML file has no documented key for revocation lists, and with a YAML file every
// flag is ignored; its environment has everything. An unknown variable is warned about in its log.
// Danger: etcd reads the CRL at every handshake and refuses everybody while it is missing or
// broken, and it reads the CA bundle only when it starts.

import { Fault } from "../base/fault.ts";

const CLIENT_PORT = 9141;
const PEER_PORT = 9142;
const MIB = 1024 * 1024;
/** Past this, etcd refuses writes. Twice its default; it maps the whole file into memory. */
export const QUOTA_BYTES = 4096 * MIB;
/** A CRL of 50,000 entries has 2.4 MiB, 3.2 in base64; etcd warns above 10 MiB. */
const REQUEST_BYTES_MAX = 8 * MIB;
/** etcd's default of 128 is too few for a burst of revocations in one transaction. */
const TXN_OPS_MAX = 2048;
/**
 * etcd keeps that many raft entries in memory; its default of 100,000 is meant for small values.
 */
const SNAPSHOT_ENTRIES = 10_000;
const HEARTBEAT_MS = 100;
const ELECTION_MS = 1000;

export interface EtcdServerConfig {
  /** A server's name: letters, digits, ".", "-" and "_". */
  name: string;
  /** The IP address that other members reach it at. */
  address: string;
  /** Default 9141. */
  clientPort?: number;
  /** Default 9142. */
  peerPort?: number;
  dataDir: string;
  /** Every member, this one too; read by etcd only while `dataDir` is empty. */
  peers: readonly { name: string; peerUrl: string }[];
  /** "existing" when a running cluster has added this member. */
  state: "new" | "existing";
  /** The same in every member of one cluster, another in every other cluster. */
  clusterToken: string;
  /**
   * Paths. The certificate serves clients, peers and etcd's own gateway: serverAuth and
   * clientAuth.
   */
  tls: { cert: string; key: string; ca: string; crl: string } | undefined;
  /** Default 100. */
  heartbeatMs?: number;
  /**
   * Default 1,000. Raise both where a disk's fsync stalls for longer than that, the same
   * everywhere.
   */
  electionMs?: number;
}

/** A member's peer URL, as `peers` and `addLearner` want it. */
export function peerUrl(address: string, port = PEER_PORT, scheme = "https"): string {
  return `${scheme}://${hostOf(address)}:${port}`;
}

/** A member's client URL, as `createEtcd` wants it. */
export function clientUrl(address: string, port = CLIENT_PORT, scheme = "https"): string {
  return `${scheme}://${hostOf(address)}:${port}`;
}

/**
 * The text of the EnvironmentFile. Throws Fault `etcd.config` for a value that can't stand in one.
 */
export function renderEtcdConfig(server: EtcdServerConfig): string {
  const lines = Object.entries(etcdEnvironment(server)).map(([key, value]) => `${key}="${value}"`);
  return `# Written by understudy; read by understudy-etcd.service.\n${lines.join("\n")}\n`;
}

/** The same as variables, to start etcd without systemd. */
export function etcdEnvironment(server: EtcdServerConfig): Record<string, string> {
  const scheme = server.tls === undefined ? "http" : "https";
  const client = clientUrl(server.address, server.clientPort, scheme);
  const local = clientUrl("127.0.0.1", server.clientPort, scheme);
  const peer = peerUrl(server.address, server.peerPort, scheme);
  if (!server.peers.some(({ name, peerUrl }) => name === server.name && peerUrl === peer)) {
    throw new Fault("etcd.config", `the cluster lists no ${server.name} at ${peer}`);
  }
  for (const { name, peerUrl } of server.peers) {
    if (!URL.canParse(peerUrl) || /[,=\s]/.test(peerUrl)) {
      throw new Fault("etcd.config", `"${peerUrl}" is no peer URL`);
    }
    if (!/^[\w.-]+$/.test(name))
      throw new Fault("etcd.config", `"${name}" is no name for a member`);
  }
  const settings: Record<string, string> = {
    name: server.name,
    "data-dir": server.dataDir,
    "listen-client-urls": [...new Set([client, local])].join(","),
    "advertise-client-urls": client,
    "listen-peer-urls": peer,
    "initial-advertise-peer-urls": peer,
    "initial-cluster": server.peers.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(","),
    "initial-cluster-state": server.state,
    "initial-cluster-token": server.clusterToken,
    ...(server.tls === undefined ? {} : tlsSettings(server.tls)),
    ...timing(server),
    ...FIXED,
  };
  return Object.fromEntries(
    Object.entries(settings).map(([flag, value]) => {
      if (!/^[\x20-\x7e]+$/.test(value) || /["\\$`]/.test(value)) {
        throw new Fault("etcd.config", `${flag} of etcd can't be ${JSON.stringify(value)}`);
      }
      return [`ETCD_${flag.toUpperCase().replaceAll("-", "_")}`, value];
    }),
  );
}

const FIXED: Record<string, string> = {
  "auto-compaction-mode": "periodic",
  "auto-compaction-retention": "1h",
  "quota-backend-bytes": String(QUOTA_BYTES),
  "max-request-bytes": String(REQUEST_BYTES_MAX),
  "max-txn-ops": String(TXN_OPS_MAX),
  "snapshot-count": String(SNAPSHOT_ENTRIES),
  // A member that was cut off and comes back must not unseat a leader that the others can reach.
  "pre-vote": "true",
  "strict-reconfig-check": "true",
  "enable-v2": "false",
  "enable-grpc-gateway": "true",
  metrics: "basic",
  logger: "zap",
  "log-level": "warn",
  "log-outputs": "stderr",
};

function tlsSettings(tls: { cert: string; key: string; ca: string; crl: string }) {
  return {
    "client-cert-auth": "true",
    "cert-file": tls.cert,
    "key-file": tls.key,
    "trusted-ca-file": tls.ca,
    "client-crl-file": tls.crl,
    "peer-client-cert-auth": "true",
    "peer-cert-file": tls.cert,
    "peer-key-file": tls.key,
    "peer-trusted-ca-file": tls.ca,
    "peer-crl-file": tls.crl,
    // A server with two addresses may dial from the one its certificate doesn't name. The check
    // protects nothing: a certificate of this CA that names no address at all passes it.
    "experimental-peer-skip-client-san-verification": "true",
  };
}

function timing(server: EtcdServerConfig): Record<string, string> {
  const heartbeatMs = server.heartbeatMs ?? HEARTBEAT_MS;
  const electionMs = server.electionMs ?? ELECTION_MS;
  if (electionMs < 5 * heartbeatMs || electionMs > 50_000) {
    throw new Fault("etcd.config", "etcd's election timeout must be 5 heartbeats to 50 s long");
  }
  return { "heartbeat-interval": String(heartbeatMs), "election-timeout": String(electionMs) };
}

function hostOf(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
