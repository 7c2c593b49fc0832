// keepalived's configuration: who announces which address, and what takes it away from a server.
// The idea: one VRRP instance for each subnet; nobody takes an address from a living holder
// (nopreempt), a dead one is followed in 0.3 to 0.4 s. No edge, no address: keepalived sees to that
// by itself, with no daemon running. Danger: two servers that disagree about what an advert says
// both take the address, so only the first address of a subnet is in the adverts; the others follow
// it.

import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { Fault } from "../base/fault.ts";
import { type Cidr, inSubnet, parseCidr, sameAddress } from "../host/network.ts";

export interface VipConfig {
  memberId: string;
  /** In the order of the cluster's settings, which is only ever appended to. */
  addresses: readonly VirtualAddress[];
  /**
   * All of the cluster's, in that order, also those that this server has no interface for: router
   * ids must be the same on all servers. Default: `addresses`.
   */
  wanted?: readonly string[];
  /** This member's address, and those of the other servers; their order doesn't matter. */
  self: string;
  peers: readonly string[];
  /** The cluster's id: virtual router ids follow from it and from the address. */
  routerIdSeed: string;
  /**
   * Set by hand when another VRRP router of a subnet already has the id: subnet's first address → 1
   * to 255.
   */
  routerIds?: Readonly<Record<string, number>>;
  /**
   * Milliseconds between adverts, 10 to 1000 in steps of 10; the same on all servers. Default 100.
   */
  advertMs?: number;
  /** Taken from whoever holds it, also from a living server: an address, without prefix length. */
  take?: string;
  /** File with the number that the daemon writes; see priority.ts. */
  priorityFile: string;
  /** The program of edge-watch.ts, and the stats socket it looks at. */
  edgeWatch: string;
  edgeSocket: string;
}

export interface VirtualAddress {
  /** With its prefix length: 10.0.0.10/24. */
  address: string;
  /** Of this server, on the address's subnet. */
  interface: string;
}

const ADVERT_MS = 100;
/**
 * What a server that is alone sends, to all (multicast), so that another cluster on its ids is
 * noticed.
 */
const ALONE_ADVERT_MS = 1000;
/** Priorities by rank: as far apart as five servers allow, so that two never take over at once. */
const PRIORITY_FIRST = 200;
const PRIORITY_STEP_MAX = 30;
const PRIORITY_LAST = 60;
/** The highest there is but for the owner of an address. */
const PRIORITY_MAX = 254;
const ROUTER_IDS = 255;

/** Renders the configuration. Equal configs give equal text. Throws Fault `vip.config`. */
export function renderKeepalived(config: VipConfig): string {
  const groups = groupAddresses(config);
  const ids = routerIds(config, groups);
  const blocks = [
    renderGlobals(config),
    renderTracking(config),
    ...groups.map((group) => renderInstance(config, group, ids.get(group.key) ?? 1)),
  ];
  return `# Rendered by Understudy; changes are overwritten.\n\n${blocks.join("\n\n")}\n`;
}

/** The virtual router id of each subnet, by its first address. Throws Fault `vip.config`. */
export function planRouterIds(config: VipConfig): Record<string, number> {
  return Object.fromEntries(routerIds(config, groupAddresses(config)));
}

interface Group {
  /** The first address, without prefix: names the instance and is the one in its adverts. */
  key: string;
  family: 4 | 6;
  interface: string;
  addresses: readonly (Cidr & { interface: string })[];
}

function groupAddresses(config: VipConfig): Group[] {
  const all = config.addresses.map((each) => ({
    ...parseCidr(each.address),
    interface: checkInterface(each.interface),
  }));
  const groups: (Group & { addresses: (Cidr & { interface: string })[] })[] = [];
  const withSelf = isIP(config.self);
  // Adverts go between the members' own addresses, so the other family can only follow an instance
  // of theirs.
  for (const each of all.filter(({ family }) => family === withSelf)) {
    const group = groups.find((other) =>
      other.addresses.some((one) => inSubnet(one.address, each)),
    );
    if (group !== undefined) group.addresses.push(each);
    else {
      const { address: key, family } = each;
      groups.push({ key, family, interface: each.interface, addresses: [each] });
    }
  }
  for (const each of all.filter(({ family }) => family !== withSelf)) {
    const group = groups.find((other) => other.interface === each.interface) ?? groups[0];
    if (group === undefined) {
      throw new Fault(
        "vip.config",
        `${each.address} is the only virtual IP, but the servers' own addresses are IPv${withSelf}`,
        { hints: [`Add an IPv${withSelf} virtual IP beside it, or join the servers by IPv6.`] },
      );
    }
    group.addresses.push(each);
  }
  return groups;
}

function checkInterface(name: string): string {
  if (/^[A-Za-z0-9_.@-]{1,15}$/.test(name)) return name;
  throw new Fault("vip.config", `"${name}" is no name of a network interface`);
}

function routerIds(config: VipConfig, groups: readonly Group[]): Map<string, number> {
  const ids = new Map<string, number>();
  const taken = new Set<number>();
  for (const key of new Set([...wantedKeys(config), ...groups.map((group) => group.key)])) {
    const set = config.routerIds?.[key];
    if (set !== undefined && (!Number.isInteger(set) || set < 1 || set > ROUTER_IDS)) {
      throw new Fault("vip.config", `a virtual router id is 1 to ${ROUTER_IDS}, not ${set}`);
    }
    const id = set ?? freeId(hashedId(config.routerIdSeed, key), taken);
    taken.add(id);
    ids.set(key, id);
  }
  return ids;
}

/** The first address of each of the cluster's subnets, wherever this server is. */
function wantedKeys(config: VipConfig): string[] {
  const own = (config.wanted ?? []).filter((each) => parseCidr(each).family === isIP(config.self));
  const addresses = own.map((address) => ({ address, interface: "any" }));
  return groupAddresses({ ...config, addresses }).map(({ key }) => key);
}

function hashedId(seed: string, address: string): number {
  const digest = createHash("sha256").update(`${seed} ${address}`).digest();
  return (digest.readUInt32BE(0) % ROUTER_IDS) + 1;
}

/** `id`, or the next one that isn't taken by another subnet of ours. */
function freeId(id: number, taken: ReadonlySet<number>): number {
  if (!taken.has(id) || taken.size >= ROUTER_IDS) return id;
  return freeId((id % ROUTER_IDS) + 1, taken);
}

/** Priority of `self` among all servers: by address, so that everybody computes the same order. */
export function priorityOf(self: string, peers: readonly string[]): number {
  const all = [...new Set([self, ...peers])].sort(compareAddresses);
  const span = PRIORITY_FIRST - PRIORITY_LAST;
  const step = Math.max(
    1,
    Math.min(PRIORITY_STEP_MAX, Math.floor(span / Math.max(1, all.length - 1))),
  );
  return Math.max(1, PRIORITY_FIRST - all.indexOf(self) * step);
}

function compareAddresses(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split(".").map((part) => part.padStart(3, "0")));
  const [x, y] = [left?.join(".") ?? a, right?.join(".") ?? b];
  if (x === y) return 0;
  return x < y ? -1 : 1;
}

function renderGlobals(config: VipConfig): string {
  return block("global_defs", [
    `router_id ${config.memberId}`,
    "vrrp_version 3",
    "enable_script_security",
    "script_user root",
    // Announced at once and again after a second, and now and then for switches that forget.
    "vrrp_garp_master_delay 1",
    "vrrp_garp_master_repeat 3",
    "vrrp_garp_master_refresh 60",
    // After a split heals, the holder that stays says so once more.
    "vrrp_garp_lower_prio_delay 1",
    "vrrp_garp_lower_prio_repeat 3",
    "vrrp_higher_prio_send_advert true",
    // A server short of CPU must not lose its address for being late with an advert, and one that
    // hears late must not take it: four adverts are missed before it moves, not three.
    "vrrp_priority -20",
    "vrrp_down_timer_adverts 4",
  ]);
}

function renderTracking(config: VipConfig): string {
  return [
    block("vrrp_script edge", [
      `script "${quotable(config.edgeWatch)} ${quotable(config.edgeSocket)}"`,
      "interval 1",
      "timeout 3",
      "fall 1",
      "rise 1",
      // No address before the edge has answered.
      "init_fail",
    ]),
    block("track_file standing", [`file "${quotable(config.priorityFile)}"`, "weight 1"]),
  ].join("\n\n");
}

function quotable(path: string): string {
  if (/^\/[A-Za-z0-9_./-]+$/.test(path)) return path;
  throw new Fault("vip.config", `"${path}" can't be written into keepalived's configuration`);
}

function renderInstance(config: VipConfig, group: Group, routerId: number): string {
  const alone = config.peers.length === 0;
  const [first, ...others] = group.addresses;
  if (first === undefined) throw new Fault("vip.config", "a subnet without addresses");
  const { take } = config;
  const takes =
    take !== undefined && group.addresses.some(({ address }) => sameAddress(address, take));
  const advertMs = alone ? ALONE_ADVERT_MS : checkAdvert(config.advertMs ?? ADVERT_MS);
  return block(`vrrp_instance ${group.key.replaceAll(":", "_")}`, [
    `interface ${group.interface}`,
    "state BACKUP",
    ...(takes ? [] : ["nopreempt"]),
    `virtual_router_id ${routerId}`,
    `priority ${takes ? PRIORITY_MAX : priorityOf(config.self, config.peers)}`,
    `advert_int ${advertMs / 1000}`,
    ...(alone ? [] : renderPeers(config, group)),
    block("virtual_ipaddress", [renderAddress(first)]),
    ...(others.length === 0
      ? []
      : [block("virtual_ipaddress_excluded", others.map(renderAddress))]),
    block("track_script", ["edge"]),
    block("track_file", ["standing"]),
  ]);
}

function renderPeers(config: VipConfig, group: Group): string[] {
  const peers = [...config.peers].sort(compareAddresses);
  const odd = [config.self, ...peers].find((address) => isIP(address) !== group.family);
  if (odd !== undefined) {
    throw new Fault("vip.config", `"${odd}" is no IPv${group.family} address, but others are`);
  }
  const here = group.addresses[0];
  // On one subnet nothing is routed, so nobody from elsewhere can announce for us.
  const near = here !== undefined && [config.self, ...peers].every((each) => inSubnet(each, here));
  const ttl = near ? " min_ttl 255 max_ttl 255" : "";
  return [
    `unicast_src_ip ${config.self}`,
    block(
      "unicast_peer",
      peers.map((peer) => peer + ttl),
    ),
    "check_unicast_src",
  ];
}

function checkAdvert(ms: number): number {
  if (Number.isInteger(ms) && ms % 10 === 0 && ms >= 10 && ms <= 1000) return ms;
  throw new Fault("vip.config", `adverts every ${ms} ms: 10 to 1000 in steps of 10 are possible`);
}

function renderAddress(each: Cidr & { interface: string }): string {
  // Never the source address of this server's own connections.
  const never = each.family === 6 ? " -nodad preferred_lft 0" : "";
  return `${each.address}/${each.prefix} dev ${each.interface}${never}`;
}

function block(title: string, lines: readonly string[]): string {
  const indented = lines.flatMap((line) => line.split("\n")).map((line) => `    ${line}`);
  return `${title} {\n${indented.join("\n")}\n}`;
}
