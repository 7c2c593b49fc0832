// Text of a switchover: nftables' tables, and the script that puts everything back. Pure. The
// tables hang in the ingress hook of the addresses' interface, before the site's own rules, routing
// and connection tracking; one transaction loads one. The kernel itself stops passing packets on
// when the other side is silent (a set whose element expires), so that connections whose server
// died are reset.

import { PORTS } from "../../host/paths.ts";
import type { KeptMove } from "./order.ts";
import type { Step } from "./plan.ts";

/** A connection at an address: the far end first. */
export interface Socket {
  from: string;
  fromPort: number;
  to: string;
  toPort: number;
}

/**
 * How long the other side may be silent. It calls five times a second; killed, it is back within
 * this.
 */
export const SILENCE_S = 5;
/** What the old holder says when all its connections are seen to: a datagram of one byte. */
const OVER_BYTES = 9;
/** Connections that may begin at the new holder meanwhile; what is beyond goes to the old one. */
const CONNECTIONS_MAX = 262_144;
const FIRST_PACKET = "tcp flags & (fin | syn | rst | ack) == syn";
const CONNECTION = "ip saddr . tcp sport . ip daddr . tcp dport";

/**
 * The new holder's table. Run again it keeps what it has seen: only its rules are replaced, in the
 * same transaction.
 */
export function renderNewTable(
  table: string,
  moves: readonly KeptMove[],
  sockets: readonly Socket[],
): string {
  const links = linksOf(moves);
  return [
    `table netdev ${table} {`,
    "  set mine {",
    "    type ipv4_addr . inet_service . ipv4_addr . inet_service",
    `    size ${CONNECTIONS_MAX}; flags dynamic`,
    "  }",
    "  set theirs {",
    "    type ipv4_addr . inet_service . ipv4_addr . inet_service",
    `    size ${CONNECTIONS_MAX}; flags dynamic,timeout; timeout 1h`,
    "  }",
    ...links.flatMap((_, index) => [
      `  set heard${index} { type ether_type; size 4; flags dynamic,timeout; timeout ${SILENCE_S}s; }`,
      `  set over${index} { type ether_type; size 4; flags dynamic,timeout; timeout 1m; }`,
      `  set by${index} { type ether_addr; size 16; flags dynamic,timeout; timeout 10s; }`,
    ]),
    ...links.map((link, index) => renderChain(`arriving${index}`, link.interface)),
    renderChain("own", "lo"),
    "}",
    ...links.flatMap((link, index) => renderNewRules(table, link, index)),
    ...renderOwnRules(table, links),
    renderElements(table, "mine", sockets),
  ].join("\n");
}

/** Adds connections to a set of the new holder's table. */
export function renderElements(
  table: string,
  set: "mine" | "theirs",
  sockets: readonly Socket[],
): string {
  if (sockets.length === 0) return "";
  const elements = sockets.map(
    ({ from, fromPort, to, toPort }) => `${from} . ${fromPort} . ${to} . ${toPort}`,
  );
  return `add element netdev ${table} ${set} { ${elements.join(", ")} }\n`;
}

/** The old holder's table: sees its own calls come back, which only the new holder can have sent. */
export function renderOldTable(table: string, moves: readonly KeptMove[]): string {
  const links = linksOf(moves);
  return [
    `table netdev ${table} {`,
    ...links.map(
      (_, index) =>
        `  set heard${index} { type ether_type; size 4; flags dynamic,timeout; timeout ${SILENCE_S}s; }`,
    ),
    ...links.map((link, index) => renderChain(`arriving${index}`, link.interface)),
    "}",
    ...links.flatMap(({ own, peer }, index) => {
      const chain = `netdev ${table} arriving${index}`;
      const call = `ip saddr ${own} ip daddr ${peer} udp dport ${PORTS.control}`;
      const heard = `update @heard${index} { meta protocol timeout ${SILENCE_S}s }`;
      return [`flush chain ${chain}`, `add rule ${chain} ${call} ${heard} drop`];
    }),
    "",
  ].join("\n");
}

/** How many other servers a side listens to: the number of its `heard` sets. */
export function countLinks(moves: readonly KeptMove[]): number {
  return linksOf(moves).length;
}

interface Link {
  interface: string;
  own: string;
  peer: string;
  addresses: string[];
}

/** Addresses with the same way to the other server share their rules. */
function linksOf(moves: readonly KeptMove[]): Link[] {
  const links: Link[] = [];
  for (const { address, interface: name, kept } of moves) {
    const same = links.find(
      (link) => link.interface === name && link.own === kept.own && link.peer === kept.peer,
    );
    if (same === undefined) links.push({ interface: name, ...kept, addresses: [address] });
    else same.addresses.push(address);
  }
  return links;
}

function renderChain(name: string, device: string): string {
  return `  chain ${name} { type filter hook ingress device "${device}" priority -300; policy accept; }`;
}

function renderNewRules(table: string, link: Link, index: number): string[] {
  const chain = `netdev ${table} arriving${index}`;
  const address = `ip daddr { ${link.addresses.join(", ")} }`;
  const call = `ip saddr ${link.peer} ip daddr ${link.own} udp dport ${PORTS.control}`;
  const heard = `update @heard${index} { meta protocol timeout ${SILENCE_S}s }`;
  const pass = `fwd ip to ${link.peer} device "${link.interface}"`;
  return [
    `flush chain ${chain}`,
    `add rule ${chain} ${call} udp length ${OVER_BYTES} update @over${index} { meta protocol timeout 1m } drop`,
    // The other side's call goes back the way that packets of agents will go.
    `add rule ${chain} ${call} ${heard} update @by${index} { ether saddr timeout 10s } ${pass}`,
    // What it passes on itself never goes back to it.
    `add rule ${chain} ${address} ether saddr @by${index} accept`,
    `add rule ${chain} ${address} ${FIRST_PACKET} add @mine { ${CONNECTION} } accept`,
    ...renderForeign(chain, address, index, pass),
  ];
}

/** What becomes of packets of connections that didn't begin here. */
function renderForeign(chain: string, address: string, index: number, pass: string): string[] {
  const foreign = `add rule ${chain} ${address} ${CONNECTION} != @mine`;
  return [
    // Apart, so that a full set keeps nothing from being passed on.
    `${foreign} meta protocol @heard${index} update @theirs { ${CONNECTION} timeout 1h }`,
    `${foreign} meta protocol @heard${index} counter ${pass}`,
    // The old holder is silent. The site's own rules might leave its clients in silence too.
    `${foreign} counter reject with tcp reset`,
  ];
}

/** Connections that programs of this server have to the address from when another held it. */
function renderOwnRules(table: string, links: readonly Link[]): string[] {
  const chain = `netdev ${table} own`;
  return [
    `flush chain ${chain}`,
    ...links.flatMap((link, index) => {
      const addresses = link.addresses.join(", ");
      const address = `ip daddr { ${addresses} }`;
      const pass = `fwd ip to ${link.peer} device "${link.interface}"`;
      return [
        // From the address itself: from here alone, since it is here.
        `add rule ${chain} ip saddr { ${addresses} } accept`,
        `add rule ${chain} ${address} ${FIRST_PACKET} add @mine { ${CONNECTION} } accept`,
        ...renderForeign(chain, address, index, pass),
      ];
    }),
  ];
}

/**
 * The script that undoes `steps`, last first, whatever of them was done. It needs nothing of ours,
 * may run at any time and twice, and leaves alone what somebody else has set meanwhile.
 */
export function renderUndo(
  steps: readonly Step[],
  files: { priority: string; folder: string; order: string; id: string; self: string },
): string {
  return [
    "#!/bin/sh",
    "# Rendered by Understudy: puts back what a switchover of addresses has changed on this server.",
    "# Safe at any time, twice as well.",
    ...steps.toReversed().map((step) => undo(step, files.priority)),
    // A newer order may be there already.
    `grep -qs '"id":"${files.id}"' ${quote(files.order)} && rm -rf ${quote(files.folder)}`,
    `rm -f ${quote(files.self)}`,
    "",
  ].join("\n");
}

function undo(step: Step, priorityFile: string): string {
  switch (step.do) {
    case "sysctl": {
      const file = quote(`/proc/sys/${step.path}`);
      return `[ "$(cat ${file} 2>/dev/null)" != ${step.value} ] || echo ${step.before} > ${file}`;
    }
    case "table":
      return `nft delete table netdev ${step.table} 2>/dev/null`;
    case "address":
      // Without the address on lo the connections would be silent; as the holder again they go on.
      return [
        `[ -n "$(ip -4 -o addr show dev ${quote(step.interface)} to ${step.address}/32 2>/dev/null)" ] ||`,
        `  ss -H -K -t -n state connected src ${step.address} >/dev/null 2>&1`,
        `ip addr del ${step.address}/32 dev lo 2>/dev/null`,
      ].join("\n");
    case "number": {
      const file = quote(priorityFile);
      const next = quote(`${priorityFile}.undo`);
      return `[ "$(cat ${file} 2>/dev/null)" != ${step.priority} ] || { echo ${step.before} > ${next} && mv -f ${next} ${file}; }`;
    }
  }
}

/** For sh. Throws nothing: paths of ours hold no quote. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
