// What an edge is told: plain data from which every file of HAProxy's configuration is rendered.
// The limits of the edge live here too, each with its unit and its reason.

/** A puppetserver behind the edges. `name` is unique and stays the same for its whole life. */
export interface EdgeBackend {
  name: string;
  /** The name that its listener's certificate must carry. */
  host: string;
  address: string;
  port: number;
  /** How many requests it can work on at once; the rest waits at the edge. */
  jrubies: number;
  /** Gets no new requests while another one is up; those it has go on. */
  lastResort?: boolean;
}

/** Another server's certificate authority, asked when this server's own does not answer. */
export interface EdgeAuthority {
  name: string;
  /** The name that its certificate must carry. */
  host: string;
  address: string;
  port: number;
}

/** Everything the configuration of one edge depends on. */
export interface EdgeConfig {
  memberId: string;
  /** Where agents connect. */
  bind: readonly { address: string; port: number }[];
  /**
   * Addresses or networks of outer balancers, whose connections must start with the PROXY protocol.
   */
  acceptProxyFrom: readonly string[];
  /** PEM file: this server's Puppet certificate followed by its key. */
  certificateFile: string;
  /** PEM file: the Puppet CA's certificates, root included. */
  puppetCaFile: string;
  /** Issuers whose certificates are accepted, as RFC 2253 text (`nameText` of the CA's subject). */
  issuers: readonly string[];
  /** PEM file: the edge's client certificate followed by its key. */
  edgeClientPem: string;
  /** PEM file: the CAs that puppetservers' listeners and CA backends are verified against. */
  edgeCaFile: string;
  backends: readonly EdgeBackend[];
  /** In the order in which they are tried after this server's own. */
  authorities: readonly EdgeAuthority[];
  /** The puppetserver that has the CA instead of all of them, when the cluster's has ended. */
  stockAuthority?: EdgeAuthority;
  caSocket: string;
  filesSocket: string;
  /** Memory that HAProxy may use at worst; decides how many agents it serves at once. */
  memoryMiB: number;
  /** Holds haproxy.cfg, wait.lua, revoked.acl and poison.map. */
  stateDir: string;
  /** Holds sockets. At most 60 bytes long, since the name of a socket is at most 107. */
  runDir: string;
  /** Whom HAProxy's workers run as; without it, as whoever starts HAProxy. */
  runAs?: { user: string; group: string };
  /**
   * Digest of the PEM files' content (`digestInputs`), so that a renewed certificate is a change.
   */
  inputsDigest?: string;
  /** Log every request, not only what went wrong, was replayed or refused. */
  logEverything?: boolean;
}

/** Files and sockets of an edge. */
export interface EdgePaths {
  config: string;
  lua: string;
  revoked: string;
  poison: string;
  master: string;
  stats: string;
  once: string;
  again: string;
}

/** Where things are, for the folders of `config`. */
export function edgePaths(config: Pick<EdgeConfig, "stateDir" | "runDir">): EdgePaths {
  return {
    config: `${config.stateDir}/haproxy.cfg`,
    lua: `${config.stateDir}/wait.lua`,
    revoked: `${config.stateDir}/revoked.acl`,
    poison: `${config.stateDir}/poison.map`,
    master: `${config.runDir}/edge-master.sock`,
    stats: `${config.runDir}/edge-stats.sock`,
    once: `${config.runDir}/edge-once.sock`,
    again: `${config.runDir}/edge-again.sock`,
  };
}

/**
 * A whole request must fit here, or it can't be replayed. Facts of a large node are some 300 KB.
 */
export const REPLAY_BYTES_MAX = 1024 * 1024;

/**
 * Room that bodies leave in the buffer for the headers which the edge adds, a certificate above
 * all.
 */
export const REWRITE_BYTES = 32 * 1024;

/** How long a request's body may take to arrive once its headers are here. */
export const BODY_S_MAX = 60;

/** Of a certificate request, and of whoever has no certificate. Requests are about 2 KB. */
export const CA_BODY_BYTES_MAX = 64 * 1024;

/** How long a request waits for a puppetserver. Agents give up after 600 s by default. */
export const HOLD_MS_MAX = 590_000;

/** Where puppetserver answers whether it can compile; quick also while it is busy. */
export const HEALTH_PATH = "/status/v1/simple/server";

/** How long a request that changes certificates waits for a certificate authority. */
export const CA_HOLD_MS_MAX = 60_000;

/** A replay waits so long that health checks have seen a server die that shared its fate. */
export const REPLAY_LOOK_MS = 1400;

/**
 * A server whose checks have gone unanswered since it was marked down loses its requests after so
 * long; it is marked down after about 3 s of silence.
 */
export const SILENT_S_MAX = 9;

/** How long a catalog that killed two servers is not replayed. */
export const POISON_S = 3600;

const CONNECTIONS_MIN = 64;
const CONNECTIONS_MAX = 20_000;

/**
 * How many agents may be connected at once. One whose request is held costs at worst three buffers
 * (the request here, its copy for a replay, the request in the inner tier) and 128 KiB for TLS and
 * bookkeeping. More agents wait in the listen queue, they are not refused.
 */
export function connectionsMax(memoryMiB: number): number {
  const bytesEach = 3 * REPLAY_BYTES_MAX + 128 * 1024;
  const fit = Math.floor((memoryMiB * 1024 * 1024) / bytesEach);
  return Math.min(CONNECTIONS_MAX, Math.max(CONNECTIONS_MIN, fit));
}

/**
 * How many connections one source may have that are not through their TLS handshake: those of a
 * client that says nothing stay for a minute. Most of them all, since a whole fleet may come from
 * one address and start at once; the rest is for other sources.
 */
export function muteMax(memoryMiB: number): number {
  return Math.floor(connectionsMax(memoryMiB) * 0.75);
}
