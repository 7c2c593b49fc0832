// The shapes of what the cluster keeps: in the shared record, and on each member's disk. Danger:
// members of different versions read the same record, so fields are only ever added, with defaults.

import { isIP } from "node:net";
import { z } from "zod";
import { PORTS } from "../host/paths.ts";
import { DrillKind } from "./drill.ts";
import { parseSlot, parseWindow } from "./drill-times.ts";

/** A Puppet certname, which is also a member's id: lower case, at most 253 characters. */
export const Certname = z
  .string()
  .max(253)
  .regex(/^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/, {
    error: "not a certname: lower-case letters, digits, - and _ in segments parted by dots",
  });

export const IpAddress = z
  .string()
  .refine((text) => isIP(text) !== 0, { error: "not an IP address" });

/** ADDRESS/PREFIX, as in 10.0.0.10/24. */
export const VirtualIp = z.string().refine(
  (text) => {
    const [address = "", prefix = ""] = text.split("/");
    const bits = isIP(address) === 6 ? 128 : 32;
    return isIP(address) !== 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits;
  },
  { error: "not an address with its prefix length, as in 10.0.0.10/24" },
);

/** One address, or a network as ADDRESS/PREFIX. */
export const Network = z.union([IpAddress, VirtualIp], {
  error: "not an address or network, as in 10.0.0.5 or 10.0.0.0/24",
});

export const Role = z.enum(["server", "compiler", "witness"]);
export type Role = z.infer<typeof Role>;

const Port = z.int().min(1).max(65535);

/** One puppetserver of a member, as edges reach it. */
export const Backend = z.object({
  name: z.string().regex(/^[a-z0-9_.-]{1,64}$/),
  /** Where it listens, if not at the member's address. */
  address: IpAddress.optional(),
  port: Port,
  /** How many requests it compiles at once, read from its status API; 1 until it was read. */
  jrubies: z.int().min(1).max(256).default(1),
  /** Why it gets no new requests although it answers; empty when it gets them. */
  unfit: z.string().max(300).default(""),
});
export type Backend = z.infer<typeof Backend>;

/** One member in the record (`understudy/members/<id>`). */
export const Member = z.object({
  id: Certname,
  role: Role,
  /** Where the other members reach it. */
  address: IpAddress,
  phase: z.enum(["joining", "ready", "leaving"]),
  /** Whether it may be chosen as an etcd voter, unless it is leaving. */
  mayVote: z.boolean(),
  /** Whether a courier for PuppetDB runs there. */
  courier: z.boolean().optional(),
  /**
   * Its own PuppetDB, if it has one that the couriers bring commands to: one that fills answers no
   * queries yet.
   */
  puppetdb: z.enum(["fills", "answers"]).optional(),
  /** Whether that has the same database as every other one; absent: one of its own. */
  puppetdbShared: z.boolean().optional(),
  /** When an administrator last took it with what it had. */
  puppetdbAccepted: z.string().optional(),
  backends: z.array(Backend).max(16),
  version: z.string(),
  joinedAt: z.string(),
});
export type Member = z.infer<typeof Member>;

/** What agents may call a server: a name or an address. */
export const AltName = z.union([Certname, IpAddress], {
  error: "not a name in lower case, and not an IP address",
});

/** How many further names a cluster's servers answer to. */
export const ALT_NAMES_MAX = 64;

/** How many further receivers of reports there may be. */
export const RECEIVERS_MAX = 8;

/** Somewhere else that reports go to. */
export const ReportReceiver = z.object({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, {
    error: "not a name: up to 40 lower-case letters, digits and -",
  }),
  url: z.url({ protocol: /^https?$/, error: "not a URL of http or https" }).refine(
    (url) => {
      const { username, password } = URL.parse(url) ?? {};
      return !username && !password;
    },
    { error: "no user and no password may be in it: servers show their Puppet certificate" },
  ),
});
export type ReportReceiver = z.infer<typeof ReportReceiver>;

const FilePath = z
  .string()
  .max(1024)
  .regex(/^\/[^\0]*$/, { error: "not an absolute path" });

/** The API for people and scripts, the same on every member. */
export const ApiSettings = z.object({
  /** Where it listens; absent: at every address that a member has. */
  address: IpAddress.optional(),
  port: Port.default(PORTS.api),
  /** Files on each member, PEM; absent: the member's Puppet certificate. */
  certificate: z.object({ cert: FilePath, key: FilePath }).optional(),
  /** Addresses or networks that may read the metrics without a token. */
  metricsFrom: z.array(Network).max(64).default([]),
  /** Where the health endpoints answer without TLS besides; absent: nowhere. */
  healthPort: Port.optional(),
});
export type ApiSettings = z.infer<typeof ApiSettings>;

/** A drill that is held every week or day. */
export const DrillPlanned = z.object({
  kind: DrillKind,
  when: z.string().refine((text) => parseSlot(text) !== undefined, {
    error: "not a day and a time of UTC, as in Tue 10:00 or daily 10:00",
  }),
});
export type DrillPlanned = z.infer<typeof DrillPlanned>;

const DrillWindow = z.string().refine((text) => parseWindow(text) !== undefined, {
  error: "not days and times of UTC, as in Mon-Fri 09:00-17:00",
});

/** Settings that hold for the whole cluster (`understudy/settings`). */
export const Settings = z.object({
  /** The name that agents use. */
  sharedName: Certname,
  /**
   * Further names and addresses that agents call servers by: those that a taken-over primary had.
   */
  otherNames: z.array(z.string().max(253)).max(ALT_NAMES_MAX).default([]),
  virtualIps: z.array(VirtualIp).max(16).default([]),
  /** Addresses or networks whose connections to the edge start with a PROXY protocol header. */
  acceptProxyFrom: z.array(Network).max(64).default([]),
  /**
   * What a booting edge does that can't reach the record, so that it may lack a revocation: takes
   * agents with the revocations it has, or waits.
   */
  isolatedEdge: z.enum(["serve", "refuse"]).default("serve"),
  /** How many etcd voters are wanted once there are enough servers. */
  voters: z.union([z.literal(1), z.literal(3), z.literal(5)]).default(3),
  /** Certnames that may use PuppetDB besides the members'; absent: none. */
  puppetdbClients: z.array(Certname).max(1000).optional(),
  /** Where couriers send reports besides; absent: nowhere. */
  reportReceivers: z.array(ReportReceiver).max(RECEIVERS_MAX).optional(),
  /** The newest order to send queries to one PuppetDB, and when it was given. */
  puppetdbUse: z.object({ id: Certname, at: z.string() }).optional(),
  /**
   * How long a node may be silent before couriers deactivate it, seconds; 0 or absent: for ever.
   */
  puppetdbNodeTtlS: z.int().min(0).optional(),
  /** The API for people and scripts; absent: it isn't on the network. */
  api: ApiSettings.optional(),
  /** How often every server asks for a catalog as an agent would, seconds; 0 or absent: never. */
  probeEveryS: z.int().min(0).optional(),
  /** Drills that are held by themselves; absent: none. */
  drills: z.array(DrillPlanned).max(20).optional(),
  /** When drills may be held at all; absent or empty: at any time. */
  drillWindows: z.array(DrillWindow).max(20).optional(),
});
export type Settings = z.infer<typeof Settings>;

/** What a server's Puppet certificate is for: whatever agents call it. */
export function namesOfServer(settings: Settings, id: string): string[] {
  return [settings.sharedName, ...settings.otherNames, id];
}

/** What the cluster is (`understudy/meta`). */
export const Meta = z.object({
  format: z.literal(1),
  clusterId: z.uuid(),
  /** Grows when the record was recovered by hand; a member of an older one stops writing. */
  generation: z.int().min(1),
  createdAt: z.string(),
});
export type Meta = z.infer<typeof Meta>;

/**
 * The CA role of the cluster has ended (`understudy/ca/ejected`): no member signs or revokes any
 * more, the CA is stock Puppet Server's on one of them.
 */
export const Ejected = z.object({
  /** The member whose puppetserver is the CA. */
  to: Certname,
  at: z.iso.datetime(),
  /** Whether that server decided it without the others. */
  alone: z.boolean().default(false),
  /**
   * From where on its stock CA counts, when that isn't what the record has: the first serial, and
   * the CRL that it found. Whoever takes the CA over from it counts on from there.
   */
  serialNext: z.int().optional(),
  crlNumber: z.int().optional(),
});
export type Ejected = z.infer<typeof Ejected>;

/** Who this member is (`/etc/understudy/node.json`). */
export const NodeFile = z.object({
  format: z.literal(1),
  clusterId: z.uuid(),
  generation: z.int().min(1),
  id: Certname,
  role: Role,
  address: IpAddress,
  sharedName: Certname,
  /**
   * `setup` until init or join has gone through all its steps once; `removed` by the other members.
   */
  phase: z.enum(["setup", "ready", "removed"]),
  /** Which command made this server a member; older files don't say. */
  startedBy: z.enum(["init", "join"]).optional(),
  /** Client URLs of the etcd members known when this was written; the view has newer ones. */
  etcdEndpoints: z.array(z.url()).min(1),
});
export type NodeFile = z.infer<typeof NodeFile>;
